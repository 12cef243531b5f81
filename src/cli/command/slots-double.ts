/**
 * `skyshard slots double` splits every slot in two while it serves, and `slots status` says how far
 * that is.
 *
 * All that it needs to know is in the shard map and in the slots, so that after a crash the same
 * command goes on. It holds the lease on the map meanwhile.
 */
import { DataPlaneError, operatingFailure } from '../../base/data-plane-error.ts';
import { slotsToDoubleMin } from '../../log/log-streams.ts';
import type { MapJson } from '../../shardmap/map-follower.ts';
import { parseShardMap, rangesText, type ShardMap } from '../../shardmap/shard-map.ts';
import {
  beginDoubling,
  type DividedSlot,
  type DoublingPhase,
  doublingPhases,
  doublingProgress,
  endDoubling,
} from '../../shardmap/slot-doubling.ts';
import type { Command, CommandContext } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { lookAtNodes, type NodeLook } from '../process/cluster-figures.ts';
import { renewed, requireNoOtherLease, withLease } from '../process/map-lease.ts';
import { type MapInForce, mapInForce, operatorOf, pushMap } from '../process/push-map.ts';
import { bytesText, textTable } from '../text-table.ts';

const lookMs = 500;
const showEveryMs = 1_000;
/** What must be left on the disk of a node beside the copies. Units: bytes. */
const reserveBytes = 256 * 2 ** 20;

/** What a node has, and needs for the children of its slots. Units: bytes. */
type NodeRoom = {
  readonly node: string;
  readonly slots: readonly number[];
  readonly bytes: number;
  readonly neededBytes: number;
  readonly freeBytes: number | null;
};

function refuse(problem: string, hint: string): never {
  throw new DataPlaneError('ConfigInvalid', problem, { hint });
}

/** Errors: DataPlaneError for a node that does not answer, or has a slot that cannot split. */
function requireSplittable({ slots: count }: ShardMap, nodes: readonly NodeLook[]): void {
  for (const { name, error, log, slots } of nodes) {
    if (error !== undefined)
      throw new DataPlaneError('Unavailable', `node ${name} does not answer, and all must split their slots`, {
        hint: 'Start it, then run this again. Nothing is changed.',
      });
    if (slots.length === 0) continue;
    if (log !== null && count < slotsToDoubleMin)
      refuse(
        `node ${name} has the logs of its slots on a NATS server, where ${slotsToDoubleMin} slots are doubled, or more`,
        'Stop the cluster, carry the logs over with `skyshard log migrate folders`, double, and go back.',
      );
    const older = slots.find((each) => each.slots === undefined);
    if (older !== undefined) refuse(`node ${name} runs an older version, which splits no slots`, 'Start the new one.');
    const stopped = slots.find(({ state }) => state === 'stopped');
    if (stopped !== undefined)
      refuse(
        `slot ${stopped.slot} has stopped applying, and cannot split`,
        `\`skyshard quarantine list\` says why; retry or drop what it names, then run this again.`,
      );
    const full = slots.find(({ state }) => state === 'full');
    if (full !== undefined) refuse(`slot ${full.slot} is full`, `Make room on node ${name}, then run this again.`);
    const lacking = slots.find(({ condition }) => condition !== 'complete');
    if (lacking !== undefined)
      refuse(
        `slot ${lacking.slot} is ${lacking.condition}, and only complete slots split`,
        `\`skyshard repair slot ${lacking.slot}\` fetches what it has lost; then run this again.`,
      );
  }
}

function roomOf(nodes: readonly NodeLook[]): NodeRoom[] {
  return nodes
    .filter(({ slots }) => slots.length > 0)
    .map(({ name, slots, freeBytes }) => {
      const bytes = slots.reduce((sum, slot) => sum + slot.bytes, 0);
      const own = slots.map(({ slot }) => slot).sort((one, other) => one - other);
      return { node: name, slots: own, bytes, neededBytes: bytes + reserveBytes, freeBytes };
    });
}

/** Errors: DataPlaneError `ConfigInvalid` naming a node without room, and what is missing. */
function requireRoom(rooms: readonly NodeRoom[]): void {
  for (const { node, neededBytes, freeBytes } of rooms) {
    const missing = neededBytes - (freeBytes ?? Number.POSITIVE_INFINITY);
    if (missing > 0)
      refuse(
        `node ${node} has no room for the copies: ${missing} bytes are missing`,
        'Make room, or compact slots first (`skyshard slot compact`). Nothing is changed.',
      );
  }
}

function planText(count: number, rooms: readonly NodeRoom[]): string {
  const rows = rooms.map(({ node, slots, bytes, neededBytes, freeBytes }) => {
    const free = freeBytes === null ? '-' : bytesText(freeBytes);
    return [node, rangesText(slots), bytesText(bytes), bytesText(neededBytes), free];
  });
  const table = textTable(['node', 'slots', 'bytes', 'room needed', 'free'], rows);
  return `${table}${count} slots become ${2 * count}: slot i stays i, and gives half of its accounts to slot i + ${count}\n`;
}

/** Begins a doubling. Returns the map in force then; null for a dry run. */
async function begin(context: CommandContext, { json, map }: MapInForce): Promise<MapInForce | null> {
  const { settings, print } = context;
  requireNoOtherLease(context, map);
  const next = withLease(context, beginDoubling(json, map), true);
  const nodes = await lookAtNodes(context);
  requireSplittable(map, nodes);
  const rooms = roomOf(nodes);
  requireRoom(rooms);
  const count = map.slots;
  const { epoch } = await pushMap(context, next, `double ${count} slots to ${2 * count}`);
  if (settings.json)
    print(`${JSON.stringify({ epoch, slots: count, becomes: 2 * count, isDryRun: settings.dryRun, nodes: rooms })}\n`);
  else {
    print(planText(count, rooms));
    if (settings.dryRun) print(`epoch ${epoch} can be pushed; nothing is changed\n`);
    else {
      print(`epoch ${epoch}: slots split one by one on each node; Ctrl-C ends only the wait\n`);
      print('`skyshard slots double` goes on; nothing undoes it\n');
    }
  }
  return settings.dryRun ? null : { json: next, map: parseShardMap(next) };
}

/** Goes on with one that is under way, as the operator who does. */
async function resume(context: CommandContext, held: MapInForce): Promise<MapInForce | null> {
  const { settings, print } = context;
  const { map } = held;
  requireNoOtherLease(context, map);
  if (settings.dryRun) {
    if (settings.json) print(`${JSON.stringify({ epoch: map.epoch, becomes: map.slots, isDryRun: true })}\n`);
    else print(`${map.slots / 2} slots become ${map.slots} since an earlier epoch, and would go on\n`);
    return null;
  }
  if (map.lease?.holder === operatorOf(context) && map.lease.untilMs > context.clock.nowMs()) return held;
  const json: MapJson = withLease(context, { ...held.json, epoch: map.epoch + 1 }, true);
  await pushMap(context, json, `go on with doubling slots to ${map.slots}`);
  return { json, map: parseShardMap(json) };
}

type Said = { readonly phases: ReadonlyMap<number, DoublingPhase>; readonly problems: readonly string[] };

/** Returns how far each slot of before the doubling is, and what keeps some from going on. */
function saidBy(map: ShardMap, nodes: readonly NodeLook[]): Said {
  const slots = nodes.flatMap((node) => node.slots);
  const dividedOf = ({
    slots: count = map.slots,
    knownSlots = count,
    ...more
  }: (typeof slots)[number]): DividedSlot => {
    return { slot: more.slot, slots: count, knownSlots, isDividing: more.isDividing, isIndexed: more.isIndexed };
  };
  const said = new Map(nodes.map((node) => [node.name, node.slots.map(dividedOf)]));
  const problems = [
    ...nodes.flatMap(({ name, error }) => (error === undefined ? [] : [`node ${name} does not answer`])),
    ...slots.flatMap(({ slot, state }) => (state === 'applying' ? [] : [`slot ${slot} is ${state}`])),
  ];
  return { phases: doublingProgress(map, said), problems };
}

function countsOf(phases: Said['phases']): Record<DoublingPhase, number> {
  const all = [...phases.values()];
  const counts = doublingPhases.map((phase) => [phase, all.filter((each) => each === phase).length] as const);
  return Object.fromEntries(counts) as Record<DoublingPhase, number>;
}

function progressText(map: ShardMap, { phases, problems }: Said): string {
  const { done, ...others } = countsOf(phases);
  const rest = Object.entries(others).flatMap(([phase, count]) => (count === 0 ? [] : [`${count} ${phase}`]));
  const why = problems.length === 0 ? '' : `; ${problems.slice(0, 3).join('; ')}`;
  return `${done} of ${map.slots / 2} slots are done${rest.length === 0 ? '' : `: ${rest.join(', ')}`}${why}`;
}

/** Waits until all slots are through. Returns the map in force then. */
async function untilDone(context: CommandContext): Promise<MapInForce> {
  const { settings, clock, log, print } = context;
  let [last, shownMs, problem] = ['', Number.NEGATIVE_INFINITY, ''];
  for (;;) {
    try {
      const held = await renewed(context, await mapInForce(context));
      if (!held.map.isDoubling) return held;
      const said = saidBy(held.map, await lookAtNodes(context));
      const isOver = countsOf(said.phases).done === held.map.slots / 2;
      const progress = { progress: countsOf(said.phases), problems: said.problems };
      const line = settings.json ? JSON.stringify(progress) : progressText(held.map, said);
      const nowMs = clock.monotonicMs();
      if (line !== last && (isOver || nowMs - shownMs >= showEveryMs)) {
        [last, shownMs] = [line, nowMs];
        print(`${line}\n`);
      }
      if (isOver) return held;
    } catch (thrown) {
      // The router may be one that starts again with its node.
      const { code, message } = operatingFailure(thrown);
      if (code === 'ConfigInvalid') throw thrown;
      if (message !== problem) log('warn', `asking again: ${message}`);
      problem = message;
    }
    await clock.sleep(lookMs);
  }
}

/** Doubles the slots of a cluster, or goes on with that. */
export const runSlotsDouble: Command = async (context) => {
  const { settings, print } = context;
  const before = await mapInForce(context);
  const begun = before.map.isDoubling ? await resume(context, before) : await begin(context, before);
  if (begun === null) return exitCode.done;
  const { json, map } = await untilDone(context);
  let { epoch } = map;
  if (map.isDoubling) {
    const next = withLease(context, endDoubling(json, map), false);
    ({ epoch } = await pushMap(context, next, `end the doubling: ${map.slots} slots`));
  }
  if (settings.json) print(`${JSON.stringify({ epoch, slots: map.slots, isDone: true })}\n`);
  else
    print(`epoch ${epoch}: there are ${map.slots} slots; \`skyshard slot compact\` gives back what they do not use\n`);
  return exitCode.done;
};

/** Says how many slots there are, and how far a doubling is. */
export const runSlotsStatus: Command = async (context) => {
  const { settings, print } = context;
  const { map } = await mapInForce(context);
  const nodes = await lookAtNodes(context);
  const said: Said = map.isDoubling ? saidBy(map, nodes) : { phases: new Map(), problems: [] };
  const half = map.slots / 2;
  if (settings.json) {
    const { epoch, slots, isDoubling, lease } = map;
    const slotRows = [...said.phases].map(([slot, phase]) => ({ slot, child: slot + half, phase }));
    print(
      `${JSON.stringify({ epoch, slots, isDoubling, lease, doubled: slotRows, problems: said.problems }, null, 2)}\n`,
    );
    return exitCode.done;
  }
  if (!map.isDoubling) {
    print(`${map.slots} slots, as epoch ${map.epoch} of the map says; none is being split\n`);
    return exitCode.done;
  }
  const rows = [...said.phases].map(([slot, phase]) => [slot, slot + half, map.primaryBySlot[slot]!, phase]);
  print(textTable(['slot', 'child', 'node', 'state'], rows));
  print(`${progressText(map, said)}\n`);
  if (map.lease !== null && map.lease.untilMs > context.clock.nowMs())
    print(`${map.lease.holder} holds the lease on the map until ${new Date(map.lease.untilMs).toISOString()}\n`);
  return exitCode.done;
};
