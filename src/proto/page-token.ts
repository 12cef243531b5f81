/**
 * Page tokens in time order: `<ms>__<rest in base64url>` of the last item on the page.
 *
 * The rest distinguishes items of the same millisecond, so that none is lost or repeated. A token
 * never holds `::`, which the AppView refuses.
 */
export type PagePosition = { readonly timeMs: number; readonly rest: Buffer };

/** Returns the token of a time and of the bytes of `rest` from `start`. */
export function encodePageToken(timeMs: number, rest: Buffer, start = 0): string {
  return `${timeMs}__${rest.toString('base64url', start)}`;
}

/** Decodes a token; undefined if it is malformed or its rest is longer than `restBytesMax`. */
export function decodePageToken(token: string, restBytesMax: number): PagePosition | undefined {
  const match = /^(-?\d{1,15})__([A-Za-z0-9_-]*)$/.exec(token);
  if (match === null || match[2]!.length > Math.ceil((restBytesMax * 4) / 3)) return undefined;
  return { timeMs: Number(match[1]), rest: Buffer.from(match[2]!, 'base64url') };
}
