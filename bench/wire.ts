/** Calls between two processes over the wire on loopback, to handlers that do nothing. */
import { join } from 'node:path';
import { parseShardMap } from '../src/shardmap/shard-map.ts';
import { NodeClient } from '../src/wire/node-client.ts';
import { startChild } from './child-process.ts';
import { type BenchOptions, type BenchResult, type Figure, runClosedLoop, startCpuMeter } from './report.ts';

export const question =
  'How many calls a second does one connection between two processes carry, and at what CPU time? (closed loop)';

const shapes = [
  { name: 'answers_1_kb', inFlight: 64, method: 'bench.1024' },
  { name: 'answers_10_kb', inFlight: 64, method: 'bench.10240' },
  { name: 'answers_1_kb_async', inFlight: 64, method: 'bench.async.1024' },
  { name: 'answers_1_kb_one_in_flight', inFlight: 1, method: 'bench.1024' },
  { name: 'answers_1_mb', inFlight: 4, method: 'bench.1048576' },
] as const;

export async function run(options: BenchOptions): Promise<BenchResult> {
  const server = await startChild(join(import.meta.dirname, 'wire-server.ts'), []);
  const map = parseShardMap({
    epoch: 1,
    slots: 1,
    nodes: { n0: { host: '127.0.0.1', port: server.ready['port'] } },
    shards: [{ name: 's0', primary: 'n0', slots: ['0'] }],
  });
  const client = new NodeClient({ map, seed: options.seed });
  try {
    const figures: Record<string, Figure> = {};
    for (const shape of shapes) figures[shape.name] = await measure(shape, client, server.pid, options);
    return { dataSize: 'requests of 200 bytes, answers as named', figures };
  } finally {
    await client[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  }
}

async function measure(
  shape: (typeof shapes)[number],
  client: NodeClient,
  serverPid: number,
  options: BenchOptions,
): Promise<Figure> {
  const { name, inFlight, method } = shape;
  const durationMs = (options.budgetS * 1000) / (shapes.length * 2) / (options.quick ? 1 : 5);
  const payload = Buffer.alloc(200, 1);
  const send = (): Promise<unknown> => client.call({ node: 'n0', method, payload, timeoutMs: 10_000 });
  await runClosedLoop({ inFlight, durationMs: durationMs / 3, send });
  const meter = startCpuMeter({ client: process.pid, server: serverPid });
  const { count, durationMs: tookMs, latency } = await runClosedLoop({ inFlight, durationMs, send });
  const cpu = meter.stop();
  const perSecond = (count / tookMs) * 1000;
  options.print(`${name}: ${Math.round(perSecond)} calls/s`);
  return {
    calls_per_s: perSecond,
    client_cpu_us: cpu['client']! / count,
    server_cpu_us: cpu['server']! / count,
    ...latency,
  };
}
