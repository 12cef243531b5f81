/**
 * What is done to the cluster: each fault is made, holds for a while, and is mended.
 *
 * Owns: making sure that it happened. A fault that this machine cannot make says why.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { fillDisk } from '../support/small-disk.ts';
import { until } from '../support/until.ts';
import { backupFaults } from './backup-faults.ts';
import { type NodeName, nodeNames, type RoleName, slotCount } from './fault-cluster.ts';
import { cut, type Fault, type FaultScene, hold, kill, onLink, pick, twoNodes } from './fault-scene.ts';
import { moveFaults } from './move-faults.ts';

const noticedMsMax = 60_000;
const jumpS = 3_600;
const delayMs = 200;

async function pause({ cluster, pauseMs }: FaultScene, name: RoleName): Promise<string> {
  cluster.role(name).pause();
  await systemClock.sleep(pauseMs);
  cluster.role(name).goOn();
  return name;
}

function primary(scene: FaultScene): NodeName {
  return pick(scene, scene.cluster.nodesThat(true));
}

/** Returns a node that is the primary of nothing or, where there is none, any. */
function replica(scene: FaultScene): NodeName {
  const replicas = scene.cluster.nodesThat(false);
  return pick(scene, replicas.length > 0 ? replicas : nodeNames);
}

/** An operator promotes others while the primary is as good as lost, and it comes back later. */
async function promoteWhile(scene: FaultScene, lose: (name: NodeName) => void, find: (name: NodeName) => void) {
  const name = primary(scene);
  lose(name);
  try {
    await hold(scene);
    await scene.cluster.promoteFrom(name);
    await hold(scene);
  } finally {
    find(name);
  }
  return name;
}

async function killAndPromote(scene: FaultScene): Promise<string> {
  const name = primary(scene);
  await scene.cluster.role(name).kill();
  await scene.cluster.promoteFrom(name);
  await hold(scene);
  await scene.cluster.role(name).start();
  return name;
}

/** Takes a node from all others. */
function isolate({ cluster }: FaultScene, name: NodeName): void {
  const others: readonly RoleName[] = [...nodeNames.filter((other) => other !== name), 'log', 'router'];
  for (const other of others) cluster.boxes!.cut(cluster.boxOf(name), cluster.boxOf(other));
}

function delay(scene: FaultScene, ends: readonly [RoleName, RoleName]): Promise<string> {
  return onLink(scene, ends, (one, other) => scene.cluster.boxes!.delay(one, other, delayMs));
}

async function fullDisk(scene: FaultScene): Promise<string> {
  const { cluster } = scene;
  const name = pick(scene, nodeNames);
  const filler = join(cluster.dataDirOf(name), 'filler');
  const isFull = async (): Promise<boolean> => (await cluster.statusOf(name)).some(({ state }) => state === 'full');
  fillDisk(filler, 0);
  try {
    await until(() => isFull().catch(() => false), noticedMsMax);
    await hold(scene);
  } finally {
    rmSync(filler);
  }
  return name;
}

/** What a disk does to a file is found by a comparison, after which the replica begins again. */
async function damage(scene: FaultScene): Promise<string> {
  const { cluster, random } = scene;
  const slot = random.below(slotCount);
  const { replicas } = cluster.map.shards.find(({ slots }) => slots.includes(slot))!;
  const name = pick(scene, replicas) as NodeName;
  await cluster.role(name).kill();
  cluster.damage(name, slot);
  await cluster.role(name).start();
  const isFound = async (): Promise<boolean> => (await cluster.nodesThatDiffer(slot)).join() === name;
  await until(() => isFound().catch(() => false), noticedMsMax);
  const { code, out, err } = await cluster.command('replica', 'rebuild', name, String(slot));
  if (code !== 0) throw new Error(`replica rebuild ended with ${code}: ${out}${err}`);
  return `${name}, slot ${slot}`;
}

async function jump(scene: FaultScene, aheadS: number): Promise<string> {
  const name = pick(scene, nodeNames);
  scene.cluster.setClock(name, aheadS);
  await hold(scene);
  scene.cluster.setClock(name, 0);
  return name;
}

/** Those that take a second or two, and as long as they hold. */
export const shortFaults: readonly Fault[] = [
  { name: 'kill primary', run: (scene) => kill(scene, primary(scene)) },
  { name: 'kill primary, promote', run: killAndPromote },
  { name: 'kill replica', run: (scene) => kill(scene, replica(scene)) },
  { name: 'kill router', run: (scene) => kill(scene, 'router') },
  { name: 'kill log server', run: (scene) => kill(scene, 'log') },
  { name: 'kill writer', run: (scene) => kill(scene, 'writer') },
  { name: 'kill ingest', run: (scene) => kill(scene, 'ingest') },
  { name: 'stop primary', run: (scene) => pause(scene, primary(scene)) },
  {
    name: 'stop primary, promote',
    run: (scene) =>
      promoteWhile(
        scene,
        (name) => scene.cluster.role(name).pause(),
        (name) => scene.cluster.role(name).goOn(),
      ),
  },
  { name: 'stop replica', run: (scene) => pause(scene, replica(scene)) },
  { name: 'stop router', run: (scene) => pause(scene, 'router') },
  { name: 'stop ingest', run: (scene) => pause(scene, 'ingest') },
  { name: 'stop log server', run: (scene) => pause(scene, 'log') },
  { name: 'damaged file', run: damage },
  { name: 'full disk', needs: 'disks', run: fullDisk },
  { name: 'cut node from log', needs: 'boxes', run: (scene) => cut(scene, [pick(scene, nodeNames), 'log']) },
  { name: 'cut node from node', needs: 'boxes', run: (scene) => cut(scene, twoNodes(scene)) },
  { name: 'cut node from router', needs: 'boxes', run: (scene) => cut(scene, [pick(scene, nodeNames), 'router']) },
  // Ingest is where the writer is.
  { name: 'cut writer from log', needs: 'boxes', run: (scene) => cut(scene, ['writer', 'log']) },
  {
    name: 'isolate primary, promote',
    needs: 'boxes',
    run: (scene) =>
      promoteWhile(
        scene,
        (name) => isolate(scene, name),
        () => scene.cluster.boxes!.mend(),
      ),
  },
  { name: 'delay node and log', needs: 'boxes', run: (scene) => delay(scene, [pick(scene, nodeNames), 'log']) },
  { name: 'delay node and router', needs: 'boxes', run: (scene) => delay(scene, [pick(scene, nodeNames), 'router']) },
  { name: 'clock an hour ahead', needs: 'clocks', run: (scene) => jump(scene, jumpS) },
  { name: 'clock an hour back', needs: 'clocks', run: (scene) => jump(scene, -jumpS) },
];

export const faults: readonly Fault[] = [...shortFaults, ...moveFaults, ...backupFaults];
