/** Counts per actor: (owner, actorCounts) → 32-bit numbers in the order of `actorCountNames`. */
import { ByteReader } from '../../base/bytes.ts';
import { changeCounter } from './counter-row.ts';
import { beginKey, type SlotState, tableCode } from './slot-state.ts';

/** The order is part of the stored format; append only. */
export const actorCountNames = [
  'followers',
  'follows',
  'posts',
  'lists',
  'feeds',
  'starterPacks',
  'likes',
  'reposts',
  'blocks',
] as const;

export type ActorCountName = (typeof actorCountNames)[number];

export type ActorCounts = Readonly<Record<ActorCountName, number>>;

function key(owner: number): Buffer {
  return beginKey(owner, tableCode.actorCounts).finish();
}

function readCounts(value: Buffer | undefined): Record<ActorCountName, number> {
  const counts = Object.fromEntries(actorCountNames.map((name) => [name, 0])) as Record<ActorCountName, number>;
  if (value === undefined) return counts;
  const reader = new ByteReader(value);
  for (const name of actorCountNames) counts[name] = reader.remaining >= 4 ? reader.u32() : 0;
  return counts;
}

/** Returns the counts of an owner; all are 0 when nothing was ever counted. */
export function getActorCounts(state: SlotState, owner: number): ActorCounts {
  return readCounts(state.rows.getVolatile(key(owner)));
}

/** Shared by all changes: a value of fixed length needs no allocation. */
const row = Buffer.allocUnsafeSlow(4 * actorCountNames.length);

/** Adds to a count. */
export function addToActorCount(state: SlotState, owner: number, name: ActorCountName, change: 1 | -1): void {
  const rowKey = key(owner);
  changeCounter(row, state.rows.getVolatile(rowKey), actorCountNames.indexOf(name), change);
  state.rows.put(rowKey, row);
}
