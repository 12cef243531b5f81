/** Answers of GetInteractionCounts and GetCountsForUsers: a packed field for each kind of count. */

import { writeVarint } from '../../base/varint.ts';
import { FieldScanner } from '../../proto/fields.ts';
import { fieldNumber } from '../../proto/generated/bsky-service.ts';
import type { MessageWriter } from '../../proto/message-writer.ts';
import { type ActorCountName, actorCountNames } from '../../slot/table/actor-counts.ts';
import { recordCountNames } from '../../slot/table/record-counts.ts';
import { keyHead, keyHeadBytes, type SlotState, tableCode } from '../../slot/table/slot-state.ts';
import type { RecordCache } from '../cache/record-cache.ts';
import type { RecordReads } from './records.ts';

/** Response fields of GetInteractionCounts, and the position of each count in a row. */
const recordColumns = recordCountNames
  .map((name, position) => ({ number: fieldNumber.GetInteractionCountsResponse[name], position }))
  .sort((a, b) => a.number - b.number);
const recordColumnCount = recordCountNames.length;

const userCounts = fieldNumber.GetCountsForUsersResponse;
/** Response fields of GetCountsForUsers. */
const actorColumns: readonly (readonly [number, ActorCountName])[] = [
  [userCounts.posts, 'posts'],
  [userCounts.following, 'follows'],
  [userCounts.followers, 'followers'],
  [userCounts.lists, 'lists'],
  [userCounts.feeds, 'feeds'],
  [userCounts.starterPacks, 'starterPacks'],
  [userCounts.drafts, 'drafts'],
];

const { refs } = fieldNumber.GetInteractionCountsRequest;
const { dids } = fieldNumber.GetCountsForUsersRequest;

let counts = new Uint32Array(1024);

function reserveCounts(needed: number): void {
  if (needed <= counts.length) return;
  const grown = new Uint32Array(Math.max(needed, counts.length * 2));
  grown.set(counts);
  counts = grown;
}

/** Writes column `position` of the loaded rows, of `width` numbers each, as a packed field. */
function writeColumn(into: MessageWriter, number: number, count: number, width: number, position: number): void {
  const start = into.begin(number, 1);
  into.reserve(count * 5);
  const { buffer } = into;
  let at = into.length;
  for (let item = 0; item < count; item++) {
    at = writeVarint(buffer, at, counts[item * width + position]!);
  }
  into.length = at;
  into.end(start, 1);
}

const noRow = Buffer.alloc(0);

/** Loads `width` counts of the row `key`. A row that does not exist is cached as an empty one. */
function loadRow(state: SlotState, cache: RecordCache, key: Buffer, base: number, width: number): void {
  const hit = cache.get(state, key);
  if (hit !== undefined) return loadCounts(hit.source, hit.start, hit.end, base, width);
  const source = state.rows.getVolatile(key) ?? noRow;
  const end = source.length;
  loadCounts(source, 0, end, base, width);
  if (cache.shouldAdmit) cache.set(state, key, { source, start: 0, end, jsonStart: 0, jsonEnd: 0, postFlags: 0 });
}

/** About what the counts of an item take. */
const countsMicros = 2;

/** Writes the counts of a request's records. Returns as an ItemsWriter does. */
export function writeInteractionCounts(
  into: MessageWriter,
  { finder, records, turn }: RecordReads,
  request: Buffer,
): number | null {
  const { cache } = records;
  const scanner = new FieldScanner(request, 'refs');
  const inner = new FieldScanner(request, 'refs', 0, 0);
  let count = 0;
  let isEnd = false;
  let isPartial = false;
  while (scanner.nextOf(refs)) {
    if (isEnd) {
      isPartial = true;
      break;
    }
    reserveCounts((count + 1) * recordColumnCount);
    inner.reset(request, scanner.start, scanner.end).lastOf(fieldNumber.RecordRef.uri);
    const key = finder.anyKeyOf(request, inner.start, inner.end, tableCode.recordCounts);
    const base = count * recordColumnCount;
    if (key === undefined) counts.fill(0, base, base + recordColumnCount);
    else loadRow(finder.state, cache, key, base, recordColumnCount);
    count++;
    isEnd = turn.isOver(countsMicros);
  }
  if (count === 0) return null;
  for (const { number, position } of recordColumns) writeColumn(into, number, count, recordColumnCount, position);
  return isPartial ? count : null;
}

/** Loads the row at `source[start..end)`; counts that it lacks are 0. */
function loadCounts(source: Buffer, start: number, end: number, base: number, width: number): void {
  const known = Math.min(width, (end - start) >>> 2);
  for (let position = 0; position < known; position++) {
    const at = start + position * 4;
    counts[base + position] = (source[at]! << 24) | (source[at + 1]! << 16) | (source[at + 2]! << 8) | source[at + 3]!;
  }
  counts.fill(0, base + known, base + width);
}

const actorCountsKey = Buffer.alloc(keyHeadBytes);

/** Writes the counts of a request's actors. Returns as an ItemsWriter does. */
export function writeCountsForUsers(
  into: MessageWriter,
  { finder, records, turn }: RecordReads,
  request: Buffer,
): number | null {
  const { cache } = records;
  const scanner = new FieldScanner(request, 'dids');
  const width = actorCountNames.length;
  let count = 0;
  let isEnd = false;
  let isPartial = false;
  while (scanner.nextOf(dids)) {
    if (isEnd) {
      isPartial = true;
      break;
    }
    reserveCounts((count + 1) * width);
    const base = count * width;
    if (finder.findOwner(request, scanner.start, scanner.end)) {
      actorCountsKey.writeUInt32BE(keyHead(finder.owner, tableCode.actorCounts));
      loadRow(finder.state, cache, actorCountsKey, base, width);
    } else counts.fill(0, base, base + width);
    count++;
    isEnd = turn.isOver(countsMicros);
  }
  if (count === 0) return null;
  for (const [number, name] of actorColumns) {
    writeColumn(into, number, count, width, actorCountNames.indexOf(name));
  }
  return isPartial ? count : null;
}
