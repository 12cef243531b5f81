/**
 * Moves of copies of slots from one node to another, as changes of the shard map.
 *
 * Owns: what a move is at each of its steps, all of which the map says, so that whoever has the map
 * can go on with it. Slots that move together are a shard of their own meanwhile. `copying`: the
 * target is a replica more, and gets a copy. `kept`: the target has taken the place of the source,
 * which is a replica and kept in step, so that the move can be reversed. Then it is dropped.
 * Refuses: steps that do not follow on from what the map says. Pure.
 */
import { DataPlaneError } from '../base/data-plane-error.ts';
import type { MapJson } from './map-follower.ts';
import { rangesText, type Shard, type ShardMap, type ShardMove } from './shard-map.ts';

/** A copy of a slot, and where it is to go. */
export type MoveWish = { readonly slot: number; readonly from: string; readonly to: string };

type ShardJson = {
  readonly name: string;
  readonly primary: string;
  readonly replicas?: readonly string[] | null;
  readonly slots: readonly string[];
  readonly move?: ShardMove | null;
};

function refuse(problem: string, hint: string): never {
  throw new DataPlaneError('ConfigInvalid', problem, { hint });
}

const showMap = '`skyshard map show` prints the map in force.';

const noLimits = { bytesPerSecond: null, p99MsMax: null };

/** Returns the shards whose slots move. */
export function movesOf({ shards }: ShardMap): (Shard & { readonly move: ShardMove })[] {
  return shards.flatMap((shard) => (shard.move === null ? [] : [{ ...shard, move: shard.move }]));
}

function jsonOf({ name, primary, replicas, slots, move }: Shard): ShardJson {
  const ranges = rangesText(slots).split(',');
  return { name, primary, replicas: [...replicas], slots: ranges, ...(move === null ? {} : { move }) };
}

/** Returns the map of the next epoch with these shards; those that say the same become one. */
function withShards(json: MapJson, shards: readonly Shard[]): MapJson {
  const merged: Shard[] = [];
  for (const shard of shards) {
    const sets = ({ primary, replicas, move }: Shard): string => JSON.stringify([primary, [...replicas].sort(), move]);
    // Only what a move has taken apart comes together again: an operator's own shards stay apart.
    const into = merged.findIndex((other) => isPartOf(shard, other) && sets(other) === sets(shard));
    if (into < 0) merged.push(shard);
    else {
      const slots = [...merged[into]!.slots, ...shard.slots].sort((one, other) => one - other);
      const name = isPart(merged[into]!.name) ? shard.name : merged[into]!.name;
      merged[into] = { ...merged[into]!, name, slots };
    }
  }
  return { ...json, epoch: (json['epoch'] as number) + 1, shards: merged.map(jsonOf) };
}

const partMark = '~';

function isPart(name: string): boolean {
  return name.includes(partMark);
}

function isPartOf({ name }: Shard, { name: other }: Shard): boolean {
  return isPart(name) || isPart(other);
}

/** Returns a name for a part of a shard that no shard has. */
function partName(name: string, taken: ReadonlySet<string>): string {
  const base = name.split(partMark)[0]!;
  for (let number = 1; ; number++) if (!taken.has(`${base}${partMark}${number}`)) return `${base}${partMark}${number}`;
}

/** Errors: DataPlaneError `ConfigInvalid` saying why a copy cannot go where it is wanted. */
export function requireMovable(map: ShardMap, { slot, from, to }: MoveWish): Shard {
  for (const name of [from, to]) if (!map.nodes.has(name)) refuse(`the map has no node "${name}"`, showMap);
  const shard = map.shards.find(({ slots }) => slots.includes(slot));
  if (shard === undefined) refuse(`the map has no slot ${slot}`, '`skyshard status` lists the slots.');
  const { name, primary, replicas, move } = shard;
  if (move !== null)
    refuse(
      `slot ${slot} is moving already, from ${move.from} to ${move.to}`,
      '`skyshard move status` says how far it is; `skyshard move cancel`, `reverse` or `drop` ends it.',
    );
  if (primary !== from && !replicas.includes(from))
    refuse(`node ${from} has no copy of slot ${slot}: its primary is ${primary}`, showMap);
  if (primary === to) refuse(`node ${to} is the primary of slot ${slot} already`, showMap);
  if (replicas.includes(to))
    refuse(
      `node ${to} is a replica of slot ${slot} already`,
      `\`skyshard promote ${to} --shard ${name}\` makes it the primary, with all slots of the shard.`,
    );
  return shard;
}

/**
 * Returns the map in which moves have begun.
 *
 * Errors: DataPlaneError `ConfigInvalid` for one that cannot be.
 */
export function beginMoves(
  json: MapJson,
  map: ShardMap,
  wishes: readonly MoveWish[],
  limits: Partial<Pick<ShardMove, 'bytesPerSecond' | 'p99MsMax'>> = {},
): MapJson {
  const slotsSeen = new Set<number>();
  for (const { slot } of wishes) {
    if (slotsSeen.has(slot)) refuse(`slot ${slot} is to move twice`, 'One copy of a slot moves at a time.');
    slotsSeen.add(slot);
  }
  const names = new Set(map.shards.map(({ name }) => name));
  const groups = Map.groupBy(wishes, (wish) => JSON.stringify([requireMovable(map, wish).name, wish.from, wish.to]));
  const parts = [...groups].map(([key, group]): Shard => {
    const [shardName, from, to] = JSON.parse(key) as [string, string, string];
    const shard = map.shards.find(({ name }) => name === shardName)!;
    const slots = group.map(({ slot }) => slot).sort((one, other) => one - other);
    const isWhole = slots.length === shard.slots.length;
    const name = isWhole ? shardName : partName(shardName, names);
    names.add(name);
    const move: ShardMove = { from, to, step: 'copying', isPaused: false, ...noLimits, ...limits };
    return { ...shard, name, slots, replicas: [...shard.replicas, to], move };
  });
  const moved = new Set(parts.flatMap(({ slots }) => slots));
  const rest = map.shards.flatMap((shard) => {
    const slots = shard.slots.filter((slot) => !moved.has(slot));
    return slots.length === 0 ? [] : [{ ...shard, slots }];
  });
  return withShards(json, [...rest, ...parts]);
}

/** What can be done about a move. */
export const moveSteps = ['pause', 'resume', 'hand-over', 'reverse', 'cancel', 'drop'] as const;
export type MoveStep = (typeof moveSteps)[number];

const neededStep = {
  pause: 'copying',
  resume: 'copying',
  'hand-over': 'copying',
  cancel: 'copying',
  reverse: 'kept',
  drop: 'kept',
} as const satisfies Record<MoveStep, ShardMove['step']>;

function without(names: readonly string[], name: string): string[] {
  return names.filter((each) => each !== name);
}

/** Returns a shard after a step of its move. */
function shardAfter(shard: Shard, move: ShardMove, step: MoveStep): Shard {
  const { primary, replicas } = shard;
  const { from, to } = move;
  switch (step) {
    case 'pause':
      return { ...shard, move: { ...move, isPaused: true } };
    case 'resume':
      return { ...shard, move: { ...move, isPaused: false } };
    case 'hand-over': {
      const kept = { ...move, step: 'kept', isPaused: false } as const;
      // Of a replica there is nothing to hand over: both are there.
      if (primary !== from) return { ...shard, move: kept };
      return { ...shard, primary: to, replicas: [...without(replicas, to), from], move: kept };
    }
    case 'reverse': {
      const back = { ...move, step: 'copying' } as const;
      if (primary !== to) return { ...shard, move: back };
      return { ...shard, primary: from, replicas: [...without(replicas, from), to], move: back };
    }
    case 'cancel':
      return { ...shard, replicas: without(replicas, to), move: null };
    case 'drop':
      return { ...shard, replicas: without(replicas, from), move: null };
  }
}

/**
 * Returns the map after a step of moves that are under way; of some slots or, for none, of all for
 * which the step is due.
 *
 * Errors: DataPlaneError `ConfigInvalid` where a slot does not move, or its move is not there yet.
 */
export function afterStep(json: MapJson, map: ShardMap, step: MoveStep, slots: readonly number[]): MapJson {
  const moves = movesOf(map);
  const needed = neededStep[step];
  const still = slots.find((slot) => !moves.some((shard) => shard.slots.includes(slot)));
  if (still !== undefined) refuse(`slot ${still} is not moving`, '`skyshard move status` lists the moves.');
  const isMeant = ({ slots: own }: Shard): boolean => slots.length === 0 || own.some((slot) => slots.includes(slot));
  const wrong = moves.find((shard) => slots.length > 0 && isMeant(shard) && shard.move.step !== needed);
  if (wrong !== undefined) refuseStep(step, wrong.slots, wrong.move);
  const due = moves.filter((shard) => isMeant(shard) && shard.move.step === needed);
  if (due.length === 0) {
    const [other] = moves;
    if (other !== undefined) refuseStep(step, other.slots, other.move);
    refuse('no slot is moving', '`skyshard move --slots <n> --to <node>` moves some.');
  }
  const names = new Set(map.shards.map(({ name }) => name));
  const shards = map.shards.flatMap((shard): Shard[] => {
    if (shard.move === null || shard.move.step !== needed || !isMeant(shard)) return [shard];
    const own = slots.length === 0 ? shard.slots : shard.slots.filter((slot) => slots.includes(slot));
    if (own.length === shard.slots.length) return [shardAfter(shard, shard.move, step)];
    const name = partName(shard.name, names);
    names.add(name);
    const others = shard.slots.filter((slot) => !own.includes(slot));
    return [{ ...shard, slots: others }, shardAfter({ ...shard, name, slots: own }, shard.move, step)];
  });
  return withShards(json, shards);
}

function refuseStep(step: MoveStep, slots: readonly number[], { from, to, step: at }: ShardMove): never {
  const which = `slots ${rangesText(slots)}, from ${from} to ${to},`;
  if (at === 'kept')
    refuse(
      `${which} are handed over already`,
      '`skyshard move reverse` goes back, `skyshard move drop` ends the move.',
    );
  refuse(
    `${which} are not handed over yet, so there is nothing to ${step === 'drop' ? 'drop' : 'reverse'}`,
    '`skyshard move` goes on, `skyshard move cancel` ends the move.',
  );
}
