/** Who liked records last, for the router to find those whom a viewer follows. */
import { parseRecordUri } from '../../atproto/compact-key.ts';
import { timeBytes } from '../../base/time-bytes.ts';
import type { MessageWriter } from '../../proto/message-writer.ts';
import { appendDid } from '../../slot/packing/key-text.ts';
import { incomingRecordPrefix } from '../../slot/table/incoming-edge.ts';
import { walkFrom, walkKeys } from '../lookup/page.ts';
import { ownerOfDid, requireWhole, type SlotLookup } from '../lookup/slot-lookup.ts';
import type { SlicedRead, Turn } from '../lookup/turn.ts';

/** Older likers of a record are not looked at, as on the official plane. */
const likersMax = 500;
const likerMicros = 1;

/** Writes a run of DIDs for each record; an empty one for a malformed URI. */
export function* writeRecentLikers(
  into: MessageWriter,
  lookup: SlotLookup,
  uris: readonly string[],
  turn: Turn,
): SlicedRead<void> {
  for (const uri of uris) {
    const run = into.beginLengthDelimited(2);
    const count = writeLikers(into, lookup, uri);
    into.end(run, 2);
    if (turn.isOver((count + 1) * likerMicros)) yield;
  }
}

function writeLikers(into: MessageWriter, lookup: SlotLookup, uri: string): number {
  const subject = parseRecordUri(uri);
  if (subject === undefined) return 0;
  const state = lookup.stateOf(subject.did);
  const owner = ownerOfDid(state, subject.did);
  if (owner === undefined) return 0;
  const prefix = incomingRecordPrefix(owner, subject.collection, subject.rkey, 'like');
  let count = 0;
  for (const key of walkKeys(state.rows, walkFrom(prefix, '', ''), likersMax)) {
    const did = into.beginLengthDelimited(1);
    appendDid(into, key, prefix.length + timeBytes);
    into.end(did, 1);
    count++;
  }
  if (count === 0) requireWhole(state);
  return count;
}
