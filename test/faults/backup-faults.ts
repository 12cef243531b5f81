/**
 * Backups during which something is killed, filled up or cut off: run again, they go on, and what
 * is in the folder then is whole.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { fillDisk, mountSmallDisk } from '../support/small-disk.ts';
import { until } from '../support/until.ts';
import { nodeNames } from './fault-cluster.ts';
import { cut, type Fault, type FaultScene, hold, kill, pick } from './fault-scene.ts';
import type { OperatorRun } from './operator-run.ts';

const beginMsMax = 60_000;
const goOnMsMax = 180_000;
/** So that a backup takes some seconds. */
const throttle = 400_000;
const delayMsMax = 1_000;
/** What must stay free is 96 MiB of it. */
const diskMib = 140;

/** Does something to a backup that is under way, into a folder, and mends it. */
type Disturb = (scene: FaultScene, run: OperatorRun, folder: string) => Promise<unknown>;

async function backupUnder(scene: FaultScene, disturb: Disturb, hasDisk = false): Promise<string> {
  const { cluster, random } = scene;
  const folder = join(cluster.folder, 'backups');
  mkdirSync(folder);
  if (hasDisk) mountSmallDisk(folder, diskMib);
  try {
    const where = [`--map=${cluster.mapPath}`, `--data-dir=${cluster.folder}`];
    const words = ['backup', folder, '--without-ingest', ...where];
    const run = cluster.operateBeside([...words, `--throttle=${throttle}`]);
    await run.untilPrinted(/\d of \d+ slots/, beginMsMax);
    await systemClock.sleep(random.below(delayMsMax));
    await disturb(scene, run, folder);
    let ended = await run.ended;
    let runs = 1;
    const isWhole = async (): Promise<boolean> => {
      if (ended.code === 0) return true;
      runs++;
      ended = await cluster.operateBeside(words).ended;
      return ended.code === 0;
    };
    await until(isWhole, goOnMsMax).catch(() => {
      throw new Error(`the backup does not go on: ${ended.out}${ended.err}`);
    });
    const verified = await cluster.operateBeside(['backup', 'verify', folder]).ended;
    if (verified.code !== 0) throw new Error(`the backup is not whole: ${verified.out}${verified.err}`);
    return `${runs} runs`;
  } finally {
    if (hasDisk) execFileSync('umount', ['-l', folder]);
    rmSync(folder, { recursive: true, force: true });
  }
}

async function fillFolder(scene: FaultScene, _run: OperatorRun, folder: string): Promise<void> {
  const filler = join(folder, 'filler');
  fillDisk(filler, 0);
  try {
    await hold(scene);
  } finally {
    rmSync(filler);
  }
}

export const backupFaults: readonly Fault[] = [
  { name: 'backup, kill source', run: (scene) => backupUnder(scene, () => kill(scene, pick(scene, nodeNames))) },
  { name: 'backup, kill command', run: (scene) => backupUnder(scene, (_scene, run) => run.kill()) },
  { name: 'backup, full disk', needs: 'disks', run: (scene) => backupUnder(scene, fillFolder, true) },
  {
    name: 'backup, cut link',
    needs: 'boxes',
    run: (scene) => backupUnder(scene, () => cut(scene, [pick(scene, nodeNames), 'router'])),
  },
];
