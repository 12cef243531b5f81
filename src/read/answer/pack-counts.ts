/** Answers of GetStarterPackCounts: who joined by each pack within a week, and ever. */
import { parseRecordUri } from '../../atproto/compact-key.ts';
import { decodeMessage } from '../../proto/codec.ts';
import { fieldNumber } from '../../proto/generated/bsky-service.ts';
import type { MessageWriter } from '../../proto/message-writer.ts';
import { joinsOf } from '../../slot/table/pack-joins.ts';
import { ownerOfDid, type SlotLookup } from '../lookup/slot-lookup.ts';
import type { Turn } from '../lookup/turn.ts';

const weekMs = 7 * 86_400_000;
/** About what a pack takes at most: a row for each hour of a week. */
const packMicros = 100;
const { joinedWeek, joinedAllTime } = fieldNumber.GetStarterPackCountsResponse;

function writePacked(into: MessageWriter, number: number, values: readonly number[]): void {
  const start = into.begin(number, 1);
  for (const value of values) into.varint(value);
  into.end(start, 1);
}

/** Writes the counts of a request's packs. Returns as an ItemsWriter does. */
export function writePackCounts(
  into: MessageWriter,
  { lookup, turn, nowMs }: { readonly lookup: SlotLookup; readonly turn: Turn; readonly nowMs: number },
  request: Buffer,
): number | null {
  const { refs } = decodeMessage('GetStarterPackCountsRequest', request);
  const [recents, alls]: [number[], number[]] = [[], []];
  for (const { uri } of refs) {
    const pack = parseRecordUri(uri);
    const state = pack === undefined ? undefined : lookup.stateOf(pack.did);
    const owner = pack === undefined || state === undefined ? undefined : ownerOfDid(state, pack.did);
    const isKnown = pack !== undefined && state !== undefined && owner !== undefined;
    const { recent, all } = isKnown ? joinsOf(state, { ...pack, owner }, nowMs - weekMs) : { recent: 0, all: 0 };
    recents.push(recent);
    alls.push(all);
    if (turn.isOver(packMicros)) break;
  }
  if (alls.length === 0) return null;
  writePacked(into, joinedWeek, recents);
  writePacked(into, joinedAllTime, alls);
  return alls.length < refs.length ? alls.length : null;
}
