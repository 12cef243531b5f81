/**
 * What a change of the shard map changes, and whether it is allowed.
 *
 * Owns: the rules of epochs and of the operators' lease. Refuses: what no running process can take.
 * What needs a process's own knowledge (whether a slot is on its disk) is not decided here.
 */
import { DataPlaneError } from '../base/data-plane-error.ts';
import { digestOf } from './map-digest.ts';
import { heldSlotsOf, rangesText, type ShardMap, slotsOfNode } from './shard-map.ts';

/** One difference of two maps, for people. Null: it is not there. */
export type MapDifference = {
  readonly what: 'node' | 'address' | 'zone' | 'capacity' | 'slots' | 'replicas' | 'move' | 'lease' | 'doubling';
  /** A node, a shard, or '' for the lease and doubling. */
  readonly name: string;
  readonly before: string | null;
  readonly after: string | null;
};

export type ChangeRules = {
  readonly nowMs: number;
  /** In whose name the change is made: only the holder of a lease may, while it lasts. */
  readonly holder: string | null;
  /** True for a map that is in force elsewhere: what led to it may have been missed here. */
  readonly isDecided?: boolean;
};

function refuse(problem: string, hint: string): never {
  throw new DataPlaneError('ConfigInvalid', `shard map: ${problem}`, { hint });
}

function refuseEpoch(before: ShardMap, after: ShardMap): void {
  const hint = `\`skyshard map show\` prints the map in force; change that, with epoch ${before.epoch + 1} or higher.`;
  if (after.epoch < before.epoch) refuse(`epoch ${after.epoch} is below ${before.epoch}, which is in force`, hint);
  if (after.epoch > before.epoch || digestOf(before) === digestOf(after)) return;
  refuse(`epoch ${after.epoch} is in force with other contents`, hint);
}

/** Slots become twice as many in one way only, and stay where they are until all have split. */
function refuseOtherSlots(before: ShardMap, after: ShardMap, { isDecided }: ChangeRules): void {
  const hint = 'Only `skyshard slots double` changes the number of slots.';
  if (isDecided === true && after.slots >= before.slots) return;
  const isBegun = after.isDoubling && !before.isDoubling;
  if (after.slots !== (isBegun ? 2 : 1) * before.slots)
    refuse(`${after.slots} slots, while the data has ${before.slots}`, hint);
  if (isBegun && before.shards.some(({ move }) => move !== null))
    refuse('slots are moving, and cannot be doubled meanwhile', hint);
  if (!after.isDoubling) return;
  // Copies may change places, and be given up: a node may be lost meanwhile.
  for (const name of after.nodes.keys()) {
    const had = new Set(heldSlotsOf(before, name));
    const moved = heldSlotsOf(after, name).find((slot) => slot < before.slots && !had.has(slot));
    if (moved !== undefined) refuse(`slot ${moved} cannot go to another node while slots are doubled`, hint);
  }
}

function refuseDuringLease(before: ShardMap, { nowMs, holder }: ChangeRules): void {
  const { lease } = before;
  if (lease === null || lease.untilMs <= nowMs || lease.holder === holder) return;
  const until = new Date(lease.untilMs).toISOString();
  const hint = `Wait until then, or, if it is you, push with --lease-holder ${lease.holder}.`;
  refuse(`${lease.holder} holds the lease on the map until ${until}`, hint);
}

/**
 * Checks that a cluster with one map may take another.
 *
 * Returns: false if both say the same, as when a push that was cut short is repeated.
 * Errors: DataPlaneError `ConfigInvalid` with what to do.
 */
export function checkMapChange(before: ShardMap, after: ShardMap, rules: ChangeRules): boolean {
  if (after.cluster !== before.cluster) {
    refuse(`it is of cluster "${after.cluster}", this is "${before.cluster}"`, 'Push the map of this cluster.');
  }
  refuseEpoch(before, after);
  if (after.epoch === before.epoch) return false;
  refuseOtherSlots(before, after, rules);
  refuseDuringLease(before, rules);
  for (const { name, port } of after.nodes.values()) {
    if (port === 0) refuse(`nodes.${name}.port: 0 is no port that others can call`, 'Name the port.');
  }
  return true;
}

type Rows = readonly (readonly [what: MapDifference['what'], name: string, text: string | null])[];

/** Returns what a map says, in rows that are told apart by what and name. */
function rowsOf(map: ShardMap): Rows {
  const { nodes, shards, lease, isDoubling, slots: count } = map;
  const ofNodes = [...nodes.values()].flatMap(({ name, host, port, zone, capacity }): Rows => {
    const slots = slotsOfNode(map, name);
    return [
      ['node', name, 'named'],
      ['address', name, `${host}:${port}`],
      ['zone', name, zone],
      ['capacity', name, String(capacity)],
      ['slots', name, slots.length === 0 ? null : rangesText(slots)],
    ];
  });
  const ofShards = shards.flatMap(({ name, replicas, slots, move }): Rows => {
    const text = replicas.length === 0 ? null : [...replicas].sort().join(',');
    if (move === null) return [['replicas', name, text]];
    const { from, to, step, isPaused, bytesPerSecond, p99MsMax } = move;
    const how = [
      step,
      ...(isPaused ? ['paused'] : []),
      ...(bytesPerSecond === null ? [] : [`${bytesPerSecond} B/s`]),
      ...(p99MsMax === null ? [] : [`p99 of reads at most ${p99MsMax} ms`]),
    ];
    return [
      ['replicas', name, text],
      ['move', name, `slots ${rangesText(slots)} from ${from} to ${to}, ${how.join(', ')}`],
    ];
  });
  const until = lease === null ? null : `${lease.holder} until ${new Date(lease.untilMs).toISOString()}`;
  const doubling = isDoubling ? `${count / 2} slots become ${count}` : null;
  return [...ofNodes, ...ofShards, ['doubling', '', doubling], ['lease', '', until]];
}

/** Returns the differences: those of nodes, then of shards, then of the lease. */
export function differencesOf(before: ShardMap, after: ShardMap): MapDifference[] {
  const keyOf = (what: string, name: string): string => `${what} ${name}`;
  const textsBefore = new Map(rowsOf(before).map(([what, name, text]) => [keyOf(what, name), text]));
  const rowsAfter = rowsOf(after);
  const keysAfter = new Set(rowsAfter.map(([what, name]) => keyOf(what, name)));
  const gone = rowsOf(before).filter(([what, name]) => !keysAfter.has(keyOf(what, name)));
  return [
    ...rowsAfter.map(([what, name, after]): MapDifference => {
      return { what, name, before: textsBefore.get(keyOf(what, name)) ?? null, after };
    }),
    ...gone.map(([what, name, before]): MapDifference => ({ what, name, before, after: null })),
  ].filter(({ before, after }) => before !== after);
}
