/**
 * Which slots a node's folder has made: a slot whose folder should be there and is not is refused,
 * never made anew as if it had always been empty.
 *
 * `slots.json` lists the slots, and is written once they are made and before the node serves them.
 */
import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import * as v from 'valibot';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { openObjectShape, wholeNumberShape } from '../config/json-shape.ts';
import type { SlotCondition } from '../entry/lifecycle-entry.ts';
import { heldSlotsOf, type ShardMap, slotsOfNode } from '../shardmap/shard-map.ts';
import { readDurable, writeDurably } from '../storage/durable-file.ts';
import { slotPath } from './data-folder.ts';

const shape = openObjectShape({ slots: v.array(wholeNumberShape(0, 65_535), 'must be an array of slots') });

/** `beginAgain` holds the slots that the operator lets begin again, if they are missing. */
export type SlotFoldersOptions = {
  readonly dataDir: string;
  readonly slots: readonly number[];
  readonly isOnlyNode: boolean;
  /** True where other nodes may have these slots too, as replicas. */
  readonly mayBeElsewhere: boolean;
  readonly beginAgain: readonly number[];
};

function listPath(dataDir: string): string {
  return join(dataDir, 'slots.json');
}

/** Returns the file that is there while slots are restored into a folder. */
export function restoreNotePath(dataDir: string): string {
  return join(dataDir, 'restore.json');
}

/** Errors: DataPlaneError `ConfigInvalid` for a folder whose restore was cut short. */
export function requireNoRestore(dataDir: string): void {
  if (!existsSync(restoreNotePath(dataDir))) return;
  throw new DataPlaneError('ConfigInvalid', `${dataDir} is in the middle of a restore`, {
    hint: 'Run `skyshard restore` again, as before: it goes on.',
  });
}

/** Returns the slots that the folder has made; undefined for a folder that never made any. */
function slotsMade(dataDir: string): readonly number[] | undefined {
  return readDurable(listPath(dataDir), shape)?.slots;
}

/** Returns whether the folder has the data of a slot. */
export function isSlotThere(dataDir: string, slot: number): boolean {
  return existsSync(join(slotPath(dataDir, slot), 'data.mdb'));
}

/** Returns the slots that a node has by a map, and that a split of their parents is to make. */
export function unmadeChildren(dataDir: string, map: ShardMap, name: string): number[] {
  if (!map.isDoubling) return [];
  const made = slotsMade(dataDir) ?? [];
  const isUnmade = (slot: number): boolean => !isSlotThere(dataDir, slot) && !made.includes(slot);
  return heldSlotsOf(map, name).filter((slot) => slot >= map.slots / 2 && isUnmade(slot));
}

/** Returns the slots for which a node answers: all that it is the primary of, but for such. */
export function answeredSlots(dataDir: string, map: ShardMap, name: string): number[] {
  const unmade = unmadeChildren(dataDir, map, name);
  return slotsOfNode(map, name).filter((slot) => !unmade.includes(slot));
}

/**
 * Returns the slots that a node has to open: all that it has by a map, but for such children that
 * do not begin again.
 */
export function slotsToOpen(
  dataDir: string,
  map: ShardMap,
  name: string,
  beginAgain: readonly number[] = [],
): number[] {
  const unmade = unmadeChildren(dataDir, map, name).filter((slot) => !beginAgain.includes(slot));
  return heldSlotsOf(map, name).filter((slot) => !unmade.includes(slot));
}

const hintOfOtherMap = 'Start with the shard map under which they were made, or move their folders.';

/**
 * Checks that no slot which the folder lacks is in the folder of another node beside it, as after a
 * change of the map: it would begin again as if it had always been empty.
 *
 * Errors: DataPlaneError `ConfigInvalid` naming the slots and where they are.
 */
export function requireNoneElsewhere(dataDir: string, slots: readonly number[], hint = hintOfOtherMap): void {
  const beside = dirname(dataDir);
  if (!existsSync(beside)) return;
  const others = readdirSync(beside).filter((name) => name.startsWith('node-') && name !== basename(dataDir));
  for (const other of others) {
    const held = slots.filter((slot) => !isSlotThere(dataDir, slot) && isSlotThere(join(beside, other), slot));
    if (held.length === 0) continue;
    const problem = `${dataDir} lacks slots that are in ${join(beside, other)}: ${held.join(',')}`;
    throw new DataPlaneError('ConfigInvalid', problem, { hint });
  }
}

/**
 * Returns in which condition each slot begins whose folder is not there, by slot.
 *
 * Errors: DataPlaneError `ConfigInvalid` naming the slots that are missing, and what to do.
 */
export function conditionsOfMissing(options: SlotFoldersOptions): ReadonlyMap<number, SlotCondition> {
  const { dataDir, slots, isOnlyNode, mayBeElsewhere, beginAgain } = options;
  const made = slotsMade(dataDir);
  // A start that was refused has left files of slots that were never served.
  const isNothing = (slot: number): boolean => beginAgain.includes(slot) && made?.includes(slot) !== true;
  const missing = slots.filter((slot) => !isSlotThere(dataDir, slot) || isNothing(slot));
  const lost = missing.filter((slot) => made?.includes(slot) === true && !beginAgain.includes(slot));
  if (lost.length > 0) {
    const names = lost.join(',');
    throw new DataPlaneError('ConfigInvalid', `${dataDir} has held slots that are missing: ${names}`, {
      hint: `Put back their folders below ${join(dataDir, 'slots')}; or, if they are lost, start once with --begin-again ${names}, then run \`skyshard repair slot <n>\` for each.`,
    });
  }
  if (!mayBeElsewhere) requireNoneElsewhere(dataDir, missing);
  // No other node can know more of it.
  const isFirst = isOnlyNode && made === undefined && missing.length === slots.length;
  return new Map(
    missing.map((slot) => [slot, beginAgain.includes(slot) ? 'incomplete' : isFirst ? 'complete' : 'new']),
  );
}

/** Notes that these slots are not to be there any more. Returns when that is on disk. */
export function forgetSlotsMade(dataDir: string, slots: readonly number[]): void {
  const made = slotsMade(dataDir);
  const left = made?.filter((slot) => !slots.includes(slot));
  if (left !== undefined && left.length < made!.length)
    writeDurably(listPath(dataDir), `${JSON.stringify({ slots: left })}\n`);
}

/** Notes that the folders of these slots are made. Returns when that is on disk. */
export function noteSlotsMade(dataDir: string, slots: readonly number[]): void {
  const made = slotsMade(dataDir) ?? [];
  const all = [...new Set([...made, ...slots])].sort((a, b) => a - b);
  if (all.length > made.length) writeDurably(listPath(dataDir), `${JSON.stringify({ slots: all })}\n`);
}
