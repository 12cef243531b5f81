/**
 * Assigns every key to its slot: `xxh32(utf8(key), seed 0) mod slots`. So of twice as many slots a
 * key has the same one, or that many above it: the child of the same one.
 */
import { xxh32 } from '../base/xxh32.ts';

/** A slot index takes two bytes in chunks. */
export const slotCountMax = 65_536;

const scratch = Buffer.allocUnsafeSlow(4096);

/**
 * Returns the slot of a key: the DID for everything with an owner, the lower-case handle for the
 * handle table, `cluster` for tables without an owner.
 *
 * Shape: `slots` is a power of two. Units: a slot index from 0.
 */
export function slotOf(key: string, slots: number): number {
  return keyHash(key) & (slots - 1);
}

/** Returns of a key the slot of as many as there can be; its lowest bits are that of fewer. */
export function keyHash(key: string): number {
  const length = Buffer.byteLength(key);
  const source = length <= scratch.length ? scratch : Buffer.allocUnsafe(length);
  source.write(key, 0, length, 'utf8');
  return xxh32(source, length) & (slotCountMax - 1);
}

/** Returns the slot from which a slot came if it began by a split; 0 for slot 0. */
export function parentOf(slot: number): number {
  return slot === 0 ? 0 : slot - 2 ** (31 - Math.clz32(slot));
}

/** Returns by slot a key whose slot it is, for entries about no account. */
export function keysBySlot(slots: number): string[] {
  const keys = new Map<number, string>();
  for (let index = 0; keys.size < slots; index++) keys.set(slotOf(`key-${index}`, slots), `key-${index}`);
  return Array.from({ length: slots }, (_unused, slot) => keys.get(slot)!);
}
