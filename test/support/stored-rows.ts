/** What rows of the state table hold, for tests and benches that look at all of them. */
import { type ActorCountName, actorCountNames } from '../../src/slot/table/actor-counts.ts';
import { type RecordCountName, recordCountNames } from '../../src/slot/table/record-counts.ts';
import { beginKey, keyHead, type SlotState, tableCode } from '../../src/slot/table/slot-state.ts';

/** Returns the table of a key. */
export function tableOfKey(key: Buffer): number {
  return key.readUInt32BE(0) % keyHead(1, 0);
}

function countsOf<Name extends string>(names: readonly Name[], row: Buffer | undefined): Record<Name, number> {
  const entries = names.map((name, index) => [name, row?.readUInt32BE(4 * index) ?? 0] as const);
  return Object.fromEntries(entries) as Record<Name, number>;
}

/** Returns the counts of an actor by name; all are 0 without a row. */
export function actorCountsOf(state: SlotState, owner: number): Record<ActorCountName, number> {
  return countsOf(actorCountNames, state.rows.getVolatile(beginKey(owner, tableCode.actorCounts).finish()));
}

/** Returns the counts of a record by name; all are 0 without a row. */
export function recordCountsOf(state: SlotState, key: Buffer): Record<RecordCountName, number> {
  return countsOf(recordCountNames, state.rows.getVolatile(key));
}
