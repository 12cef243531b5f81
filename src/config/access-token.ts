/** Bearer tokens of the cluster and of operators, and the hosts that may go without one. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { DataPlaneError } from '../base/data-plane-error.ts';

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** Returns whether an `authorization` header carries the token, in constant time. */
export function carriesToken(authorization: string, token: string): boolean {
  const sent = authorization.startsWith('Bearer ') ? authorization.slice(7) : '';
  return timingSafeEqual(digestOf(sent), digestOf(token));
}

/** Returns whether a listening host is reachable from this machine only. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/**
 * Refuses to listen beyond this machine without a token, which the error describes as `needed`.
 *
 * Errors: DataPlaneError `ConfigInvalid`.
 */
export function requireTokenBeyondLoopback(host: string, token: string | null, needed: string): void {
  if (isLoopback(host) || token !== null) return;
  const problem = `listening on ${host} is reachable from other machines, which needs ${needed}`;
  throw new DataPlaneError('ConfigInvalid', problem);
}

/**
 * Refuses to show a key to a service beyond this machine in clear text.
 *
 * Errors: DataPlaneError `ConfigInvalid`.
 */
export function requireEncryptionForKey(
  url: string,
  key: { readonly keyFlag: string; readonly allowFlag: string },
): void {
  const { protocol, hostname } = new URL(url);
  if (protocol === 'https:' || isLoopback(hostname.replace(/^\[|\]$/g, ''))) return;
  throw new DataPlaneError('ConfigInvalid', `${key.keyFlag}: the key would go to ${hostname} in clear text`, {
    hint: `Give an https:// URL, or ${key.allowFlag} if nobody else reads that network.`,
  });
}
