/**
 * What a node says of its Unix socket in its handshakes, over TCP and over that socket.
 *
 * ```
 * skyshard-unix-socket: <id of the serving thread> <path, percent-encoded>
 * ```
 *
 * The id is random, so that a client sees whether the process that it reaches at the path is the
 * one that made the offer.
 */
import { randomBytes } from 'node:crypto';

export const unixOfferHeader = 'skyshard-unix-socket';

/** A longer path has no address; Linux would cut it off. Units: bytes. */
export const unixPathBytesMax = 107;

const idBytes = 12;

/** Shape: `path` is absolute. */
export function unixOfferOf(path: string): string {
  return `${randomBytes(idBytes).toString('base64url')} ${encodeURIComponent(path)}`;
}

/** Returns the path in an offer of a peer; null for one that cannot be connected to. */
export function pathOfUnixOffer(offer: string): string | null {
  const encoded = offer.split(' ', 2)[1] ?? '';
  try {
    const path = decodeURIComponent(encoded);
    return path.startsWith('/') && Buffer.byteLength(path) <= unixPathBytesMax ? path : null;
  } catch {
    return null;
  }
}
