/** Pages of all labelers of a node: the AT-URIs and records of their services. */
import { nsid } from '../../atproto/collection.ts';
import { recordUri } from '../../atproto/compact-key.ts';
import { fieldNumber } from '../../proto/generated/bsky-service.ts';
import type { MessageWriter } from '../../proto/message-writer.ts';
import { getActor } from '../../slot/table/actor-row.ts';
import { labelersAfter } from '../../slot/table/labeler.ts';
import { encodeLabelersPosition, type LabelersPosition, labelersPageMax } from '../../wire/labelers-page.ts';
import { answerBytesMax } from '../../wire/partial-answer.ts';
import { writeRecord } from '../lookup/record-answer.ts';
import { knownCollection } from '../lookup/row-finder.ts';
import { type AnsweredSlot, requireWhole, type SlotLookup } from '../lookup/slot-lookup.ts';
import type { SlicedRead, Turn } from '../lookup/turn.ts';
import { selfRow } from './actor-infos.ts';

const { uris, records } = fieldNumber.GetAllLabelersResponse;
const labeler = knownCollection(nsid.labeler);
/** About what a labeler takes, whose record has at most 32 KiB. */
const labelerMicros = 25;

/** Writes one labeler; nothing if its record is too large, or another slot answers for it. */
function writeLabeler(into: MessageWriter, { state, isOwn }: AnsweredSlot, owner: number): void {
  const did = getActor(state, owner)?.did;
  const row = selfRow(state, owner, labeler);
  if (did === undefined || row === undefined || !isOwn(did)) return;
  writeRecord(into, records, row);
  into.textField(uris, recordUri({ did, collection: nsid.labeler, rkey: 'self' }));
}

/** Writes labelers after a position. Returns that of the last one, or null at the end. */
function* writePage(
  into: MessageWriter,
  lookup: SlotLookup,
  { slot, owner }: LabelersPosition,
  turn: Turn,
): SlicedRead<LabelersPosition | null> {
  let left = labelersPageMax;
  for (const served of lookup.primariesFrom(slot)) {
    const { slot: index, state } = served;
    const after = index === slot ? owner : 0;
    const owners = labelersAfter(state, after, left + 1);
    if (owners.length === 0 && after === 0) requireWhole(state);
    let last = after;
    for (const labelerOwner of owners) {
      if (left-- === 0 || into.length > answerBytesMax) return { slot: index, owner: last };
      writeLabeler(into, served, labelerOwner);
      last = labelerOwner;
      if (turn.isOver(labelerMicros)) yield;
    }
  }
  return null;
}

/** Writes a page with the position of the next one before it. */
export function* writeLabelers(
  into: MessageWriter,
  lookup: SlotLookup,
  from: LabelersPosition,
  turn: Turn,
): SlicedRead<void> {
  const at = into.length;
  // All positions are of one length, and this one is known last.
  into.raw(encodeLabelersPosition(from));
  const next = yield* writePage(into, lookup, from, turn);
  encodeLabelersPosition(next).copy(into.buffer, at);
}
