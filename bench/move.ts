/**
 * What callers see of a move of every slot from one node to another, and how fast that is.
 *
 * Two nodes, a router, ingest and a demo network as `skyshard up` starts them, with the log on a
 * NATS server of this machine, and the command line behind all of them. Reads and RPC writes come
 * at a quarter of the capacity, an open loop, and records of the firehose besides. Pairs of phases
 * without and with a move alternate, one of them there, the next one back; the median of the ratios
 * of their p99 counts. In both phases the target is asked what it has received. At last a move by
 * `--throttle-p99-ms`, during which the source is asked once a second what its reads take.
 *
 * Arguments: the count of records.
 */
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../src/base/clock.ts';
import { SourcePace } from '../src/node/source-pace.ts';
import { parseShardMap } from '../src/shardmap/shard-map.ts';
import { NodeClient } from '../src/wire/node-client.ts';
import { makeMemoryFolder } from '../test/support/memory-folder.ts';
import { NatsServer } from '../test/support/nats-server.ts';
import { DemoLoad, nodeFolder, type Phase, pairFigures } from './demo-load.ts';
import { type BenchOptions, type BenchResult, type Figures, median } from './report.ts';

export const question =
  'What do callers see of a move of every slot to another node, how fast is it, and does a throttle by p99 hold?';

const slots = 8;
const goals = { failed: 0, p99_ratio: 2 } as const;
/** Of the records of the firehose meanwhile. */
const recordsPerSecond = 40;
/** The limit of the throttle, as a multiple of what reads take at the source without a move. */
const throttleRatio = 1.5;

type Sizes = { readonly records: number; readonly phaseMs: number; readonly pairs: number };

export async function run(options: BenchOptions): Promise<BenchResult> {
  const { args, quick, print } = options;
  const sizes = {
    records: Number(args[0] ?? (quick ? 2_000 : 60_000)),
    phaseMs: quick ? 2_000 : 5_000,
    pairs: quick ? 2 : 5,
  };
  const server = await NatsServer.start();
  const folder = makeMemoryFolder('skyshard-bench-move-');
  try {
    const nodes = Object.fromEntries(['n0', 'n1'].map((name) => [name, { host: '127.0.0.1', port: 0 }]));
    const shards = [{ name: 's0', primary: 'n0', replicas: [], slots: [`0-${slots - 1}`] }];
    writeFileSync(join(folder, 'map.json'), JSON.stringify({ epoch: 1, slots, nodes, shards }));
    const flags = [`--demo-rate=${recordsPerSecond}`, `--log=${server.url}`, `--log-bytes-max=${2 ** 30}`];
    print(`loading ${sizes.records} records into ${slots} slots`);
    const load = await DemoLoad.start({ folder, records: sizes.records, flags });
    try {
      const figures = await measure(load, sizes, print);
      return { dataSize: `${sizes.records} records, ${slots} slots`, figures };
    } finally {
      await load[Symbol.asyncDispose]();
    }
  } finally {
    await server[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Bytes of the slots of a node, as its files are. */
function bytesAt(load: DemoLoad, node: string): number {
  const folder = join(nodeFolder(load.cluster, node), 'slots');
  if (!existsSync(folder)) return 0;
  return readdirSync(folder).reduce((sum, slot) => sum + statSync(join(folder, slot, 'data.mdb')).size, 0);
}

/** `copyMibPerS`: from the first byte that the target received to the last. */
type Moved = { readonly bytes: number; readonly seconds: number; readonly copyMibPerS: number };

const watchMs = 250;

/** Looks at how many bytes of copies a node has received. `end` returns how fast they came. */
function watchCopies(load: DemoLoad, node: string): { end(): Promise<number> } {
  const url = `${load.cluster.run.nodes[node]!.url}/metrics`;
  const received = async (): Promise<number> => {
    const text = await (await fetch(url)).text();
    return Number(/^skyshard_slot_fetched_bytes_total (\d+)/m.exec(text)?.[1] ?? 0);
  };
  const stop = new AbortController();
  const watching = (async (): Promise<number> => {
    const before = await received();
    let [last, firstMs, lastMs] = [before, 0, 0];
    while (!stop.signal.aborted) {
      await systemClock.sleep(watchMs, stop.signal);
      const now = await received();
      if (now === last) continue;
      lastMs = systemClock.monotonicMs();
      if (firstMs === 0) firstMs = lastMs - watchMs;
      last = now;
    }
    return (1_000 * (last - before)) / 2 ** 20 / Math.max(watchMs, lastMs - firstMs);
  })();
  return {
    end: () => {
      stop.abort();
      return watching;
    },
  };
}

/** Moves every slot, and ends the move. Returns how long that took up to the handover. */
async function moveAll(load: DemoLoad, to: string, ...flags: string[]): Promise<Moved> {
  const startMs = systemClock.monotonicMs();
  const copies = watchCopies(load, to);
  let [seconds, copyMibPerS] = [0, 0];
  try {
    await load.run('move', `--slots=0-${slots - 1}`, `--to=${to}`, ...flags);
    seconds = (systemClock.monotonicMs() - startMs) / 1_000;
  } finally {
    copyMibPerS = await copies.end();
  }
  const bytes = bytesAt(load, to);
  await load.run('move', 'drop');
  return { bytes, seconds, copyMibPerS };
}

async function measure(load: DemoLoad, { phaseMs, pairs }: Sizes, print: BenchOptions['print']): Promise<Figures> {
  const capacity = await load.capacity(phaseMs);
  const perSecond = capacity / 4;
  print(`${Math.round(capacity)} requests a second at saturation`);
  const [without, beside, moved] = [[] as Phase[], [] as Phase[], [] as Moved[]];
  const targets = ['n1', 'n0'];
  for (let pair = 0; pair < pairs; pair++) {
    const to = targets[pair % 2]!;
    const phases = [
      async () => {
        // What it costs the target to be asked is no part of what a move costs.
        const copies = watchCopies(load, to);
        without.push(await load.phase(perSecond, phaseMs));
        await copies.end();
      },
      async () => {
        beside.push(await load.phase(perSecond, phaseMs, async () => void moved.push(await moveAll(load, to))));
      },
    ];
    for (const phase of pair % 2 === 0 ? phases : phases.reverse()) await phase();
    print(`pair ${pair + 1}: p99 ${without.at(-1)!.p99_ms} ms, with a move ${beside.at(-1)!.p99_ms} ms`);
  }
  const figures = pairFigures(without, beside);
  const [from, to] = pairs % 2 === 0 ? ['n0', 'n1'] : ['n1', 'n0'];
  const throttled = await throttledMove(load, { from: from!, to: to!, perSecond, phaseMs });
  return {
    goals,
    capacity_per_s: capacity,
    ...figures,
    problem: load.problem,
    moved_mib: median(moved.map(({ bytes }) => bytes / 2 ** 20)),
    move_s: median(moved.map(({ seconds }) => seconds)),
    copy_mib_per_s: median(moved.map(({ copyMibPerS }) => copyMibPerS)),
    throttled,
  };
}

type ThrottledMove = {
  readonly from: string;
  readonly to: string;
  readonly perSecond: number;
  readonly phaseMs: number;
};

/** Looks at what reads take at a node, once a second, until told to end. */
function watch(load: DemoLoad, node: string): { end(): Promise<number[]> } {
  const map = parseShardMap(JSON.parse(readFileSync(load.cluster.run.map, 'utf8')));
  const tokenFile = join(load.cluster.dataDir, 'cluster-token');
  const clusterToken = existsSync(tokenFile) ? readFileSync(tokenFile, 'utf8').trim() : null;
  const client = new NodeClient({ map, clusterToken });
  const pace = new SourcePace(node, client, systemClock);
  const stop = new AbortController();
  const seen: number[] = [];
  const watching = (async () => {
    while (!stop.signal.aborted) {
      await pace.bytesPerSecond(Number.POSITIVE_INFINITY, stop.signal);
      if (pace.p99Ms !== null) seen.push(pace.p99Ms);
      await systemClock.sleep(1_000, stop.signal);
    }
  })();
  return {
    end: async () => {
      stop.abort();
      await watching;
      await client[Symbol.asyncDispose]();
      return seen;
    },
  };
}

async function throttledMove(load: DemoLoad, { from, to, perSecond, phaseMs }: ThrottledMove): Promise<Figures> {
  const quiet = watch(load, from);
  await load.phase(perSecond, Math.max(4_000, phaseMs));
  const usual = median(await quiet.end());
  if (!Number.isFinite(usual)) throw new Error(`node ${from} says nothing of its reads`);
  const limit = Math.max(1, Math.ceil(usual * throttleRatio));
  const busy = watch(load, from);
  let moved: Moved = { bytes: 0, seconds: 0, copyMibPerS: 0 };
  const phase = await load.phase(perSecond, phaseMs, async () => {
    moved = await moveAll(load, to, `--throttle-p99-ms=${limit}`);
  });
  const seen = await busy.end();
  return {
    limit_ms: limit,
    source_p99_without_ms: usual,
    source_p99_ms: median(seen),
    seconds_within_share: seen.filter((p99) => p99 <= limit).length / Math.max(1, seen.length),
    move_s: moved.seconds,
    copy_mib_per_s: moved.copyMibPerS,
    failed: phase.failed,
    p99_ms: phase.p99_ms,
  };
}
