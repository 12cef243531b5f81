/**
 * What an item of private data must be, whatever its source: slots parse payloads without another
 * check.
 */
import { isValidRecordKey } from '@atproto/syntax';
import { rkeyLengthMax } from './compact-key.ts';
import { isNamespace } from './private-namespace.ts';

export type PrivateItemReason = 'namespace-malformed' | 'key-malformed' | 'payload-malformed' | 'payload-too-large';

/** Units: bytes. */
export const privatePayloadBytesMax = 2 ** 20;

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Returns why an item is refused, or null. `payload` is null for an item to delete. */
export function privateItemProblem(namespace: string, key: string, payload: string | null): PrivateItemReason | null {
  if (!isNamespace(namespace)) return 'namespace-malformed';
  if (key.length > rkeyLengthMax || !isValidRecordKey(key)) return 'key-malformed';
  if (payload === null) return null;
  if (Buffer.byteLength(payload) > privatePayloadBytesMax) return 'payload-too-large';
  return isJson(payload) ? null : 'payload-malformed';
}
