/** How large the file of a slot would be if its pages were full, from a sample of its rows. */
import { leafBytesOf } from '../storage/compaction.ts';
import type { Environment } from '../storage/environment.ts';
import { beginKey, lastOwnerKey, type SlotState, slotTables } from './table/slot-state.ts';

type Sized = { readonly state: SlotState; readonly environment: Environment };

/** Rows are read at so many places, spread over owners and tables. */
const places = 64;
const rowsPerPlace = 64;
/** A step among the tables that meets all of them. */
const tableStep = 7;
const tableCodes = 64;
/** What full pages leave unused at their ends, and the pages above them. */
const filledShare = 0.96;

/** Returns about how many bytes the file has once it is compacted. */
export function packedBytesOf({ state, environment }: Sized): number {
  const end = lastOwnerKey();
  const owners = Math.max(1, state.nextOwner - 1);
  let [sampled, sampledBytes] = [0, 0];
  for (let place = 0; place < places; place++) {
    const owner = 1 + Math.floor((place * owners) / places);
    const start = beginKey(owner, (place * tableStep) % tableCodes).finish();
    for (const { key, value } of state.rows.scan({ start, end, limit: rowsPerPlace })) {
      sampled++;
      sampledBytes += leafBytesOf(key.length, value.length);
    }
  }
  const packedBytes = (state.rows.rowCount * sampledBytes) / sampled / filledShare;
  const stateBytes = sampled === 0 ? state.rows.pageBytes : packedBytes;
  const otherBytes = environment.pageBytes - environment.table(slotTables.state).pageBytes;
  return Math.min(environment.usedBytes, Math.ceil(stateBytes + otherBytes));
}
