/**
 * The log in the folders of a node and on a NATS server: the same entries through either, appended
 * from this process to one node with 16 slots, in alternating runs.
 *
 * Closed loop: the appender sends as fast as it may. An entry in a folder is applied when it is
 * acknowledged; one on a server is on the server, and applied later. Argument: `--records=N`.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '../src/base/clock.ts';
import { seededRandom } from '../src/base/seeded-random.ts';
import { withRealPorts } from '../src/cli/map-file.ts';
import { JetStreamSender } from '../src/log/jetstream-sender.ts';
import { RemoteLog } from '../src/log/remote-log.ts';
import { settle } from '../src/router/settle.ts';
import { parseShardMap, type ShardMap } from '../src/shardmap/shard-map.ts';
import { NodeClient } from '../src/wire/node-client.ts';
import { NatsServer } from '../test/support/nats-server.ts';
import { type BenchChild, startChild } from './child-process.ts';
import { type BenchOptions, type BenchResult, type Figure, median, startCpuMeter } from './report.ts';
import { type ServingEntry, servingEntries } from './serving-network.ts';

export const question = 'How many entries a second go through the embedded log and through JetStream? (closed loop)';

const slots = 16;
const homes = ['embedded', 'jetstream'] as const;
const settleMsMax = 600_000;
const mainScript = join(import.meta.dirname, '..', 'src', 'cli', 'main.ts');

type Measured = {
  /** Until the last entry was acknowledged, and until all were applied, effects included. */
  readonly acknowledged_per_s: number;
  readonly applied_per_s: number;
  readonly appender_cpu_us: number;
  readonly node_cpu_us: number;
  readonly nats_cpu_us: number;
};

type Cluster = { readonly map: ShardMap; readonly node: BenchChild; readonly statusUrl: string };

async function startCluster(folder: string, server: NatsServer | null): Promise<Cluster> {
  const wanted = {
    epoch: 1,
    slots,
    nodes: { n0: { host: '127.0.0.1', port: 0 } },
    shards: [{ name: 's0', primary: 'n0', slots: [`0-${slots - 1}`] }],
  };
  const { raw, map } = await withRealPorts({ raw: wanted, map: parseShardMap(wanted) });
  const mapPath = join(folder, 'shard-map.json');
  writeFileSync(mapPath, JSON.stringify(raw));
  const log = server === null ? [] : [`--log=${server.url}`];
  const words = ['node', 'n0', `--map=${mapPath}`, `--data-dir=${folder}`, '--log-level=error', ...log];
  const node = await startChild(mainScript, words);
  node.process.stdout?.resume();
  const { ports } = node.ready as { ports: { port: number } };
  return { map, node, statusUrl: `http://127.0.0.1:${ports.port}/v1/status` };
}

async function waitUntilApplied({ statusUrl }: Cluster): Promise<void> {
  const poll = async () => {
    const response = await fetch(statusUrl, { signal: AbortSignal.timeout(settleMsMax) });
    return [{ name: 'n0', slots: ((await response.json()) as { slots: [] }).slots }];
  };
  await settle(poll, settleMsMax, systemClock);
}

/** Appends all entries, as fast as the appender takes them. */
async function appendAll(appender: RemoteLog, entries: readonly ServingEntry[]): Promise<void> {
  const acknowledged: Promise<void>[] = [];
  for (const entry of entries) {
    acknowledged.push(appender.append(entry.did, entry));
    if (!appender.hasCapacity) await appender.waitForCapacity();
  }
  await Promise.all(acknowledged);
}

async function measure(entries: readonly ServingEntry[], server: NatsServer | null, seed: number): Promise<Measured> {
  const folder = mkdtempSync(join(tmpdir(), 'skyshard-bench-log-'));
  const cluster = await startCluster(folder, server);
  const map = (): ShardMap => cluster.map;
  const caller = new NodeClient({ map: cluster.map, seed });
  const sender = server === null ? null : senderTo(server, map, seed);
  const appender = new RemoteLog({ caller, map, lingerMs: 4, ...(sender === null ? {} : { server: sender }) });
  try {
    const nats = server === null ? {} : { nats: server.pid };
    const meter = startCpuMeter({ appender: process.pid, node: cluster.node.pid, ...nats });
    const startMs = systemClock.monotonicMs();
    await appendAll(appender, entries);
    const acknowledgedMs = systemClock.monotonicMs() - startMs;
    await waitUntilApplied(cluster);
    const appliedMs = systemClock.monotonicMs() - startMs;
    const used = meter.stop();
    return {
      acknowledged_per_s: (entries.length / acknowledgedMs) * 1000,
      applied_per_s: (entries.length / appliedMs) * 1000,
      appender_cpu_us: used['appender']! / entries.length,
      node_cpu_us: used['node']! / entries.length,
      nats_cpu_us: (used['nats'] ?? 0) / entries.length,
    };
  } finally {
    await appender[Symbol.asyncDispose]();
    await sender?.[Symbol.asyncDispose]();
    await caller[Symbol.asyncDispose]();
    await cluster.node[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  }
}

function senderTo({ url }: NatsServer, map: () => ShardMap, seed: number): JetStreamSender {
  const server = { urls: [url], credentialsFile: null, streams: null };
  return new JetStreamSender({ server, map, clock: systemClock, random: seededRandom(seed), note: () => {} });
}

async function measureOn(home: (typeof homes)[number], entries: readonly ServingEntry[], seed: number) {
  if (home === 'embedded') return measure(entries, null, seed);
  const server = await NatsServer.start();
  try {
    return await measure(entries, server, seed);
  } finally {
    await server[Symbol.asyncDispose]();
  }
}

/** Returns the median of each figure. */
function mediansOf(runs: readonly Measured[]): Figure {
  const names = Object.keys(runs[0]!) as (keyof Measured)[];
  return Object.fromEntries(names.map((name) => [name, median(runs.map((each) => each[name]))]));
}

export async function run({ quick, seed, args, print }: BenchOptions): Promise<BenchResult> {
  const { values } = parseArgs({ args: [...args], options: { records: { type: 'string' } } });
  const records = Number(values.records ?? (quick ? 20_000 : 200_000));
  if (!Number.isSafeInteger(records) || records < 1_000) throw new Error('--records must be a number from 1000');
  const entries = [...servingEntries({ seed, records, kind: 'graph' }, () => {})];
  const pairs = quick ? 1 : 3;
  const runs: Record<(typeof homes)[number], Measured[]> = { embedded: [], jetstream: [] };
  for (let pair = 0; pair < pairs; pair++) {
    for (const home of homes) {
      const measured = await measureOn(home, entries, seed);
      print(`${home}: ${Math.round(measured.applied_per_s)} entries/s applied`);
      runs[home].push(measured);
    }
  }
  const ratios = runs.jetstream.map((each, pair) => each.applied_per_s / runs.embedded[pair]!.applied_per_s);
  return {
    dataSize: `${entries.length} entries of a social graph, ${slots} slots of one node, ${pairs} alternating pairs`,
    figures: {
      embedded: mediansOf(runs.embedded),
      jetstream: mediansOf(runs.jetstream),
      applied_jetstream_by_embedded: median(ratios),
    },
  };
}
