/**
 * The doubling of slots, as changes of the shard map, and how far it is.
 *
 * Owns: the map that begins it, in which slot i + count is where slot i is, and the one that ends
 * it. Refuses: one that cannot be. Pure.
 */
import { DataPlaneError } from '../base/data-plane-error.ts';
import type { MapJson } from './map-follower.ts';
import { rangesText, type ShardMap } from './shard-map.ts';
import { slotCountMax } from './slot-of.ts';

function refuse(problem: string, hint: string): never {
  throw new DataPlaneError('ConfigInvalid', problem, { hint });
}

/**
 * Returns the map of the next epoch, in which slots are doubled.
 *
 * Errors: DataPlaneError `ConfigInvalid` saying why they cannot be.
 */
export function beginDoubling(json: MapJson, map: ShardMap): MapJson {
  const { slots: count, shards, isDoubling } = map;
  if (isDoubling) refuse('slots are doubled already', '`skyshard slots double` goes on with it.');
  if (2 * count > slotCountMax)
    refuse(`${count} slots cannot be doubled: there are at most ${slotCountMax}`, 'Move slots to more nodes instead.');
  const moving = shards.find(({ move }) => move !== null);
  if (moving !== undefined)
    refuse(
      `slots ${rangesText(moving.slots)} are moving from ${moving.move!.from} to ${moving.move!.to}`,
      '`skyshard move status` says how far they are; end the moves by `drop` or `cancel`, then run this again.',
    );
  const shardsJson = json['shards'] as readonly object[];
  return {
    ...json,
    epoch: map.epoch + 1,
    slots: 2 * count,
    doubling: true,
    shards: shards.map(({ slots }, index) => {
      const own = [...slots, ...slots.map((slot) => slot + count)];
      return { ...shardsJson[index], slots: rangesText(own).split(',') };
    }),
  };
}

/** Returns the map of the next epoch, in which all slots have split. */
export function endDoubling(json: MapJson, map: ShardMap): MapJson {
  const { doubling: _over, ...rest } = json;
  return { ...rest, epoch: map.epoch + 1 };
}

/** What a node says of one of its slots. */
export type DividedSlot = {
  readonly slot: number;
  /** The number of slots of which it is one; and of which it knows all others to be. */
  readonly slots: number;
  readonly knownSlots: number;
  /** True while it waits for its child, or removes what is the other's. */
  readonly isDividing: boolean;
  /** False while searches find what it has by the index of its parent; absent: nobody searches. */
  readonly isIndexed?: boolean | undefined;
};

export const doublingPhases = ['waits', 'splits', 'removes', 'tells', 'indexes', 'done'] as const;
/**
 * What a slot and its child are at: `waits` for its turn, `splits` while the child is made, each
 * `removes` what is the other's, `tells` until both know that all others have split, `indexes`
 * until searches find each by an index of its own.
 */
export type DoublingPhase = (typeof doublingPhases)[number];

/** By node, what it says of the slots that it has. */
export type DividedByNode = ReadonlyMap<string, readonly DividedSlot[]>;

/** Returns how far each slot of before the doubling is: the copy that is least far. */
export function doublingProgress(map: ShardMap, said: DividedByNode): Map<number, DoublingPhase> {
  const half = map.slots / 2;
  const phases = new Map<number, DoublingPhase>();
  for (const { primary, replicas, slots } of map.shards) {
    for (const node of [primary, ...replicas]) {
      const bySlot = new Map(said.get(node)?.map((each) => [each.slot, each]));
      for (const slot of slots.filter((each) => each < half)) {
        const phase = phaseOf(map, bySlot.get(slot), bySlot.get(slot + half));
        const other = phases.get(slot) ?? 'done';
        phases.set(slot, doublingPhases[Math.min(...[phase, other].map((each) => doublingPhases.indexOf(each)))]!);
      }
    }
  }
  return new Map([...phases].sort(([one], [other]) => one - other));
}

function phaseOf(map: ShardMap, parent: DividedSlot | undefined, child: DividedSlot | undefined): DoublingPhase {
  if (parent === undefined || parent.slots < map.slots) return 'waits';
  if (child === undefined) return 'splits';
  const both = [parent, child];
  if (both.some(({ isDividing }) => isDividing)) return 'removes';
  if (both.some(({ knownSlots }) => knownSlots < map.slots)) return 'tells';
  return both.some(({ isIndexed }) => isIndexed === false) ? 'indexes' : 'done';
}
