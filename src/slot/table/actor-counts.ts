/** Counts per actor: (owner, actorCounts) → one 32-bit number each, in the order of `actorCountNames`. */
import { ByteReader } from '../../base/bytes.ts';
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

/** The name of one count of an actor. */
export type ActorCountName = (typeof actorCountNames)[number];

/** All counts of one actor. */
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

/** Holds a row while it is changed: values of fixed length need no memory of their own. */
const row = Buffer.allocUnsafeSlow(4 * actorCountNames.length);

/** Adds one to a count, or takes one away. It stays at 0 rather than wrap to four thousand million. */
export function addToActorCount(state: SlotState, owner: number, name: ActorCountName, change: 1 | -1): void {
  const rowKey = key(owner);
  const value = state.rows.getVolatile(rowKey);
  row.fill(0);
  value?.copy(row, 0, 0, value.length);
  const offset = 4 * actorCountNames.indexOf(name);
  row.writeUInt32BE(Math.max(0, row.readUInt32BE(offset) + change), offset);
  state.rows.put(rowKey, row);
}
