/**
 * Rows of a slot in groups by the hash of their keys, so that two copies that differ can tell which
 * rows do: first by a sum of each group, then row by row.
 *
 * Owns: what is said of a row. It names the account and the record, never what the row holds, and
 * no other account: who mutes whom is private.
 */
import { createHash } from 'node:crypto';
import { readCollection, readDid, readRkey, recordUri } from '../atproto/compact-key.ts';
import { InvariantError } from '../base/invariant.ts';
import { xxh32 } from '../base/xxh32.ts';
import { type GroupsAsked, type RowListed, rowsListedMax } from '../wire/slot-verify.ts';
import { beginSlotKey, keyHeadOf, readKey, type SlotState, tableCode } from './table/slot-state.ts';

const wholeState = { start: Buffer.from([0]), end: Buffer.alloc(64, 255) };
const hashLetters = 16;
const tableNames = new Map<number, string>(Object.entries(tableCode).map(([name, code]) => [code, name]));
/** Tables whose keys begin with a record. */
const tablesOfRecords: ReadonlySet<number> = new Set([
  tableCode.record,
  tableCode.recordCounts,
  tableCode.incomingRecord,
  tableCode.listMember,
  tableCode.packJoins,
]);

function groupOf(key: Buffer, count: number): number {
  return xxh32(key) & (count - 1);
}

function hashOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, hashLetters);
}

/**
 * Returns a sum of the rows of each group, or null where `goOn`, asked after each row, ended it.
 *
 * Shape: `count` is a power of two. Returns: eight hexadecimal digits a group.
 */
export function groupSums(state: SlotState, count: number, goOn: () => boolean): string | null {
  const sums = new Uint32Array(count);
  for (const { key, value } of state.rows.scan(wholeState)) {
    const group = groupOf(key, count);
    // A row's sum depends on which key has which value, and not on the order of rows.
    sums[group] = sums[group]! + xxh32(Buffer.concat([key, value]));
    if (!goOn()) return null;
  }
  return [...sums].map((sum) => sum.toString(16).padStart(8, '0')).join('');
}

/** Returns the rows of some groups, by the hashes of their keys; null as `groupSums`. */
export function rowsOfGroups(state: SlotState, { count, pick }: GroupsAsked, goOn: () => boolean): RowListed[] | null {
  const picked = new Set(pick);
  let rows: { readonly hash: string; readonly key: Buffer; readonly value: string }[] = [];
  const cut = (): void => {
    rows.sort((one, other) => (one.hash < other.hash ? -1 : 1));
    rows = rows.slice(0, rowsListedMax);
  };
  for (const { key, value } of state.rows.scan(wholeState)) {
    if (!goOn()) return null;
    if (!picked.has(groupOf(key, count))) continue;
    rows.push({ hash: hashOf(key), key, value: hashOf(value) });
    if (rows.length > 2 * rowsListedMax) cut();
  }
  cut();
  const didOf = didsOf(state, new Set(rows.flatMap(({ key }) => (key.length < 4 ? [] : [keyHeadOf(key).owner]))));
  return rows.map(({ hash, key, value }) => ({ key: hash, value, what: whatOf(key, didOf) }));
}

/** Returns the DIDs of owners, by their numbers. */
function didsOf(state: SlotState, owners: ReadonlySet<number>): ReadonlyMap<number, string> {
  const start = beginSlotKey(tableCode.ownerByDid).finish();
  const end = beginSlotKey(tableCode.ownerByDid + 1).finish();
  const dids = new Map<number, string>();
  for (const { key, value } of state.rows.scan({ start, end })) {
    const owner = value.length < 4 ? 0 : value.readUInt32BE(0);
    if (owners.has(owner)) dids.set(owner, readable(() => readDid(readKey(key))) ?? `owner ${owner}`);
  }
  return dids;
}

/** Returns what is read, or null where the bytes, which may be damaged, do not say it. */
function readable<Value>(read: () => Value): Value | null {
  try {
    return read();
  } catch (thrown) {
    if (thrown instanceof InvariantError || thrown instanceof RangeError) return null;
    throw thrown;
  }
}

function whatOf(key: Buffer, didOf: ReadonlyMap<number, string>): string {
  if (key.length < 4) return 'a row without a table';
  const { owner, table } = keyHeadOf(key);
  const name = tableNames.get(table) ?? `table ${table}`;
  const did = owner === 0 ? null : (didOf.get(owner) ?? `owner ${owner}`);
  if (did === null) return name;
  const uri = tablesOfRecords.has(table)
    ? readable(() => {
        const reader = readKey(key);
        return recordUri({ did, collection: readCollection(reader), rkey: readRkey(reader) });
      })
    : null;
  return `${name} of ${uri ?? did}`;
}
