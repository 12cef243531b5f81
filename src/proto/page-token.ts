/**
 * The tokens of pages in time order: `<ms>__<rest in base64url>`, where the last item given is.
 *
 * The rest tells items of one millisecond apart, so that none is lost or repeated. A token never
 * holds `::`, which the AppView refuses.
 */

/** What a token names. Units: ms. */
export type PagePosition = { readonly timeMs: number; readonly rest: Buffer };

/** Returns the token of a time and of `rest` from `start` on. */
export function encodePageToken(timeMs: number, rest: Buffer, start = 0): string {
  return `${timeMs}__${rest.toString('base64url', start)}`;
}

/**
 * Reads a token; undefined for one that is malformed or whose rest is longer than `restBytesMax`.
 */
export function decodePageToken(token: string, restBytesMax: number): PagePosition | undefined {
  const match = /^(-?\d{1,15})__([A-Za-z0-9_-]*)$/.exec(token);
  if (match === null || match[2]!.length > Math.ceil((restBytesMax * 4) / 3)) return undefined;
  return { timeMs: Number(match[1]), rest: Buffer.from(match[2]!, 'base64url') };
}
