/** How large the file of a slot would be if its pages were full, from a sample of its rows. */
import { leafBytesOf } from '../storage/compaction.ts';
import type { Environment } from '../storage/environment.ts';
import { beginKey, type SlotState, slotTables } from './table/slot-state.ts';

type Sized = { readonly state: SlotState; readonly environment: Environment };

/** Whole owners are read, since their tables differ in size; of large ones the ends. */
const ownersSampled = 32;
const rowsPerEnd = 500;
/** What full pages leave unused at their ends, and the pages above them. */
const filledShare = 0.96;

/** Returns about how many bytes the file has once it is compacted. Costs milliseconds. */
export function packedBytesOf({ state, environment }: Sized): number {
  const owners = Math.max(1, state.nextOwner - 1);
  let [sampled, sampledBytes] = [0, 0];
  for (let index = 0; index < ownersSampled; index++) {
    const owner = 1 + Math.floor((index * owners) / ownersSampled);
    const [start, end] = [beginKey(owner, 0).finish(), beginKey(owner + 1, 0).finish()];
    for (const isReverse of [false, true]) {
      const before = sampled;
      const range = isReverse ? { start: end, end: start } : { start, end };
      for (const { key, value } of state.rows.scan({ ...range, isReverse, limit: rowsPerEnd })) {
        sampled++;
        sampledBytes += leafBytesOf(key.length, value.length);
      }
      if (sampled - before < rowsPerEnd) break;
    }
  }
  const packedBytes = (state.rows.rowCount * sampledBytes) / sampled / filledShare;
  const stateBytes = sampled === 0 ? state.rows.pageBytes : packedBytes;
  const otherBytes = environment.pageBytes - environment.table(slotTables.state).pageBytes;
  return Math.min(environment.usedBytes, Math.ceil(stateBytes + otherBytes));
}
