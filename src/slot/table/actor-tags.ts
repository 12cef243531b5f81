/** (owner, actorTags) → an operator's tags of an actor. They go with its account. */
import { ByteReader, sharedWriter } from '../../base/bytes.ts';
import { beginKey, type SlotState, tableCode } from './slot-state.ts';

const valueWriter = sharedWriter(512);

function rowKey(owner: number): Buffer {
  return beginKey(owner, tableCode.actorTags).finish();
}

/** Returns an actor's tags, none for most. */
export function getActorTags(state: SlotState, owner: number): string[] {
  const value = state.rows.getVolatile(rowKey(owner));
  return value === undefined ? [] : new ByteReader(value).texts();
}

/** Replaces an actor's tags. */
export function putActorTags(state: SlotState, owner: number, tags: readonly string[]): void {
  state.touchedOwners.add(owner);
  if (tags.length === 0) return state.rows.remove(rowKey(owner));
  valueWriter.varint(tags.length);
  for (const tag of tags) valueWriter.text(tag);
  state.rows.put(rowKey(owner), valueWriter.finish());
}
