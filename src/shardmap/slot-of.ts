/** Assigns every key to its slot: `xxh32(utf8(key), seed 0) mod slots`, which never changes. */
import { xxh32 } from '../base/xxh32.ts';

const scratch = Buffer.allocUnsafeSlow(4096);

/**
 * Returns the slot of a key: the DID for everything with an owner, the lower-case handle for the
 * handle table, `cluster` for tables without an owner.
 *
 * Shape: `slots` is a power of two. Units: a slot index from 0.
 */
export function slotOf(key: string, slots: number): number {
  const length = Buffer.byteLength(key);
  const source = length <= scratch.length ? scratch : Buffer.allocUnsafe(length);
  source.write(key, 0, length, 'utf8');
  return xxh32(source, length) & (slots - 1);
}

/** Returns by slot a key whose slot it is, for entries about no account. */
export function keysBySlot(slots: number): string[] {
  const keys = new Map<number, string>();
  for (let index = 0; keys.size < slots; index++) keys.set(slotOf(`key-${index}`, slots), `key-${index}`);
  return Array.from({ length: slots }, (_unused, slot) => keys.get(slot)!);
}
