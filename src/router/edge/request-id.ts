/**
 * The ids of requests that failed: the caller can log one, and so do we.
 *
 * Owns: that no two are the same in a fleet. Requests that succeed need none.
 */
import { randomBytes } from 'node:crypto';

/** Of this thread. */
const prefix = randomBytes(6).toString('base64url');
let count = 0;

/** Returns an id. */
export function newRequestId(): string {
  return `${prefix}.${(++count).toString(36)}`;
}
