/** Answers of GetInteractionCounts and GetCountsForUsers: a packed field for each kind of count. */

import { writeVarint } from '../../base/varint.ts';
import { FieldScanner } from '../../proto/fields.ts';
import { fieldNumber } from '../../proto/generated/bsky-service.ts';
import type { MessageWriter } from '../../proto/message-writer.ts';
import { type ActorCountName, actorCountNames } from '../../slot/table/actor-counts.ts';
import { recordCountNames } from '../../slot/table/record-counts.ts';
import { keyHead, keyHeadBytes, tableCode } from '../../slot/table/slot-state.ts';
import type { RecordCache } from '../cache/record-cache.ts';
import type { RowFinder } from '../lookup/row-finder.ts';
import type { ItemGroup } from './item-group.ts';
import type { RecordReads } from './records.ts';

/** Response fields of GetInteractionCounts, and the position of each count in a row. */
const recordColumns = recordCountNames
  .map((name, position) => ({ number: fieldNumber.GetInteractionCountsResponse[name], position }))
  .sort((a, b) => a.number - b.number);
const recordColumnCount = recordCountNames.length;

const userCounts = fieldNumber.GetCountsForUsersResponse;
const userColumns: readonly (readonly [number, ActorCountName])[] = [
  [userCounts.posts, 'posts'],
  [userCounts.following, 'follows'],
  [userCounts.followers, 'followers'],
  [userCounts.lists, 'lists'],
  [userCounts.feeds, 'feeds'],
  [userCounts.starterPacks, 'starterPacks'],
  [userCounts.drafts, 'drafts'],
];
/** Response fields of GetCountsForUsers, and the position of each count in a row. */
const actorColumns = userColumns.map(([number, name]) => ({ number, position: actorCountNames.indexOf(name) }));
const actorColumnCount = actorCountNames.length;

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

/** Loads `width` counts of an item. A row that does not exist is cached as an empty one. */
function loadItem(group: ItemGroup, item: number, cache: RecordCache, base: number, width: number): void {
  const key = group.key(item);
  if (key === undefined) {
    counts.fill(0, base, base + width);
    return;
  }
  const state = group.state(item);
  const hit = cache.get(state, key, group.hash(item));
  if (hit !== undefined) return loadCounts(hit.source, hit.start, hit.end, base, width);
  const source = state.rows.getVolatile(key) ?? noRow;
  const end = source.length;
  loadCounts(source, 0, end, base, width);
  if (cache.shouldAdmit) cache.set(state, key, { source, start: 0, end, jsonStart: 0, jsonEnd: 0, postFlags: 0 });
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

/** About what the counts of an item take. */
const countsMicros = 2;

/** Loads `width` counts of each item. Returns how many items, and whether more were asked for. */
function loadItems(reads: RecordReads, take: () => boolean, width: number): { count: number; isPartial: boolean } {
  const { group, records, turn } = reads;
  let count = 0;
  let isEnd = false;
  while (take()) {
    reserveCounts((count + group.size) * width);
    for (let item = 0; item < group.size; item++) {
      if (isEnd) return { count, isPartial: true };
      loadItem(group, item, records.cache, count++ * width, width);
      isEnd = turn.isOver(countsMicros);
    }
  }
  return { count, isPartial: false };
}

/** Writes the counts of a request's records. Returns as an ItemsWriter does. */
export function writeInteractionCounts(into: MessageWriter, reads: RecordReads, request: Buffer): number | null {
  const { finder, group } = reads;
  const scanner = new FieldScanner(request, 'refs');
  const inner = new FieldScanner(request, 'refs', 0, 0);
  const keyOf = (start: number, end: number): Buffer | undefined =>
    finder.anyKeyOf(request, start, end, tableCode.recordCounts);
  const take = (): boolean => group.take(request, scanner, refs, keyOf, inner);
  const { count, isPartial } = loadItems(reads, take, recordColumnCount);
  if (count === 0) return null;
  for (const { number, position } of recordColumns) writeColumn(into, number, count, recordColumnCount, position);
  return isPartial ? count : null;
}

const actorCountsKey = Buffer.alloc(keyHeadBytes);

/** Returns the key of an actor's counts; the next call overwrites it. */
function actorCountsKeyOf(finder: RowFinder, request: Buffer, start: number, end: number): Buffer | undefined {
  if (!finder.findOwner(request, start, end)) return undefined;
  actorCountsKey.writeUInt32BE(keyHead(finder.owner, tableCode.actorCounts));
  return actorCountsKey;
}

/** Writes the counts of a request's actors. Returns as an ItemsWriter does. */
export function writeCountsForUsers(into: MessageWriter, reads: RecordReads, request: Buffer): number | null {
  const { finder, group } = reads;
  const scanner = new FieldScanner(request, 'dids');
  const keyOf = (start: number, end: number): Buffer | undefined => actorCountsKeyOf(finder, request, start, end);
  const take = (): boolean => group.take(request, scanner, dids, keyOf);
  const { count, isPartial } = loadItems(reads, take, actorColumnCount);
  if (count === 0) return null;
  for (const { number, position } of actorColumns) writeColumn(into, number, count, actorColumnCount, position);
  return isPartial ? count : null;
}
