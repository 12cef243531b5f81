/**
 * Batched reads of stored records over a node's WebSocket, beside MGET of a Redis that holds the same values.
 *
 * Both are asked over loopback, in turns of a few seconds so that what else the machine does falls on both: ours for 50 AT-URIs a call by
 * a client that keeps 32 calls in flight on one connection, Redis for 50 keys a command by redis-benchmark with 32 connections, plain and
 * with a pipeline of 4. Redis has its default settings, but for saving, which is off; each serves on one thread. Rates are of the closed
 * loop; since load and server share the machine, the figure to compare is keys for each second of the server's CPU.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { recordUri } from '../src/atproto/compact-key.ts';
import { seededRandom } from '../src/base/seeded-random.ts';
import { parseShardMap } from '../src/shardmap/shard-map.ts';
import { NodeClient } from '../src/wire/node-client.ts';
import { decodeRecordBatchAnswer, encodeRecordBatchRequest, recordBatchMethod } from '../src/wire/record-batch.ts';
import { type BenchChild, startChild } from './child-process.ts';
import { postCommits } from './post-set.ts';
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
/** Calls before the first turn, and how many seconds they may take. */
const warmCalls = 10_000;
const warmRoundsMax = 8;
/** Each server is measured so many times, one after the other. */
const turns = 3;

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
        const { collection, rkey, json } = ops[0]!;
        set.push({ uri: recordUri({ did, collection, rkey }), value: Buffer.from(json) });
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

/** What was asked of one server over all turns. */
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
  readonly send: (index: number) => Promise<Uint8Array>;
  readonly redis: BenchRedis;
  readonly keys: number;
  readonly options: BenchOptions;
};

/** Latencies are those of the node's last turn. */
async function takeTurns({ node, send, redis, keys, options }: Sides): Promise<Figures> {
  const turnMs = (options.quick ? 6000 : 30_000) / turns;
  const turnRequests = Math.ceil((options.quick ? 40_000 : 200_000) / turns);
  const tallies = { ours: new Tally(), clients: new Tally(), plain: new Tally(), pipelined: new Tally() };
  const askRedis = async (requests: number, pipeline: number, into: Tally): Promise<void> => {
    const meter = startCpuMeter({ redis: redis.pid });
    const rate = await redis.benchMget({ keys, requests, clients: inFlight, pipeline });
    into.add(requests * mgetKeys, (requests / rate) * 1000, meter.stop()['redis']!);
  };
  // Warm is counted in calls, since on a busy machine a node gets little of the processor in a second.
  for (let calls = 0, rounds = 0; calls < warmCalls && rounds < warmRoundsMax; rounds++)
    calls += (await runClosedLoop({ inFlight, durationMs: 1000, send })).count;
  await askRedis(turnRequests / 4, 1, new Tally());
  let latency: Percentiles | undefined;
  for (let turn = 0; turn < turns; turn++) {
    const meter = startCpuMeter({ node: node.pid, client: process.pid });
    const loop = await runClosedLoop({ inFlight, durationMs: turnMs, send });
    const cpu = meter.stop();
    tallies.ours.add(loop.count * mgetKeys, loop.durationMs, cpu['node']!);
    tallies.clients.add(loop.count * mgetKeys, loop.durationMs, cpu['client']!);
    latency = loop.latency;
    await askRedis(turnRequests, 1, tallies.plain);
    await askRedis(turnRequests, 4, tallies.pipelined);
  }
  const { ours, clients, plain, pipelined } = tallies;
  options.print(`node: ${Math.round(ours.perSecond)} keys/s, ${Math.round(ours.perCpuSecond)} a second of its CPU`);
  options.print(`redis: ${Math.round(plain.perSecond)} keys/s, ${Math.round(plain.perCpuSecond)} a second of its CPU`);
  return {
    keys_per_s: ours.perSecond,
    keys_per_cpu_s: ours.perCpuSecond,
    cpu_us_per_key: 1e6 / ours.perCpuSecond,
    client_cpu_us_per_key: 1e6 / clients.perCpuSecond,
    ...latency,
    redis_keys_per_s: plain.perSecond,
    redis_keys_per_cpu_s: plain.perCpuSecond,
    redis_cpu_us_per_key: 1e6 / plain.perCpuSecond,
    redis_pipelined_keys_per_s: pipelined.perSecond,
    redis_pipelined_keys_per_cpu_s: pipelined.perCpuSecond,
    ratio: ours.perSecond / plain.perSecond,
    ratio_per_cpu_s: ours.perCpuSecond / plain.perCpuSecond,
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

/** Prepares batches of random posts and checks the answer of each. Returns what sends one of them. */
async function prepareBatches(
  client: NodeClient,
  set: readonly Post[],
  seed: number,
): Promise<(index: number) => Promise<Uint8Array>> {
  const random = seededRandom(seed);
  const batches = Array.from({ length: preparedBatches }, () => {
    const indexes = Array.from({ length: mgetKeys }, () => random.below(set.length));
    return { indexes, payload: encodeRecordBatchRequest(indexes.map((index) => set[index]!.uri)) };
  });
  const send = async (index: number): Promise<Uint8Array> => {
    const { payload } = batches[index % preparedBatches]!;
    return client.call({ node: 'n0', method: recordBatchMethod, payload, timeoutMs: 10_000 });
  };
  for (let index = 0; index < preparedBatches; index++) {
    const records = decodeRecordBatchAnswer(await send(index));
    const isRight = batches[index]!.indexes.every((at, position) => records[position]?.equals(set[at]!.value) ?? false);
    if (!isRight) throw new Error(`batch ${index} was not answered with the stored values`);
  }
  return send;
}
