/**
 * Moves of a slot during which something is killed, filled up or cut off, at each of their steps.
 *
 * The command is then run again until it has gone on to its end, or the move is cancelled and
 * nothing of it stays. Every slot has three copies at three nodes, so a node gives up one before.
 */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { slotPath } from '../../src/node/data-folder.ts';
import { fetchingPath } from '../../src/node/snapshot-fetch.ts';
import { fillDisk } from '../support/small-disk.ts';
import { until } from '../support/until.ts';
import { type FaultCluster, type NodeName, nodeNames, slotCount } from './fault-cluster.ts';
import { cut, type Fault, type FaultScene, hold, kill, pick } from './fault-scene.ts';
import type { OperatorRun } from './operator-run.ts';

type Move = { readonly slot: number; readonly from: NodeName; readonly to: NodeName };

/** Does something to a move that is under way, and mends it. */
type Disturb = (scene: FaultScene, move: Move, run: OperatorRun) => Promise<unknown>;

/** Steps of `skyshard move`, and what it prints as each begins. */
const steps = {
  copy: /are copied; Ctrl-C/,
  compare: /^1 of 1 slots in step/m,
  'hand over': /are equal at seq/,
} as const;
const laterSteps = ['reverse', 'drop'] as const;
type Step = keyof typeof steps | (typeof laterSteps)[number];
const allSteps = [...Object.keys(steps), ...laterSteps] as readonly Step[];

const stepMsMax = 60_000;
const goOnMsMax = 180_000;
/** How long after a step has begun the fault comes, at most. */
const delayMsMax = 400;
/** So that a copy takes a second or two. */
const throttle = 200_000;

async function mustRun(cluster: FaultCluster, ...words: readonly string[]): Promise<void> {
  const { code, out, err } = await cluster.command(...words);
  if (code !== 0) throw new Error(`${words.join(' ')} ended with ${code}: ${out}${err}`);
}

/** Runs a command again and again until it was done, by this run or by one before. */
async function goOn(cluster: FaultCluster, words: readonly string[], isDone: () => Promise<boolean>): Promise<void> {
  let last = '';
  const isOver = async (): Promise<boolean> => {
    if (await isDone()) return true;
    const { out, err } = await cluster.command(...words);
    last = `${out}${err}`;
    return isDone();
  };
  await until(() => isOver().catch(() => false), goOnMsMax).catch(() => {
    throw new Error(`${words.join(' ')} does not go on: ${last}`);
  });
}

/** Returns at which steps moves are. */
async function stepsUnderWay(cluster: FaultCluster): Promise<string[]> {
  const { code, out, err } = await cluster.command('move', 'status', '--json');
  if (code !== 0) throw new Error(err);
  return (JSON.parse(out) as { moves: { step: string }[] }).moves.map(({ step }) => step);
}

const isHandedOver = async (cluster: FaultCluster): Promise<boolean> =>
  (await stepsUnderWay(cluster)).every((step) => step === 'kept');
const isBack = async (cluster: FaultCluster): Promise<boolean> =>
  (await stepsUnderWay(cluster)).every((step) => step === 'copying');
const isOver = async (cluster: FaultCluster): Promise<boolean> => (await stepsUnderWay(cluster)).length === 0;

function isAt(cluster: FaultCluster, node: NodeName, slot: number): boolean {
  const folder = join(cluster.dataDirOf(node), `node-${node}`);
  return existsSync(slotPath(folder, slot)) || existsSync(fetchingPath(folder, slot));
}

async function untilGone(cluster: FaultCluster, node: NodeName, slot: number): Promise<void> {
  await until(() => !isAt(cluster, node, slot), stepMsMax).catch(() => {
    throw new Error(`slot ${slot} has left something at ${node}`);
  });
}

/** Takes a copy of a slot from a node, to which one moves then. */
async function prepare(scene: FaultScene): Promise<Move> {
  const { cluster, random } = scene;
  await cluster.readMap();
  const slot = random.below(slotCount);
  const { name, slots, primary, replicas } = cluster.map.shards.find((shard) => shard.slots.includes(slot))!;
  const to = pick(scene, replicas) as NodeName;
  const from = pick(scene, [primary, ...replicas.filter((node) => node !== to)]) as NodeName;
  await mustRun(cluster, 'replica', 'remove', to, `--shard=${name}`);
  await cluster.readMap();
  const hasNone = async (): Promise<boolean> =>
    (await cluster.statusOf(to)).every((each) => !slots.includes(each.slot));
  await until(() => hasNone().catch(() => false), stepMsMax);
  // A copy is to be fetched, not the old one to read on.
  for (const each of slots)
    rmSync(slotPath(join(cluster.dataDirOf(to), `node-${to}`), each), { recursive: true, force: true });
  return { slot, from, to };
}

/** Gives each slot back its three copies, and its primary. */
async function restore(scene: FaultScene, { slot, from }: Move, wasPrimary: boolean): Promise<void> {
  const { cluster } = scene;
  await cluster.readMap();
  for (const { name, primary, replicas } of cluster.map.shards) {
    for (const node of nodeNames.filter((each) => each !== primary && !replicas.includes(each))) {
      const hasIt = async (): Promise<boolean> => {
        await cluster.readMap();
        return cluster.map.shards.find((shard) => shard.name === name)?.replicas.includes(node) === true;
      };
      await goOn(cluster, ['replica', 'add', node, `--shard=${name}`], hasIt);
    }
  }
  await cluster.readMap();
  const { name, primary } = cluster.map.shards.find(({ slots }) => slots.includes(slot))!;
  if (!wasPrimary || primary === from) return;
  await cluster.settle();
  await mustRun(cluster, 'promote', from, `--shard=${name}`);
  await cluster.readMap();
}

/** Disturbs a run once it has come to a step, and waits for its end. */
async function disturbAt(scene: FaultScene, move: Move, run: OperatorRun, disturb: Disturb): Promise<void> {
  await systemClock.sleep(scene.random.below(delayMsMax));
  await disturb(scene, move, run);
  await run.ended;
}

async function moveUnder(scene: FaultScene, disturb: Disturb): Promise<string> {
  const { cluster, random } = scene;
  const move = await prepare(scene);
  const { slot, from, to } = move;
  const wasPrimary = cluster.map.primaryBySlot[slot] === from;
  const step = pick(scene, allSteps);
  const isCancelled = step === 'copy' && random.below(2) === 0;
  const words = ['move', `--slots=${slot}`, `--from=${from}`, `--to=${to}`, `--throttle=${throttle}`];
  const run = cluster.operate(words);
  await run.untilPrinted(step in steps ? steps[step as keyof typeof steps] : /handed over/, stepMsMax);
  if (step in steps) await disturbAt(scene, move, run, disturb);
  const { out, err } = await run.ended;
  const underWay = await stepsUnderWay(cluster);
  if (underWay.length === 0) throw new Error(`the move has not begun: ${out}${err}`);
  const copying = underWay.includes('copying');
  if (isCancelled && copying) {
    await mustRun(cluster, 'move', 'cancel');
    await untilGone(cluster, to, slot);
  } else {
    await goOn(cluster, ['move'], () => isHandedOver(cluster));
    if (step === 'reverse') {
      await disturbAt(scene, move, cluster.operate(['move', 'reverse']), disturb);
      await goOn(cluster, ['move', 'reverse'], () => isBack(cluster));
      await goOn(cluster, ['move'], () => isHandedOver(cluster));
    }
    if (step === 'drop') await disturbAt(scene, move, cluster.operate(['move', 'drop']), disturb);
    await goOn(cluster, ['move', 'drop'], () => isOver(cluster));
    await untilGone(cluster, from, slot);
  }
  await restore(scene, move, wasPrimary);
  return `slot ${slot} from ${from} to ${to}, ${step}${isCancelled && copying ? ', cancelled' : ''}`;
}

async function fillTarget(scene: FaultScene, { to }: Move): Promise<void> {
  const filler = join(scene.cluster.dataDirOf(to), 'filler');
  fillDisk(filler, 0);
  try {
    await hold(scene);
  } finally {
    rmSync(filler);
  }
}

export const moveFaults: readonly Fault[] = [
  { name: 'move, kill source', run: (scene) => moveUnder(scene, (_scene, { from }) => kill(scene, from)) },
  { name: 'move, kill target', run: (scene) => moveUnder(scene, (_scene, { to }) => kill(scene, to)) },
  { name: 'move, kill command', run: (scene) => moveUnder(scene, (_scene, _move, run) => run.kill()) },
  { name: 'move, full disk', needs: 'disks', run: (scene) => moveUnder(scene, fillTarget) },
  {
    name: 'move, cut link',
    needs: 'boxes',
    run: (scene) => moveUnder(scene, (_scene, { from, to }) => cut(scene, [from, to])),
  },
];
