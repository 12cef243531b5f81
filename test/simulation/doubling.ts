/** What a simulated cluster needs to double its slots. */

import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readDid } from '../../src/atproto/compact-key.ts';
import type { SeededRandom } from '../../src/base/seeded-random.ts';
import { keyHash, slotOf } from '../../src/shardmap/slot-of.ts';
import { makeChild } from '../../src/slot/child-slot.ts';
import type { Slot } from '../../src/slot/slot.ts';
import { readHandle } from '../../src/slot/table/handle-claim.ts';
import {
  beginSlotKey,
  firstOwnerKey,
  keyHeadOf,
  lastOwnerKey,
  readKey,
  tableCode,
} from '../../src/slot/table/slot-state.ts';
import { prefixEnd } from '../../src/storage/environment.ts';

/**
 * How often a slot split, a chunk from outside went on to a child, a chunk of effects was refused
 * by one that had split, or was too early for one that had yet to, a process ended before the child
 * was made.
 */
export type SplitCounts = { splits: number; moved: number; refused: number; early: number; crashes: number };

/** Returns the slot of a key among those that have split and those that have not. */
export function ownerOf(key: string, fewest: number, slots: ReadonlyMap<number, Slot>): number {
  const hash = keyHash(key);
  let count = fewest;
  for (;;) {
    const slot = hash & (count - 1);
    if (slots.get(slot)!.slots === count || !slots.has(hash & (2 * count - 1))) return slot;
    count *= 2;
  }
}

/**
 * Makes the child of a slot that has split; or leaves what a process does that ends in the middle
 * of that, or just after it.
 */
export async function makeChildAtLast(parent: Slot, path: string, random: SeededRandom): Promise<'made' | 'ended'> {
  const draw = random.below(4);
  if (draw === 0 && !existsSync(path)) {
    const unfinished = `${path}-unfinished`;
    mkdirSync(unfinished, { recursive: true });
    writeFileSync(join(unfinished, 'data.mdb'), 'the beginning of a copy');
    return 'ended';
  }
  await makeChild(parent, path);
  if (draw === 1) return 'ended';
  parent.childIsMade();
  return 'made';
}

/** Returns DIDs and handles of which a slot holds something although they are of another. */
export function strayKeys({ index, slots, state }: Slot): string[] {
  const keysOf = (table: number, read: (key: Buffer) => string): string[] => {
    const start = beginSlotKey(table).finish();
    return [...state.rows.scanKeys({ start, end: prefixEnd(start) })].map(read);
  };
  const readKeyDid = (key: Buffer): string => readDid(readKey(key));
  const keys = [
    ...keysOf(tableCode.ownerByDid, readKeyDid),
    ...keysOf(tableCode.handle, readHandle),
    ...keysOf(tableCode.resyncNeeded, readKeyDid),
  ];
  const owners = new Set([
    0,
    ...keysOf(tableCode.ownerByDid, (key) => String(state.ownerOf(readKeyDid(key))!)).map(Number),
  ]);
  const unowned = [...state.rows.scanKeys({ start: firstOwnerKey(), end: lastOwnerKey() })].filter(
    (key) => !owners.has(keyHeadOf(key).owner),
  );
  return [...keys.filter((key) => slotOf(key, slots) !== index), ...unowned.map((key) => key.toString('hex'))];
}
