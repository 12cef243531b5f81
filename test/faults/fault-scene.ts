/** What a fault is, and what it is given. */
import { systemClock } from '../../src/base/clock.ts';
import type { SeededRandom } from '../../src/base/seeded-random.ts';
import { type FaultCluster, type NodeName, nodeNames, type RoleName } from './fault-cluster.ts';

export type FaultScene = {
  readonly cluster: FaultCluster;
  readonly random: SeededRandom;
  /** How long a fault holds, and a process stands still. Units: ms. */
  readonly holdMs: number;
  readonly pauseMs: number;
};

export type Fault = {
  readonly name: string;
  /** What it takes, if that is not there everywhere. */
  readonly needs?: 'boxes' | 'disks' | 'clocks';
  /** Returns what was hit, once it is mended. */
  readonly run: (scene: FaultScene) => Promise<string>;
};

export function pick<Item>({ random }: FaultScene, items: readonly Item[]): Item {
  return items[random.below(items.length)]!;
}

export function twoNodes(scene: FaultScene): [NodeName, NodeName] {
  const one = pick(scene, nodeNames);
  const others = nodeNames.filter((name) => name !== one);
  return [one, pick(scene, others)];
}

export function hold({ holdMs }: FaultScene): Promise<void> {
  return systemClock.sleep(holdMs);
}

/** Kills a process, and starts it again after a while. */
export async function kill(scene: FaultScene, name: RoleName): Promise<string> {
  const role = scene.cluster.role(name);
  await role.kill();
  await hold(scene);
  await role.start();
  return name;
}

/** Cuts or delays the link of two roles for a while. */
export async function onLink(
  scene: FaultScene,
  [one, other]: readonly [RoleName, RoleName],
  disturb: (one: number, other: number) => void,
): Promise<string> {
  const { cluster } = scene;
  disturb(cluster.boxOf(one), cluster.boxOf(other));
  try {
    await hold(scene);
  } finally {
    cluster.boxes!.mend();
  }
  return `${one} and ${other}`;
}

export function cut(scene: FaultScene, ends: readonly [RoleName, RoleName]): Promise<string> {
  return onLink(scene, ends, (one, other) => scene.cluster.boxes!.cut(one, other));
}
