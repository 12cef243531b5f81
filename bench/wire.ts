/**
 * Calls between two processes of one machine over the wire, to handlers that do nothing: over TCP
 * and over a Unix socket, in alternating runs.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseShardMap } from '../src/shardmap/shard-map.ts';
import { NodeClient } from '../src/wire/node-client.ts';
import { type BenchChild, startChild } from './child-process.ts';
import {
  type BenchOptions,
  type BenchResult,
  type Figure,
  median,
  type Percentiles,
  runClosedLoop,
  startCpuMeter,
} from './report.ts';

export const question =
  'How many calls a second does one connection between two processes carry, and at what CPU time? (closed loop)';

const shapes = [
  { name: 'answers_1_kb', inFlight: 64, method: 'bench.1024' },
  { name: 'answers_10_kb', inFlight: 64, method: 'bench.10240' },
  { name: 'answers_1_kb_async', inFlight: 64, method: 'bench.async.1024' },
  { name: 'answers_1_kb_one_in_flight', inFlight: 1, method: 'bench.1024' },
  { name: 'answers_1_mb', inFlight: 4, method: 'bench.1048576' },
] as const;

const pairs = 3;
const transports = ['tcp', 'unix'] as const;

type Side = { readonly client: NodeClient; readonly server: BenchChild };

async function startSide(seed: number, args: readonly string[]): Promise<Side> {
  const server = await startChild(join(import.meta.dirname, 'wire-server.ts'), args);
  const map = parseShardMap({
    epoch: 1,
    slots: 1,
    nodes: { n0: { host: '127.0.0.1', port: server.ready['port'] } },
    shards: [{ name: 's0', primary: 'n0', slots: ['0'] }],
  });
  return { client: new NodeClient({ map, seed }), server };
}

async function stopSide({ client, server }: Side): Promise<void> {
  await client[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
}

export async function run(options: BenchOptions): Promise<BenchResult> {
  const folder = mkdtempSync(join(tmpdir(), 'skyshard-wire-'));
  const sides = {
    tcp: await startSide(options.seed, []),
    unix: await startSide(options.seed, [join(folder, 'wire.sock')]),
  };
  try {
    const figures: Record<string, Figure> = {};
    for (const shape of shapes) {
      const runs: Record<(typeof transports)[number], Measured[]> = { tcp: [], unix: [] };
      for (let pair = 0; pair < pairs; pair++) {
        for (const transport of transports) runs[transport].push(await measure(shape, sides[transport], options));
      }
      for (const transport of transports) {
        if (sides[transport].client.snapshot()['n0']?.transport !== transport) throw new Error(`not over ${transport}`);
        figures[`${shape.name}_${transport}`] = medianOf(runs[transport]);
      }
      const ratio = median(runs.tcp.map((tcp, pair) => cpuOf(runs.unix[pair]!) / cpuOf(tcp)));
      figures[`${shape.name}_unix_cpu_by_tcp`] = ratio;
      options.print(`${shape.name}: over the Unix socket ${ratio.toFixed(2)} times the CPU of TCP`);
    }
    return { dataSize: 'requests of 200 bytes, answers as named', figures };
  } finally {
    for (const transport of transports) await stopSide(sides[transport]);
    rmSync(folder, { recursive: true, force: true });
  }
}

type Measured = {
  readonly calls_per_s: number;
  readonly client_cpu_us: number;
  readonly server_cpu_us: number;
} & Percentiles;

const cpuOf = ({ client_cpu_us, server_cpu_us }: Measured): number => client_cpu_us + server_cpu_us;

/** Returns the run whose CPU is the median. */
function medianOf(runs: readonly Measured[]): Measured {
  return runs.toSorted((a, b) => cpuOf(a) - cpuOf(b))[runs.length >> 1]!;
}

async function measure(
  { inFlight, method }: (typeof shapes)[number],
  { client, server }: Side,
  options: BenchOptions,
): Promise<Measured> {
  const durationMs = (options.budgetS * 1000) / (shapes.length * 3 * pairs) / (options.quick ? 1 : 4);
  const payload = Buffer.alloc(200, 1);
  const send = (): Promise<unknown> => client.call({ node: 'n0', method, payload, timeoutMs: 10_000 });
  await runClosedLoop({ inFlight, durationMs: durationMs / 3, send });
  const meter = startCpuMeter({ client: process.pid, server: server.pid });
  const { count, durationMs: tookMs, latency } = await runClosedLoop({ inFlight, durationMs, send });
  const cpu = meter.stop();
  return {
    calls_per_s: (count / tookMs) * 1000,
    client_cpu_us: cpu['client']! / count,
    server_cpu_us: cpu['server']! / count,
    ...latency,
  };
}
