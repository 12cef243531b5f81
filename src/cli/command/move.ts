/** `skyshard move …`: copies of slots go from one node to another while everything serves. */
import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { objectShape, readShape, textShape, wholeNumberShape } from '../../config/json-shape.ts';
import { moveProgress } from '../../router/move-progress.ts';
import { explainSlot, type MovePlan } from '../../shardmap/move-plan.ts';
import { parseShardMap, rangesText } from '../../shardmap/shard-map.ts';
import { afterStep, type MoveStep, movesOf, requireMovable } from '../../shardmap/slot-move.ts';
import type { Command, CommandContext } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { clusterFigures, lookAtNodes } from '../process/cluster-figures.ts';
import { type MapInForce, mapInForce, pushMap } from '../process/push-map.ts';
import { slotsOfList } from '../slot-list.ts';
import { bytesText, textTable } from '../text-table.ts';
import { handedOverText, planUnderWay, requireEqual, requireLogServer, runMovePlan } from './move-run.ts';
import { untilActing } from './promote.ts';

const count = wholeNumberShape(0, Number.MAX_SAFE_INTEGER);
const planShape = objectShape({
  cluster: v.string(),
  epoch: count,
  moves: v.pipe(
    v.array(objectShape({ slot: wholeNumberShape(0, 65_535), from: textShape, to: textShape, bytes: count })),
    v.minLength(1, 'names no move'),
  ),
});

/** Reads a plan that `drain` or `rebalance` has printed. Errors: DataPlaneError `ConfigInvalid`. */
function readPlan(path: string): MovePlan {
  const refuse = (problem: string): never => {
    throw new DataPlaneError('ConfigInvalid', `plan ${path}: ${problem}`, {
      hint: '`skyshard rebalance --dry-run --json > plan.json`, or `drain`, prints one.',
    });
  };
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, 'utf8'));
  } catch (thrown) {
    return refuse((thrown as Error).message);
  }
  return readShape(planShape, json, refuse);
}

/** Returns the plan that the flags ask for. */
async function planOfFlags(context: CommandContext, { map }: MapInForce): Promise<MovePlan> {
  const { settings } = context;
  const { to } = settings;
  const unknown = settings.shard.find((name) => !map.shards.some((shard) => shard.name === name));
  if (unknown !== undefined)
    throw new DataPlaneError('ConfigInvalid', `the map has no shard "${unknown}"`, {
      hint: '`skyshard map show` prints the map in force.',
    });
  const ofShards = map.shards.filter(({ name }) => settings.shard.includes(name)).flatMap(({ slots }) => slots);
  const slots = [...new Set([...slotsOfList(settings.slots, map.slots), ...ofShards])].sort((a, b) => a - b);
  const isMoving = movesOf(map).length > 0;
  if (to === null || slots.length === 0)
    throw new DataPlaneError(
      'ConfigInvalid',
      `${isMoving ? '' : 'no slot is moving: '}say what is to move by --slots or --shard, and where by --to <node>`,
      {
        hint: '`skyshard status` shows nodes and slots; --dry-run changes nothing.',
      },
    );
  const figures = await clusterFigures(context, false);
  const moves = slots.map((slot) => {
    const from = settings.from ?? map.primaryBySlot[slot]!;
    const moving = movesOf(map).some(
      ({ slots: own, move }) => own.includes(slot) && move.from === from && move.to === to,
    );
    if (!moving) requireMovable(map, { slot, from, to });
    const bytes = figures.get(from)?.copies.find((copy) => copy.slot === slot)?.bytes ?? 0;
    return { slot, from, to, bytes };
  });
  return { cluster: map.cluster, epoch: map.epoch, moves };
}

/** Begins moves, or without flags goes on with those that are under way. */
export const runMove: Command = async (context) => {
  const { settings, print } = context;
  const held = await mapInForce(context);
  if (settings.plan !== null) return runMovePlan(context, readPlan(settings.plan));
  const isBare = settings.to === null && settings.slots.length === 0 && settings.shard.length === 0;
  const underWay = isBare ? await planUnderWay(context, held) : null;
  if (underWay !== null && underWay.moves.length > 0) return runMovePlan(context, underWay);
  const kept = isBare ? movesOf(held.map).flatMap(({ slots }) => slots) : [];
  if (kept.length > 0) {
    const list = rangesText(kept.sort((one, other) => one - other));
    if (settings.json) print(`${JSON.stringify({ epoch: held.map.epoch, handedOver: kept })}\n`);
    else print(handedOverText(held.map.epoch, list));
    return exitCode.done;
  }
  return runMovePlan(context, await planOfFlags(context, held));
};

/** Shows the moves that are under way. */
export const runMoveStatus: Command = async (context) => {
  const { settings, print } = context;
  const { map } = await mapInForce(context);
  const progress = moveProgress(map, await lookAtNodes(context));
  if (settings.json) {
    print(`${JSON.stringify({ epoch: map.epoch, lease: map.lease, moves: progress }, null, 2)}\n`);
    return exitCode.done;
  }
  if (progress.length === 0) print('no slot is moving\n');
  else {
    const rows = progress.map(({ slot, from, to, step, bytes, bytesDone, entriesBehind, state }) => {
      const copied = bytes === 0 ? '-' : `${bytesText(bytesDone)} of ${bytesText(bytes)}`;
      return [slot, from, to, step, entriesBehind ?? '-', copied, state];
    });
    print(textTable(['slot', 'from', 'to', 'step', 'entries behind', 'copied', 'state'], rows));
  }
  const { lease } = map;
  if (lease !== null && lease.untilMs > context.clock.nowMs())
    print(`${lease.holder} holds the lease on the map until ${new Date(lease.untilMs).toISOString()}\n`);
  return exitCode.done;
};

type Stepped = { readonly map: MapInForce['map']; readonly slots: readonly number[]; readonly epoch: number };

/** Puts the map after a step in force. Returns the slots that it was about. */
async function step(context: CommandContext, what: MoveStep, held: MapInForce): Promise<Stepped> {
  const { settings } = context;
  const slots = slotsOfList(settings.slots, held.map.slots);
  const next = { ...afterStep(held.json, held.map, what, slots), lease: null };
  const after = parseShardMap(next);
  const before = movesOf(held.map);
  const changed = before.flatMap(({ slots: own, move }) =>
    own.filter((slot) => {
      const now = movesOf(after).find((shard) => shard.slots.includes(slot))?.move;
      return JSON.stringify(now) !== JSON.stringify(move);
    }),
  );
  const sorted = changed.sort((one, other) => one - other);
  const { epoch } = await pushMap(context, next, `${what} the move of slots ${rangesText(sorted)}`);
  return { map: after, slots: sorted, epoch };
}

const saidOf = {
  pause: 'are paused; `skyshard move resume` goes on',
  resume: 'go on; `skyshard move` shows how far they are, and hands over',
  cancel: 'stay where they are; the target removes what it has of them',
  reverse: 'are back at their source; `skyshard move` hands them over again, `skyshard move cancel` ends it',
  drop: 'are moved; the source removes its copies',
  'hand-over': 'are handed over',
} as const satisfies Record<MoveStep, string>;

function stepCommand(what: MoveStep, prepare?: (context: CommandContext, held: MapInForce) => Promise<void>): Command {
  return async (context) => {
    const { settings, print } = context;
    const held = await mapInForce(context);
    // What cannot be is said before anything is compared.
    afterStep(held.json, held.map, what, slotsOfList(settings.slots, held.map.slots));
    if (!settings.dryRun) await prepare?.(context, held);
    const { map, slots, epoch } = await step(context, what, held);
    if (what === 'reverse' && !settings.dryRun) {
      const wanted = movesOf(map)
        .filter(({ primary, move, slots: own }) => primary === move.from && own.some((slot) => slots.includes(slot)))
        .map(({ primary, slots: own }) => ({ after: primary, slots: own }));
      if (!(await untilActing(context, wanted)))
        throw new DataPlaneError('Unavailable', `slots ${rangesText(slots)} are back, but not all take writes yet`, {
          hint: '`skyshard status` says what they wait for.',
        });
    }
    if (settings.json) print(`${JSON.stringify({ step: what, slots, epoch, isDryRun: settings.dryRun })}\n`);
    else if (settings.dryRun) print(`epoch ${epoch} can be pushed: slots ${rangesText(slots)} ${saidOf[what]}\n`);
    else print(`epoch ${epoch}: slots ${rangesText(slots)} ${saidOf[what]}\n`);
    return exitCode.done;
  };
}

export const runMovePause = stepCommand('pause');
export const runMoveResume = stepCommand('resume');
export const runMoveCancel = stepCommand('cancel');
export const runMoveReverse = stepCommand('reverse');
/** The last copies that the source could give are compared before they go. */
export const runMoveDrop = stepCommand('drop', async (context, { map }) => {
  const asked = slotsOfList(context.settings.slots, map.slots);
  const kept = movesOf(map).filter(({ move }) => move.step === 'kept');
  const slots = kept.flatMap((shard) => shard.slots).filter((slot) => asked.length === 0 || asked.includes(slot));
  await requireEqual(context, map, slots);
});

/** Compares the copies of slots that move at one seq, and some of their rows; changes nothing. */
export const runMoveVerify: Command = async (context) => {
  const { map } = await mapInForce(context);
  requireLogServer(await lookAtNodes(context));
  const asked = slotsOfList(context.settings.slots, map.slots);
  const moving = movesOf(map).flatMap(({ slots }) => slots);
  const slots = moving.filter((slot) => asked.length === 0 || asked.includes(slot)).sort((a, b) => a - b);
  if (slots.length === 0)
    throw new DataPlaneError('ConfigInvalid', 'no such slot is moving', {
      hint: '`skyshard move status` lists the moves.',
    });
  await requireEqual(context, map, slots, true);
  return exitCode.done;
};

/** Says where a slot is and why, and who else could take it. */
export const runMoveExplain: Command = async (context) => {
  const { settings, print, operands } = context;
  const { map } = await mapInForce(context);
  const [slot] = slotsOfList(operands, map.slots);
  const shard = map.shards.find(({ slots }) => slots.includes(slot!))!;
  const rows = explainSlot(map, await clusterFigures(context, false), slot!);
  if (settings.json) {
    print(`${JSON.stringify({ slot, shard: shard.name, move: shard.move, nodes: rows }, null, 2)}\n`);
    return exitCode.done;
  }
  print(`slot ${slot} is in shard ${shard.name}, as epoch ${map.epoch} of the map says\n`);
  print(
    textTable(
      ['node', 'role', ''],
      rows.map(({ node, role, text }) => [node, role ?? '-', text]),
    ),
  );
  return exitCode.done;
};
