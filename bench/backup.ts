/**
 * How fast a cluster is backed up and restored, what of it is copied again after a little has
 * changed, and what callers see meanwhile.
 *
 * One node, ingest and a demo network as `skyshard up` starts them. Reads and RPC writes come at a
 * quarter of the capacity, an open loop. Pairs of phases without and with a backup into a new
 * folder alternate, and the median of the ratios of their p99 counts. Slots are copied as a whole,
 * so what is copied again depends on how many of them have changed: those of one account in a
 * hundred.
 *
 * Arguments: the count of records.
 */
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../src/base/clock.ts';
import { callService } from '../src/cli/service-call.ts';
import { makeMemoryFolder } from '../test/support/memory-folder.ts';
import { runCommand } from '../test/support/running-cluster.ts';
import { DemoLoad, type Phase, pairFigures } from './demo-load.ts';
import { type BenchOptions, type BenchResult, type Figures, median } from './report.ts';

export const question =
  'How fast are backup and restore, what is copied again after 1 % of change, and what do callers see meanwhile?';

const slots = 16;
const goals = { failed: 0, p99_ratio: 2 } as const;
const changedShare = 0.01;

type Sizes = { readonly records: number; readonly phaseMs: number; readonly pairs: number };
type Backup = { readonly slots: number; readonly slotsCopied: number; readonly bytes: number; readonly tookMs: number };

export async function run({ args, quick, print }: BenchOptions): Promise<BenchResult> {
  const sizes = {
    records: Number(args[0] ?? (quick ? 2_000 : 60_000)),
    phaseMs: quick ? 2_000 : 5_000,
    pairs: quick ? 2 : 5,
  };
  const folder = makeMemoryFolder('skyshard-bench-backup-');
  try {
    const nodes = { n0: { host: '127.0.0.1', port: 0 } };
    const shards = [{ name: 's0', primary: 'n0', replicas: [], slots: [`0-${slots - 1}`] }];
    const map = { epoch: 1, slots, nodes, shards };
    writeFileSync(join(folder, 'map.json'), JSON.stringify(map));
    print(`loading ${sizes.records} records into ${slots} slots`);
    const load = await DemoLoad.start({ folder, records: sizes.records, flags: ['--demo-rate=0'] });
    let figures: Figures;
    try {
      figures = await measure(load, folder, sizes, print);
    } finally {
      await load[Symbol.asyncDispose]();
    }
    const restored = await restore(folder, load.cluster.run.map, sizes);
    return { dataSize: `${sizes.records} records, ${slots} slots`, figures: { goals, ...figures, ...restored } };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function backupPath(folder: string, pair: number): string {
  return join(folder, `backup-${pair}`);
}

async function backUp(load: DemoLoad, path: string): Promise<Backup> {
  const out = await load.run('backup', path, '--json');
  return JSON.parse(out.trim().split('\n').at(-1)!) as Backup;
}

async function measure(
  load: DemoLoad,
  folder: string,
  { phaseMs, pairs }: Sizes,
  print: BenchOptions['print'],
): Promise<Figures> {
  const capacity = await load.capacity(phaseMs);
  const perSecond = capacity / 4;
  print(`${Math.round(capacity)} requests a second at saturation`);
  const [without, beside, backups] = [[] as Phase[], [] as Phase[], [] as Backup[]];
  for (let pair = 0; pair < pairs; pair++) {
    const path = backupPath(folder, pair);
    const phases = [
      async () => void without.push(await load.phase(perSecond, phaseMs)),
      async () => {
        beside.push(await load.phase(perSecond, phaseMs, async () => void backups.push(await backUp(load, path))));
      },
    ];
    for (const phase of pair % 2 === 0 ? phases : phases.reverse()) await phase();
    if (pair < pairs - 1) rmSync(path, { recursive: true });
    print(`pair ${pair + 1}: p99 ${without.at(-1)!.p99_ms} ms, with a backup ${beside.at(-1)!.p99_ms} ms`);
  }
  const mib = backups.map(({ bytes }) => bytes / 2 ** 20);
  return {
    capacity_per_s: capacity,
    ...pairFigures(without, beside),
    problem: load.problem,
    backup_mib: median(mib),
    backup_mib_per_s: median(backups.map(({ tookMs }, index) => (1_000 * mib[index]!) / tookMs)),
    ...(await incremental(load, backupPath(folder, pairs - 1))),
  };
}

/** Backs up what the load has changed, then what one account in a hundred has. */
async function incremental(load: DemoLoad, path: string): Promise<Figures> {
  await backUp(load, path);
  const unchanged = await backUp(load, path);
  const { dids } = load;
  const changed = dids.filter((_did, index) => index % (1 / changedShare) === 0);
  const router = { url: load.cluster.run.router.url, timeoutMs: 30_000 };
  const timestamp = new Date(systemClock.nowMs()).toISOString();
  for (const actorDid of changed) await callService(router, 'UpdateNotificationSeen', { actorDid, timestamp });
  const after = await backUp(load, path);
  return {
    accounts_changed: changed.length,
    accounts: dids.length,
    slots_copied_unchanged: unchanged.slotsCopied,
    slots_copied_share: after.slotsCopied / after.slots,
    incremental_s: after.tookMs / 1_000,
  };
}

/** Restores the last backup into an empty folder. */
async function restore(folder: string, mapPath: string, { pairs }: Sizes): Promise<Figures> {
  const map = JSON.parse(readFileSync(mapPath, 'utf8')) as object;
  const restoredMap = join(folder, 'restored.json');
  writeFileSync(restoredMap, JSON.stringify(map));
  const dataDir = join(folder, 'restored');
  const startMs = systemClock.monotonicMs();
  const words = ['restore', backupPath(folder, pairs - 1), `--data-dir=${dataDir}`, `--map=${restoredMap}`];
  const { code, out, err } = await runCommand(words);
  if (code !== 0) throw new Error(`restore: ${out}${err}`);
  const seconds = (systemClock.monotonicMs() - startMs) / 1_000;
  const mib = bytesBelow(dataDir) / 2 ** 20;
  return { restore_mib: mib, restore_s: seconds, restore_mib_per_s: mib / seconds };
}

function bytesBelow(folder: string): number {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);
}
