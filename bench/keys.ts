/**
 * Batched reads of stored records over a node's WebSocket, beside MGET of a Redis that holds the same values.
 *
 * Both are asked by one process over loopback, in turn: ours for 50 AT-URIs a call, Redis for 50 keys a command. Rates are of the
 * closed loop; since load and server share the machine, the figure to compare is keys for each second of the server's CPU.
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
import { mgetKeys, startRedis } from './redis.ts';
import { type BenchOptions, type BenchResult, type Figures, runClosedLoop, startCpuMeter } from './report.ts';

export const question =
  'How many stored records a second does one serving thread read in batches of 50, and how many does Redis by MGET? (closed loop)';

const inFlight = 32;
const preparedBatches = 2000;

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
      const ours = await measureNode(node, set, options);
      const redis = await measureRedis(set, options);
      const figures = {
        ...ours,
        ...redis,
        ratio: Number(ours['keys_per_s']) / Number(redis['redis_keys_per_s']),
        ratio_per_cpu_s: Number(ours['keys_per_cpu_s']) / Number(redis['redis_keys_per_cpu_s']),
        ratio_pipelined: Number(ours['keys_per_s']) / Number(redis['redis_pipelined_keys_per_s']),
      };
      return { dataSize: `${posts} posts of ${authors} authors, ${Math.round(valueBytes)} bytes a value`, figures };
    } finally {
      await node[Symbol.asyncDispose]();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measureNode(node: BenchChild, set: readonly Post[], options: BenchOptions): Promise<Figures> {
  const map = parseShardMap({
    epoch: 1,
    slots: 16,
    nodes: { n0: { host: '127.0.0.1', port: node.ready['port'] } },
    shards: [{ name: 's0', primary: 'n0', slots: ['0-15'] }],
  });
  const client = new NodeClient({ map, seed: options.seed });
  try {
    const random = seededRandom(options.seed);
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
      const isRight = batches[index]!.indexes.every(
        (at, position) => records[position]?.equals(set[at]!.value) ?? false,
      );
      if (!isRight) throw new Error(`batch ${index} was not answered with the stored values`);
    }
    const durationMs = options.quick ? 6000 : 30_000;
    await runClosedLoop({ inFlight, durationMs: durationMs / 4, send });
    const meter = startCpuMeter({ node: node.pid, client: process.pid });
    const { count, durationMs: tookMs, latency } = await runClosedLoop({ inFlight, durationMs, send });
    const cpu = meter.stop();
    const keys = count * mgetKeys;
    options.print(`node: ${Math.round((keys / tookMs) * 1000)} keys/s`);
    return {
      keys_per_s: (keys / tookMs) * 1000,
      keys_per_cpu_s: keys / (cpu['node']! / 1e6),
      cpu_us_per_key: cpu['node']! / keys,
      client_cpu_us_per_key: cpu['client']! / keys,
      ...latency,
    };
  } finally {
    await client[Symbol.asyncDispose]();
  }
}

async function measureRedis(set: readonly Post[], options: BenchOptions): Promise<Figures> {
  const redis = await startRedis();
  try {
    const keys = await redis.fill(set.map((post) => post.value));
    const ask = async (requests: number, pipeline: number): Promise<{ perSecond: number; perCpuS: number }> => {
      const meter = startCpuMeter({ redis: redis.pid });
      const rate = await redis.benchMget({ keys, requests, clients: inFlight, pipeline });
      return { perSecond: rate * mgetKeys, perCpuS: (requests * mgetKeys) / (meter.stop()['redis']! / 1e6) };
    };
    const requests = options.quick ? 40_000 : 200_000;
    await ask(requests / 4, 1);
    const plain = await ask(requests, 1);
    const pipelined = await ask(requests, 4);
    options.print(
      `redis: ${Math.round(plain.perSecond)} keys/s, ${Math.round(pipelined.perSecond)} with a pipeline of 4`,
    );
    return {
      redis_keys_per_s: plain.perSecond,
      redis_keys_per_cpu_s: plain.perCpuS,
      redis_cpu_us_per_key: 1e6 / plain.perCpuS,
      redis_pipelined_keys_per_s: pipelined.perSecond,
      redis_pipelined_keys_per_cpu_s: pipelined.perCpuS,
    };
  } finally {
    await redis[Symbol.asyncDispose]();
  }
}
