/** Commands of an operator that are disturbed on their way, and run again until they are done. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import type { Ended } from '../support/running-cluster.ts';
import { fillDisk } from '../support/small-disk.ts';
import { until } from '../support/until.ts';
import { type FaultScene, hold } from './fault-scene.ts';
import type { OperatorRun } from './operator-run.ts';

const goOnMsMax = 180_000;

/** Disturbs a run after a while, at most so long, and waits for its end. */
export async function disturbRun(
  { random }: FaultScene,
  run: OperatorRun,
  delayMsMax: number,
  disturb: () => Promise<unknown>,
): Promise<Ended> {
  await systemClock.sleep(random.below(delayMsMax));
  await disturb();
  return run.ended;
}

/** Runs a command again and again until it was done, by this run or by one before. */
export async function goOn(what: string, again: () => Promise<Ended>, isDone: () => Promise<boolean>): Promise<void> {
  let last = '';
  const isOver = async (): Promise<boolean> => {
    if (await isDone()) return true;
    const { out, err } = await again();
    last = `${out}${err}`;
    return isDone();
  };
  await until(() => isOver().catch(() => false), goOnMsMax).catch(() => {
    throw new Error(`${what} does not go on: ${last}`);
  });
}

/** Fills the disk of a folder for a while. */
export async function fillFor(scene: FaultScene, folder: string): Promise<void> {
  const filler = join(folder, 'filler');
  fillDisk(filler, 0);
  try {
    await hold(scene);
  } finally {
    rmSync(filler);
  }
}
