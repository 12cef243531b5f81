/**
 * Moves of a slot during which something is killed, filled up or cut off, at each of their steps.
 *
 * The command is then run again until it has gone on to its end, or the move is cancelled and
 * nothing of it stays. Every slot has three copies at three nodes, so a node gives up one before.
 */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { slotPath } from '../../src/node/data-folder.ts';
import { fetchingPath } from '../../src/node/snapshot-fetch.ts';
import { until } from '../support/until.ts';
import { disturbRun, fillFor, goOn } from './disturbed-run.ts';
import { type FaultCluster, type NodeName, nodeNames, slotCount } from './fault-cluster.ts';
import { cut, type Fault, type FaultScene, kill, pick } from './fault-scene.ts';
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
/** How long after a step has begun the fault comes, at most. */
const delayMsMax = 400;
/** So that a copy takes a second or two. */
const throttle = 200_000;

async function mustRun(cluster: FaultCluster, ...words: readonly string[]): Promise<void> {
  const { code, out, err } = await cluster.command(...words);
  if (code !== 0) throw new Error(`${words.join(' ')} ended with ${code}: ${out}${err}`);
}

function goOnWith(cluster: FaultCluster, words: readonly string[], isDone: () => Promise<boolean>): Promise<void> {
  return goOn(words.join(' '), () => cluster.command(...words), isDone);
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
      await goOnWith(cluster, ['replica', 'add', node, `--shard=${name}`], hasIt);
    }
  }
  await cluster.readMap();
  const { name, primary } = cluster.map.shards.find(({ slots }) => slots.includes(slot))!;
  if (!wasPrimary || primary === from) return;
  await cluster.settle();
  await mustRun(cluster, 'promote', from, `--shard=${name}`);
  await cluster.readMap();
}

async function moveUnder(scene: FaultScene, disturb: Disturb): Promise<string> {
  const { cluster, random } = scene;
  const move = await prepare(scene);
  const { slot, from, to } = move;
  const wasPrimary = cluster.map.primaryBySlot[slot] === from;
  const step = pick(scene, allSteps);
  const disturbAt = (run: OperatorRun): Promise<unknown> =>
    disturbRun(scene, run, delayMsMax, () => disturb(scene, move, run));
  const isCancelled = step === 'copy' && random.below(2) === 0;
  const words = ['move', `--slots=${slot}`, `--from=${from}`, `--to=${to}`, `--throttle=${throttle}`];
  const run = cluster.operate(words);
  await run.untilPrinted(step in steps ? steps[step as keyof typeof steps] : /handed over/, stepMsMax);
  if (step in steps) await disturbAt(run);
  const { out, err } = await run.ended;
  const underWay = await stepsUnderWay(cluster);
  if (underWay.length === 0) throw new Error(`the move has not begun: ${out}${err}`);
  const copying = underWay.includes('copying');
  if (isCancelled && copying) {
    await mustRun(cluster, 'move', 'cancel');
    await untilGone(cluster, to, slot);
  } else {
    await goOnWith(cluster, ['move'], () => isHandedOver(cluster));
    if (step === 'reverse') {
      await disturbAt(cluster.operate(['move', 'reverse']));
      await goOnWith(cluster, ['move', 'reverse'], () => isBack(cluster));
      await goOnWith(cluster, ['move'], () => isHandedOver(cluster));
    }
    if (step === 'drop') await disturbAt(cluster.operate(['move', 'drop']));
    await goOnWith(cluster, ['move', 'drop'], () => isOver(cluster));
    await untilGone(cluster, from, slot);
  }
  await restore(scene, move, wasPrimary);
  return `slot ${slot} from ${from} to ${to}, ${step}${isCancelled && copying ? ', cancelled' : ''}`;
}

export const moveFaults: readonly Fault[] = [
  { name: 'move, kill source', run: (scene) => moveUnder(scene, (_scene, { from }) => kill(scene, from)) },
  { name: 'move, kill target', run: (scene) => moveUnder(scene, (_scene, { to }) => kill(scene, to)) },
  { name: 'move, kill command', run: (scene) => moveUnder(scene, (_scene, _move, run) => run.kill()) },
  {
    name: 'move, full disk',
    needs: 'disks',
    run: (scene) => moveUnder(scene, (_scene, { to }) => fillFor(scene, scene.cluster.dataDirOf(to))),
  },
  {
    name: 'move, cut link',
    needs: 'boxes',
    run: (scene) => moveUnder(scene, (_scene, { from, to }) => cut(scene, [from, to])),
  },
];
