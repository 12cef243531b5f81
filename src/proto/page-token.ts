/**
 * Page tokens: what follows the prefix in the key of the last item on the page, in base64url.
 *
 * In time order a token is `<ms>__<rest>`, and the rest distinguishes items of the same
 * millisecond, so that none is lost or repeated. In key order it is the rest alone. A token never
 * holds `::`, which the AppView refuses.
 */
export type PagePosition = { readonly timeMs: number; readonly rest: Buffer };

/** Returns the token of a time and of the bytes of `rest` from `start`. */
export function encodePageToken(timeMs: number, rest: Buffer, start = 0): string {
  return `${timeMs}__${encodeKeyToken(rest, start)}`;
}

/** Decodes a token; undefined if it is malformed or its rest is longer than `restBytesMax`. */
export function decodePageToken(token: string, restBytesMax: number): PagePosition | undefined {
  const match = /^(-?\d{1,15})__(.*)$/.exec(token);
  if (match === null) return undefined;
  const rest = decodeKeyToken(match[2]!, restBytesMax);
  return rest && { timeMs: Number(match[1]), rest };
}

/** Returns the token of the bytes of `key` from `start`. */
export function encodeKeyToken(key: Buffer, start: number): string {
  return key.toString('base64url', start);
}

/** Decodes a token in key order; undefined if it is malformed or longer than `restBytesMax`. */
export function decodeKeyToken(token: string, restBytesMax: number): Buffer | undefined {
  const isTooLong = token.length > Math.ceil((restBytesMax * 4) / 3);
  return isTooLong || !/^[A-Za-z0-9_-]*$/.test(token) ? undefined : Buffer.from(token, 'base64url');
}
