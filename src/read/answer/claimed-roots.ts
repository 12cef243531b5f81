/** Which root a post claims: the first of the two steps in which a thread is read. */
import { nsid } from '../../atproto/collection.ts';
import { parseRecordUri, recordUri } from '../../atproto/compact-key.ts';
import { unpackedText } from '../../slot/packing/packed-json.ts';
import { recordKey } from '../../slot/table/record-row.ts';
import { type JsonObject, replyOf } from '../../slot/table/record-values.ts';
import { RecordView } from '../../slot/table/record-view.ts';
import { ownerOfDid, requireWhole, type SlotLookup } from '../lookup/slot-lookup.ts';
import type { SlicedRead, Turn } from '../lookup/turn.ts';
import { rowMicros } from './thread.ts';

const view = new RecordView();
const replyText = '"reply"';

/** Returns the URI of each post's claimed root: its own if it is no reply, '' if it is absent. */
export function* claimedRoots(lookup: SlotLookup, postUris: readonly string[], turn: Turn): SlicedRead<string[]> {
  const roots: string[] = [];
  for (const uri of postUris) {
    const row = rowOfPost(lookup, uri);
    roots.push(row === undefined ? '' : (rootOfPost(row) ?? uri));
    // Records are parsed at some hundred bytes a microsecond.
    if (turn.isOver(rowMicros + (row === undefined ? 0 : row.length / 100))) yield;
  }
  return roots;
}

/** Returns the volatile row of a post. */
function rowOfPost(lookup: SlotLookup, uri: string): Buffer | undefined {
  const ref = parseRecordUri(uri);
  if (ref === undefined || ref.collection !== nsid.post) return undefined;
  const state = lookup.stateOf(ref.did);
  const owner = ownerOfDid(state, ref.did);
  if (owner === undefined) return undefined;
  const row = state.rows.getVolatile(recordKey(owner, ref.collection, ref.rkey));
  if (row === undefined) requireWhole(state);
  return row;
}

function rootOfPost(row: Buffer): string | undefined {
  const json = unpackedText(row, view.read(row).bodyAt, row.length);
  if (!json.includes(replyText)) return undefined;
  const reply = replyOf(JSON.parse(json) as JsonObject);
  return reply === undefined ? undefined : recordUri(reply.root);
}
