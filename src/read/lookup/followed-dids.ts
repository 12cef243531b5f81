/** Whom an actor follows, and who is on a list, in pages of DIDs. */
import type { MessageWriter } from '../../proto/message-writer.ts';
import { decodeKeyToken, encodeKeyToken } from '../../proto/page-token.ts';
import { appendDid } from '../../slot/packing/key-text.ts';
import { edgeBySubjectPrefix } from '../../slot/table/edge-by-subject.ts';
import type { SlotState } from '../../slot/table/slot-state.ts';
import { keyAfter, prefixEnd } from '../../storage/environment.ts';
import { type FollowPage, followsPageLimit } from '../../wire/follows-messages.ts';
import { refuseToken } from './page.ts';
import { ownerOfDid, requireWhole } from './slot-lookup.ts';

/** Longer tokens are refused. */
const tokenRestBytesMax = 768;

/**
 * Writes a page of the DIDs that `did` follows into `texts`, length-delimited and in key order.
 *
 * `after` is '' or the previous page's `next`. Errors: DataPlaneError `InvalidArgument`.
 */
export function writeFollowedDids(
  texts: MessageWriter,
  state: SlotState,
  did: string,
  after: string,
  limit: number,
): Pick<FollowPage, 'count' | 'next'> {
  const owner = ownerOfDid(state, did);
  if (owner === undefined) return { count: 0, next: '' };
  return writeDidsUnder(texts, state, edgeBySubjectPrefix(owner, 'follow'), { after, limit });
}

/**
 * Writes a page of the DIDs that end the keys with a prefix, as `writeFollowedDids` does.
 * `isLeftOut` is asked about the DID's bytes in the key.
 */
export function writeDidsUnder(
  texts: MessageWriter,
  state: SlotState,
  prefix: Buffer,
  { after, limit }: { readonly after: string; readonly limit: number },
  isLeftOut?: (did: Buffer) => boolean,
): Pick<FollowPage, 'count' | 'next'> {
  const start = after === '' ? prefix : keyAfter(Buffer.concat([prefix, restOfKey(after)]));
  const max = Math.min(limit, followsPageLimit);
  let last: Buffer | null = null;
  let count = 0;
  let read = 0;
  for (const key of state.rows.scanKeys({ start, end: prefixEnd(prefix), limit: max + 1 })) {
    if (read++ === max) return { count, next: last === null ? '' : encodeKeyToken(last, prefix.length) };
    last = key;
    if (isLeftOut?.(key.subarray(prefix.length)) === true) continue;
    const begun = texts.beginLengthDelimited();
    appendDid(texts, key, prefix.length);
    texts.end(begun, 1);
    count++;
  }
  if (read === 0) requireWhole(state);
  return { count, next: '' };
}

function restOfKey(token: string): Buffer {
  return decodeKeyToken(token, tokenRestBytesMax) ?? refuseToken('slot.followsOf.after');
}
