/**
 * Backups during which something is killed, filled up or cut off: run again, they go on, and what
 * is in the folder then is whole.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { mountSmallDisk } from '../support/small-disk.ts';
import { disturbRun, fillFor, goOn } from './disturbed-run.ts';
import { nodeNames } from './fault-cluster.ts';
import { cut, type Fault, type FaultScene, kill, pick } from './fault-scene.ts';
import type { OperatorRun } from './operator-run.ts';

const beginMsMax = 60_000;
/** So that a backup takes some seconds. */
const throttle = 400_000;
const delayMsMax = 1_000;
/** What must stay free is 96 MiB of it. */
const diskMib = 140;

/** Does something to a backup that is under way, into a folder, and mends it. */
type Disturb = (scene: FaultScene, run: OperatorRun, folder: string) => Promise<unknown>;

async function backupUnder(scene: FaultScene, disturb: Disturb, hasDisk = false): Promise<string> {
  const { cluster } = scene;
  const folder = join(cluster.folder, 'backups');
  mkdirSync(folder);
  if (hasDisk) mountSmallDisk(folder, diskMib);
  try {
    const where = [`--map=${cluster.mapPath}`, `--data-dir=${cluster.folder}`];
    const words = ['backup', folder, '--without-ingest', ...where];
    const run = cluster.operateBeside([...words, `--throttle=${throttle}`]);
    await run.untilPrinted(/\d of \d+ slots/, beginMsMax);
    let ended = await disturbRun(scene, run, delayMsMax, () => disturb(scene, run, folder));
    let runs = 1;
    const again = async (): Promise<typeof ended> => {
      runs++;
      ended = await cluster.operateBeside(words).ended;
      return ended;
    };
    await goOn('the backup', again, async () => ended.code === 0);
    const verified = await cluster.operateBeside(['backup', 'verify', folder]).ended;
    if (verified.code !== 0) throw new Error(`the backup is not whole: ${verified.out}${verified.err}`);
    return `${runs} runs`;
  } finally {
    if (hasDisk) execFileSync('umount', ['-l', folder]);
    rmSync(folder, { recursive: true, force: true });
  }
}

export const backupFaults: readonly Fault[] = [
  { name: 'backup, kill source', run: (scene) => backupUnder(scene, () => kill(scene, pick(scene, nodeNames))) },
  { name: 'backup, kill command', run: (scene) => backupUnder(scene, (_scene, run) => run.kill()) },
  {
    name: 'backup, full disk',
    needs: 'disks',
    run: (scene) => backupUnder(scene, (_scene, _run, folder) => fillFor(scene, folder), true),
  },
  {
    name: 'backup, cut link',
    needs: 'boxes',
    run: (scene) => backupUnder(scene, () => cut(scene, [pick(scene, nodeNames), 'router'])),
  },
];
