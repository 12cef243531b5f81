/**
 * Batched reads of records over a node's WebSocket, against MGET of a Redis with the same values.
 *
 * Both are asked over loopback, alternating every few seconds, so that other load on the machine
 * affects both. A client asks ours for 50 AT-URIs per call, with 32 calls in flight on one
 * connection; redis-benchmark asks Redis for 50 keys per command on 32 connections, plain and with
 * a pipeline of 4. Redis has its default settings except that saving is off; each serves on one
 * thread. Closed loop. Since load and server share the machine, compare the keys per second of
 * server CPU.
 *
 * Our node is asked with its default record cache, which most requests hit (`hit_share`), and with
 * a cache a tenth the size of the records (`beyond_cache`), which most requests miss: they read
 * rows from pages that are in memory, of slots that are compacted, and of slots as they were
 * written (`beyond_cache_uncompacted`). What is asked for is drawn evenly, so that no cache helps
 * much. `npm run bench -- cold` reads from the disk.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { recordUri } from '../src/atproto/compact-key.ts';
import { seededRandom } from '../src/base/seeded-random.ts';
import { parseShardMap } from '../src/shardmap/shard-map.ts';
import { NodeClient } from '../src/wire/node-client.ts';
import { decodeRecordBatchAnswer, encodeRecordBatchRequest } from '../src/wire/record-batch.ts';
import { jsonOfOp } from '../test/support/record-op.ts';
import { type BenchChild, startChild } from './child-process.ts';
import { postCommits } from './post-set.ts';
import { type RecordsMethod, recordsMethods } from './records-methods.ts';
import { type BenchRedis, mgetKeys, startRedis } from './redis.ts';
import {
  type BenchOptions,
  type BenchResult,
  type Figures,
  type Percentiles,
  runClosedLoop,
  startCpuMeter,
} from './report.ts';

export const question =
  'How many stored records a second does one serving thread read in batches of 50, and how many does Redis by MGET? (closed loop)';

const inFlight = 32;
const preparedBatches = 2000;
/** Calls before the first turn, and how many rounds of seconds they may take. */
const warmCalls = 10_000;
const warmRoundsMax = 8;
/** How often each server is measured, alternating with the other. */
const turns = 3;

type Send = (index: number, method: RecordsMethod) => Promise<Uint8Array>;

type CacheCount = { readonly hits: number; readonly misses: number };
type CacheCounts = Readonly<Record<RecordsMethod, CacheCount>>;

function hitShare(before: CacheCount, after: CacheCount): number {
  const hits = after.hits - before.hits;
  return hits / (hits + after.misses - before.misses);
}

type Post = { readonly uri: string; readonly value: Buffer };

export async function run(options: BenchOptions): Promise<BenchResult> {
  const posts = options.quick ? 100_000 : 1_000_000;
  const authors = posts / 20;
  const folder = mkdtempSync(join(tmpdir(), 'skyshard-keys-'));
  const args = [folder, posts, authors, options.seed].map(String);
  try {
    const node = await startChild(join(import.meta.dirname, 'keys-node.ts'), args, { readyMsMax: 600_000 });
    try {
      const set: Post[] = [];
      for (const { did, ops } of postCommits({ seed: options.seed, posts, authors })) {
        const [op] = ops;
        const { collection, rkey } = op!;
        set.push({ uri: recordUri({ did, collection, rkey }), value: Buffer.from(jsonOfOp(op!)) });
      }
      const valueBytes = set.reduce((bytes, post) => bytes + post.value.length, 0) / posts;
      const figures = await compare(node, set, options);
      return { dataSize: `${posts} posts of ${authors} authors, ${Math.round(valueBytes)} bytes a value`, figures };
    } finally {
      await node[Symbol.asyncDispose]();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function cacheCounts(node: BenchChild): Promise<CacheCounts> {
  const answer = await fetch(`http://127.0.0.1:${node.ready['port']}/v1/status`);
  return (await answer.json()) as CacheCounts;
}

type RunOutcome = { readonly loop: Awaited<ReturnType<typeof runClosedLoop>>; readonly clientCpuUs: number };

/** The keys, time and CPU of one server over all turns. */
class Tally {
  #keys = 0;
  #ms = 0;
  #cpuUs = 0;

  add(keys: number, durationMs: number, cpuUs: number): void {
    this.#keys += keys;
    this.#ms += durationMs;
    this.#cpuUs += cpuUs;
  }

  get perSecond(): number {
    return (this.#keys / this.#ms) * 1000;
  }

  get perCpuSecond(): number {
    return (this.#keys / this.#cpuUs) * 1e6;
  }
}

async function compare(node: BenchChild, set: readonly Post[], options: BenchOptions): Promise<Figures> {
  const client = openClient(node, options.seed);
  try {
    const send = await prepareBatches(client, set, options.seed);
    const redis = await startRedis();
    try {
      const keys = await redis.fill(set.map((post) => post.value));
      return await takeTurns({ node, send, redis, keys, options });
    } finally {
      await redis[Symbol.asyncDispose]();
    }
  } finally {
    await client[Symbol.asyncDispose]();
  }
}

type Sides = {
  readonly node: BenchChild;
  readonly send: Send;
  readonly redis: BenchRedis;
  readonly keys: number;
  readonly options: BenchOptions;
};

/** Latencies are those of the node's last turn. */
async function takeTurns({ node, send, redis, keys, options }: Sides): Promise<Figures> {
  const turnMs = (options.quick ? 6000 : 30_000) / turns;
  const turnRequests = Math.ceil((options.quick ? 40_000 : 200_000) / turns);
  const tallies = {
    ours: new Tally(),
    beyond: new Tally(),
    uncompacted: new Tally(),
    clients: new Tally(),
    plain: new Tally(),
    pipelined: new Tally(),
  };
  const askRedis = async (requests: number, pipeline: number, into: Tally): Promise<void> => {
    const meter = startCpuMeter({ redis: redis.pid });
    const rate = await redis.benchMget({ keys, requests, clients: inFlight, pipeline });
    into.add(requests * mgetKeys, (requests / rate) * 1000, meter.stop()['redis']!);
  };
  const askNode = async (method: RecordsMethod, durationMs: number, into: Tally): Promise<RunOutcome> => {
    const meter = startCpuMeter({ node: node.pid, client: process.pid });
    const loop = await runClosedLoop({ inFlight, durationMs, send: (index) => send(index, method) });
    const cpu = meter.stop();
    into.add(loop.count * mgetKeys, loop.durationMs, cpu['node']!);
    return { loop, clientCpuUs: cpu['client']! };
  };
  // Warm-up is counted in calls, since on a busy machine a node gets little CPU in a second.
  for (let calls = 0, rounds = 0; calls < warmCalls && rounds < warmRoundsMax; rounds++)
    calls += (await askNode('default', 1000, new Tally())).loop.count;
  for (const method of ['small', 'written'] as const) await askNode(method, 1000, new Tally());
  await askRedis(turnRequests / 4, 1, new Tally());
  const before = await cacheCounts(node);
  let latency: Percentiles | undefined;
  for (let turn = 0; turn < turns; turn++) {
    const { loop, clientCpuUs } = await askNode('default', turnMs, tallies.ours);
    tallies.clients.add(loop.count * mgetKeys, loop.durationMs, clientCpuUs);
    latency = loop.latency;
    await askRedis(turnRequests, 1, tallies.plain);
    await askRedis(turnRequests, 4, tallies.pipelined);
    await askNode('small', turnMs / 3, tallies.beyond);
    await askNode('written', turnMs / 3, tallies.uncompacted);
  }
  const after = await cacheCounts(node);
  const { ours, beyond, uncompacted, clients, plain, pipelined } = tallies;
  options.print(`node: ${Math.round(ours.perSecond)} keys/s, ${Math.round(ours.perCpuSecond)} a second of its CPU`);
  options.print(`redis: ${Math.round(plain.perSecond)} keys/s, ${Math.round(plain.perCpuSecond)} a second of its CPU`);
  return {
    keys_per_s: ours.perSecond,
    keys_per_cpu_s: ours.perCpuSecond,
    cpu_us_per_key: 1e6 / ours.perCpuSecond,
    client_cpu_us_per_key: 1e6 / clients.perCpuSecond,
    hit_share: hitShare(before.default, after.default),
    ...latency,
    beyond_cache_keys_per_s: beyond.perSecond,
    beyond_cache_keys_per_cpu_s: beyond.perCpuSecond,
    beyond_cache_hit_share: hitShare(before.small, after.small),
    beyond_cache_uncompacted_keys_per_cpu_s: uncompacted.perCpuSecond,
    redis_keys_per_s: plain.perSecond,
    redis_keys_per_cpu_s: plain.perCpuSecond,
    redis_cpu_us_per_key: 1e6 / plain.perCpuSecond,
    redis_pipelined_keys_per_s: pipelined.perSecond,
    redis_pipelined_keys_per_cpu_s: pipelined.perCpuSecond,
    ratio: ours.perSecond / plain.perSecond,
    ratio_per_cpu_s: ours.perCpuSecond / plain.perCpuSecond,
    ratio_beyond_cache: beyond.perSecond / plain.perSecond,
    ratio_beyond_cache_per_cpu_s: beyond.perCpuSecond / plain.perCpuSecond,
    ratio_beyond_cache_uncompacted_per_cpu_s: uncompacted.perCpuSecond / plain.perCpuSecond,
    ratio_pipelined: ours.perSecond / pipelined.perSecond,
    ratio_pipelined_per_cpu_s: ours.perCpuSecond / pipelined.perCpuSecond,
  };
}

function openClient(node: BenchChild, seed: number): NodeClient {
  const map = parseShardMap({
    epoch: 1,
    slots: 16,
    nodes: { n0: { host: '127.0.0.1', port: node.ready['port'] } },
    shards: [{ name: 's0', primary: 'n0', slots: ['0-15'] }],
  });
  return new NodeClient({ map, seed });
}

/** Prepares batches of random posts and checks each answer. Returns a function that sends one. */
async function prepareBatches(client: NodeClient, set: readonly Post[], seed: number): Promise<Send> {
  const random = seededRandom(seed);
  const batches = Array.from({ length: preparedBatches }, () => {
    const indexes = Array.from({ length: mgetKeys }, () => random.below(set.length));
    return { indexes, payload: encodeRecordBatchRequest(indexes.map((index) => set[index]!.uri)) };
  });
  const send: Send = async (index, method) => {
    const { payload } = batches[index % preparedBatches]!;
    return client.call({ node: 'n0', method: recordsMethods[method], payload, timeoutMs: 10_000 });
  };
  // The second and third calls of a batch fill the cache and hit it.
  for (let call = 0; call < 3 * preparedBatches; call++) {
    const { indexes } = batches[call % preparedBatches]!;
    const records = decodeRecordBatchAnswer(await send(call, 'default'));
    const isRight = indexes.every((at, position) => records[position]?.equals(set[at]!.value) ?? false);
    if (!isRight) throw new Error(`batch ${call} was not answered with the stored values`);
  }
  return send;
}
