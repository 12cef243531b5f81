/** Twice the largest entry that the limits of input allow. Units: bytes. */
export const entryBytesMax = 4 * 2 ** 20;
