/**
 * Carries out a plan of moves: copies, catches up, compares, hands over.
 *
 * All that it needs to know is in the shard map, so that after a crash the same command goes on. It
 * holds the lease on the map meanwhile: of two operators the second is told who the first is.
 */
import { DataPlaneError, operatingFailure } from '../../base/data-plane-error.ts';
import { type MoveProgress, moveProgress } from '../../router/move-progress.ts';
import type { MapJson } from '../../shardmap/map-follower.ts';
import {
  type MovePlan,
  type MoveRoom,
  moveRooms,
  type PlannedMove,
  requireMoveRooms,
} from '../../shardmap/move-plan.ts';
import { parseShardMap, rangesText, type ShardMap } from '../../shardmap/shard-map.ts';
import { afterStep, beginMoves, movesOf } from '../../shardmap/slot-move.ts';
import { differenceLines } from '../../wire/row-comparison.ts';
import type { CommandContext } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { clusterFigures, lookAtNodes, type NodeLook } from '../process/cluster-figures.ts';
import { renewed, requireNoOtherLease, withLease } from '../process/map-lease.ts';
import { type MapInForce, mapInForce, pushMap } from '../process/push-map.ts';
import { durationText } from '../progress-printer.ts';
import { bytesText, textTable } from '../text-table.ts';
import { untilActing } from './promote.ts';
import { verifySlot } from './replica-verify.ts';

const lookMs = 500;
const showEveryMs = 1_000;
/** Copies that are written to are not at one seq at once. */
const compareTriesMax = 3;

/** Errors: DataPlaneError `ConfigInvalid` where logs are in the folders of the slots. */
export function requireLogServer(nodes: readonly NodeLook[]): void {
  const embedded = nodes.find(({ error, log, slots }) => error === undefined && log === null && slots.length > 0);
  if (embedded === undefined) return;
  throw new DataPlaneError('ConfigInvalid', `node ${embedded.name} has the logs of its slots in their folders`, {
    hint: 'Slots move between nodes that read a log on NATS servers: `skyshard log migrate server` carries it there (ops/log-server.md).',
  });
}

function isMoving(map: ShardMap, { slot, from, to }: PlannedMove): boolean {
  return movesOf(map).some(({ slots, move }) => slots.includes(slot) && move.from === from && move.to === to);
}

function planText(moves: readonly PlannedMove[], rooms: readonly MoveRoom[], throttle: number | null): string {
  const rows = moves.map(({ slot, from, to, bytes }) => {
    const eta = throttle === null ? '-' : durationText((1000 * bytes) / throttle);
    // A copy is made of the slot as it is; what comes later is read from the log.
    return [slot, from, to, bytesText(bytes), 'all', eta];
  });
  const bytes = moves.reduce((sum, move) => sum + move.bytes, 0);
  const table = textTable(['slot', 'from', 'to', 'bytes', 'entries behind', 'ETA'], rows);
  const roomTable = textTable(
    ['node', 'room needed', 'free'],
    rooms.map(({ node, neededBytes, freeBytes }) => {
      return [node, bytesText(neededBytes), freeBytes === null ? '-' : bytesText(freeBytes)];
    }),
  );
  return `${table}${moves.length} slots, ${bytesText(bytes)}\n${roomTable}`;
}

/** Begins what of a plan is not under way. Returns the map in force then. */
async function begin(context: CommandContext, { json, map }: MapInForce, plan: MovePlan): Promise<MapInForce> {
  const { settings, print } = context;
  const left = plan.moves.filter((move) => !isMoving(map, move));
  if (left.length === 0) return { json, map };
  if (plan.epoch !== map.epoch || plan.cluster !== map.cluster)
    throw new DataPlaneError(
      'ConfigInvalid',
      `the plan is for epoch ${plan.epoch} of cluster "${plan.cluster}", and epoch ${map.epoch} of "${map.cluster}" is in force`,
      { hint: 'Make the plan anew, and look at it again. Nothing is changed.' },
    );
  requireNoOtherLease(context, map);
  const limits = { bytesPerSecond: settings.throttle, p99MsMax: settings.throttleP99Ms };
  const next = withLease(context, beginMoves(json, map, left, limits), true);
  const figures = await clusterFigures(context, false);
  const rooms = moveRooms(map, figures, left);
  requireMoveRooms(figures, left, rooms);
  const what = `move ${left.map(({ slot, from, to }) => `slot ${slot} from ${from} to ${to}`).join(', ')}`;
  const { epoch } = await pushMap(context, next, what);
  const slots = left.map(({ slot }) => slot).sort((one, other) => one - other);
  const text = planText(left, rooms, settings.throttle);
  if (settings.json) print(`${JSON.stringify({ epoch, begun: left, rooms, isDryRun: settings.dryRun })}\n`);
  else if (settings.dryRun) print(`${text}epoch ${epoch} can be pushed; nothing is changed\n`);
  else {
    print(`${text}epoch ${epoch}: slots ${rangesText(slots)} are copied; Ctrl-C ends only the wait\n`);
    print('`skyshard move` goes on, `skyshard move cancel` undoes it\n');
  }
  return { json: next, map: parseShardMap(next) };
}

type Shower = (progress: readonly MoveProgress[]) => void;

/** Shows how far moves are when that changes, once a second at most. */
function shower({ settings, clock, print }: CommandContext, bytesBySlot: ReadonlyMap<number, number>): Shower {
  const startedMs = clock.monotonicMs();
  let [last, shownMs] = ['', Number.NEGATIVE_INFINITY];
  return (progress) => {
    const total = progress.reduce((sum, { slot, bytes }) => sum + Math.max(bytes, bytesBySlot.get(slot) ?? 0), 0);
    const done = progress.reduce((sum, { slot, bytesDone, isInStep, entriesBehind }) => {
      const isThere = isInStep || entriesBehind !== null;
      return sum + (isThere ? (bytesBySlot.get(slot) ?? 0) : bytesDone);
    }, 0);
    const nowMs = clock.monotonicMs();
    const perMs = done / Math.max(1, nowMs - startedMs);
    const etaMs = done > 0 && done < total ? (total - done) / perMs : null;
    const inStep = progress.filter(({ isInStep }) => isInStep).length;
    const behind = progress.reduce((sum, { entriesBehind }) => sum + (entriesBehind ?? 0), 0);
    const states = [...new Set(progress.filter(({ isInStep }) => !isInStep).map(({ state }) => state))];
    const line = settings.json
      ? JSON.stringify({ progress })
      : `${inStep} of ${progress.length} slots in step, ${bytesText(done)} of ${bytesText(total)}, ${bytesText(Math.round(1000 * perMs))}/s, ${behind} entries behind${etaMs === null ? '' : `, ETA ${durationText(etaMs)}`}${states.length === 0 ? '' : `: ${states.slice(0, 2).join('; ')}`}`;
    if (line === last || (nowMs - shownMs < showEveryMs && inStep < progress.length)) return;
    [last, shownMs] = [line, nowMs];
    print(`${line}\n`);
  };
}

/** Waits until the copies of slots are in step with their logs. Returns the map in force then. */
async function untilInStep(context: CommandContext, slots: readonly number[], show: Shower): Promise<MapInForce> {
  const { clock, log } = context;
  for (let problem = ''; ; await clock.sleep(lookMs)) {
    let looked: { readonly held: MapInForce; readonly nodes: readonly NodeLook[] };
    try {
      looked = { held: await renewed(context, await mapInForce(context)), nodes: await lookAtNodes(context) };
    } catch (thrown) {
      // The router may be one that starts again with its node.
      const { code, message } = operatingFailure(thrown);
      if (code === 'ConfigInvalid') throw thrown;
      if (message !== problem) log('warn', `asking again: ${message}`);
      problem = message;
      continue;
    }
    const all = moveProgress(looked.held.map, looked.nodes);
    const own = all.filter(({ slot }) => slots.includes(slot));
    const gone = slots.filter((slot) => !own.some((each) => each.slot === slot));
    if (gone.length > 0)
      throw new DataPlaneError(
        'Aborted',
        `slots ${rangesText(gone)} do not move any more: the move was ended meanwhile`,
        {
          hint: '`skyshard map log` says by whom.',
        },
      );
    show(own);
    if (own.every(({ isInStep, step }) => isInStep || step === 'kept')) return looked.held;
  }
}

/**
 * Compares the copies of slots, down to their states at one seq; with `isSampled` some of their
 * rows one by one, too. Of copies that differ, it says which rows do.
 *
 * Errors: DataPlaneError `ConfigInvalid` naming one that differs, `Unavailable` for one that could
 * not be compared.
 */
export async function requireEqual(
  context: CommandContext,
  map: ShardMap,
  slots: readonly number[],
  isSampled = false,
): Promise<void> {
  const { settings, print } = context;
  for (const slot of slots) {
    const { move } = movesOf(map).find((shard) => shard.slots.includes(slot))!;
    for (let tries = 1; ; tries++) {
      const { copies, verdict, rows } = await verifySlot(context, slot, isSampled);
      const { result, nodes, odd, todo } = verdict;
      if (result === 'equal' && [move.from, move.to].every((node) => nodes.includes(node))) {
        const seq = Math.max(...copies.map((copy) => copy.seq));
        const compared = rows === null ? {} : { rows: rows.rows };
        const rowsText = rows === null ? '' : `, ${rows.rows} rows compared one by one`;
        if (settings.json) print(`${JSON.stringify({ verified: slot, nodes, seq, ...compared })}\n`);
        else print(`slot ${slot}: ${nodes.join(', ')} are equal at seq ${seq}${rowsText}\n`);
        break;
      }
      if (result === 'different') {
        if (settings.json) print(`${JSON.stringify({ different: slot, odd, rows })}\n`);
        else if (rows !== null) for (const line of differenceLines(rows)) print(`slot ${slot}: ${line}\n`);
        throw new DataPlaneError(
          'ConfigInvalid',
          `slot ${slot}: ${odd.join(', ')} differs, and nothing is handed over`,
          {
            hint: `${todo.join('; ')}; then run \`skyshard move\` again.`,
          },
        );
      }
      if (tries < compareTriesMax) continue;
      const why = copies.map(({ node, problem }) => `${node}: ${problem || 'read'}`).join('; ');
      throw new DataPlaneError('Unavailable', `slot ${slot} cannot be compared, and nothing is handed over: ${why}`, {
        hint: 'Run `skyshard move` again once these nodes serve.',
      });
    }
  }
}

/** Errors: DataPlaneError `ConfigInvalid` where the map after a step could not be turned back. */
function requireWayBack(json: MapJson, slots: readonly number[]): void {
  const map = parseShardMap(json);
  afterStep(json, map, 'reverse', slots);
}

async function handOver(context: CommandContext, slots: readonly number[]): Promise<MapInForce> {
  const held = await mapInForce(context);
  const due = movesOf(held.map).filter(({ move }) => move.step === 'copying');
  const own = due.flatMap((shard) => shard.slots).filter((slot) => slots.includes(slot));
  if (own.length === 0) return held;
  const next = withLease(context, afterStep(held.json, held.map, 'hand-over', own), false);
  requireWayBack(next, own);
  // Asked of every node first: a node that cannot take it, or take it back, is heard of here.
  await pushMap(context, next, 'check', true);
  await pushMap(context, next, `hand slots ${rangesText(own.sort((one, other) => one - other))} over`);
  return { json: next, map: parseShardMap(next) };
}

/** Says that slots, as a list, are handed over, and what can be done then. */
export function handedOverText(epoch: number, list: string): string {
  return `epoch ${epoch}: slots ${list} are handed over; the old copies are kept in step\n\`skyshard move reverse\` goes back, \`skyshard move drop\` removes the old copies\n`;
}

/** Goes on with moves until the targets have taken the places of the sources. */
async function finish(context: CommandContext, slots: readonly number[], plan: MovePlan): Promise<number> {
  const { settings, print } = context;
  const show = shower(context, new Map(plan.moves.map(({ slot, bytes }) => [slot, bytes])));
  const { map } = await untilInStep(context, slots, show);
  const copying = movesOf(map).filter(({ move }) => move.step === 'copying');
  const due = copying.flatMap((shard) => shard.slots).filter((slot) => slots.includes(slot));
  await requireEqual(context, map, due);
  const after = await handOver(context, due);
  const handed = movesOf(after.map).filter(
    ({ primary, move, slots: own }) => primary === move.to && own.some((slot) => due.includes(slot)),
  );
  const isActing = await untilActing(
    context,
    handed.map(({ primary, slots: own }) => ({ after: primary, slots: own })),
  );
  const list = rangesText([...slots].sort((one, other) => one - other));
  if (!isActing)
    throw new DataPlaneError('Unavailable', `slots ${list} are handed over, but not all take writes yet`, {
      hint: '`skyshard status` says what they wait for; `skyshard move reverse` gives them back.',
    });
  if (settings.json) print(`${JSON.stringify({ epoch: after.map.epoch, handedOver: due })}\n`);
  else print(handedOverText(after.map.epoch, list));
  return exitCode.done;
}

/** Moves what a plan says, or goes on with what of it is under way. */
export async function runMovePlan(context: CommandContext, plan: MovePlan): Promise<number> {
  const { settings, print } = context;
  requireLogServer(await lookAtNodes(context));
  const before = await mapInForce(context);
  const held = await begin(context, before, plan);
  const slots = plan.moves.map(({ slot }) => slot).sort((one, other) => one - other);
  if (settings.dryRun) {
    if (held.json === before.json && !settings.json) print(`slots ${rangesText(slots)} are moving, and would go on\n`);
    return exitCode.done;
  }
  return finish(context, slots, plan);
}

/** Returns the plan of moves that are under way and not handed over. */
export async function planUnderWay(context: CommandContext, { map }: MapInForce): Promise<MovePlan> {
  const figures = await clusterFigures(context, false);
  const moves = movesOf(map).flatMap(({ slots, move }) => {
    const { from, to, step } = move;
    const bytesOf = (slot: number): number => figures.get(from)?.copies.find((copy) => copy.slot === slot)?.bytes ?? 0;
    return step === 'kept' ? [] : slots.map((slot) => ({ slot, from, to, bytes: bytesOf(slot) }));
  });
  return { cluster: map.cluster, epoch: map.epoch, moves };
}
