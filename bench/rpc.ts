/**
 * Every hot method through router and nodes, over gRPC on HTTP/1.1 like the official client.
 *
 * The load comes from one process on the same machine, whose cores the servers share at saturation;
 * server CPU per request is not affected. Latencies are of an open loop at half the saturated rate,
 * and count from the due time of a request.
 *
 * Requests in flight differ, since those that do not share an answer; `shared_share` is the share
 * of requests that were the same as one in flight. `page` is a page load of nine calls.
 *
 * Arguments: the count of records to serve, and the names of the methods if not all are meant.
 */
import { startBox } from './box.ts';
import { GrpcLoad } from './grpc-load.ts';
import { openLoop, saturate, saturatingInFlight } from './hot-load.ts';
import type { HotMethod } from './hot-request.ts';
import { hotMethods, namesOf } from './hot-requests.ts';
import { type BenchOptions, type BenchResult, type Figures, percent, startCpuMeter } from './report.ts';

export const question =
  'How many requests of each hot method a second do router and nodes answer, at what server CPU, and how fast at half load?';

const slots = 16;
const nodes = 2;

export async function run(options: BenchOptions): Promise<BenchResult> {
  const records = Number(options.args[0] ?? (options.quick ? 20_000 : 300_000));
  const network = { kind: 'graph', seed: options.seed, records } as const;
  const box = await startBox({ network, slots, nodes, print: options.print });
  const load = new GrpcLoad(box.port, saturatingInFlight);
  try {
    const methods: Record<string, Figures> = {};
    const hot = await hotMethods(box.pools, options.seed, load, namesOf(options.args));
    // A quarter of each method's time warms it up, half goes to saturation, half to the open loop.
    const durationMs = ((options.quick ? 20_000 : options.budgetS * 400) / hot.length) * 0.4;
    for (const method of hot) {
      const figures = await measure(load, method, box.pids, durationMs);
      methods[method.name] = figures;
      options.print(
        `${method.name.padEnd(26)} ${Math.round(Number(figures['per_s']))} a second, ` +
          `${Math.round(Number(figures['cpu_us']))} µs of server CPU, p99 ${figures['p99_ms']} ms at half load, ` +
          `${percent(Number(figures['shared_share']))} shared`,
      );
    }
    const dataSize = `${box.pools.records} records, ${slots} slots on ${nodes} nodes`;
    return { dataSize, figures: { connections: saturatingInFlight, methods } };
  } finally {
    load.close();
    await box[Symbol.asyncDispose]();
  }
}

async function measure(
  load: GrpcLoad,
  method: HotMethod,
  pids: Readonly<Record<string, number>>,
  durationMs: number,
): Promise<Figures> {
  await saturate(load, method, durationMs / 4);
  const meter = startCpuMeter({ ...pids, client: process.pid });
  const { count, perSecond, latency, sharedShare } = await saturate(load, method, durationMs);
  const { client, router, ...nodesUs } = meter.stop();
  const nodeUs = Object.values(nodesUs).reduce((total, us) => total + us, 0);
  const half = await openLoop(load, method, Math.max(1, perSecond / 2), durationMs);
  return {
    per_s: perSecond,
    cpu_us: (router! + nodeUs) / count,
    router_cpu_us: router! / count,
    node_cpu_us: nodeUs / count,
    client_cpu_us: client! / count,
    ...half,
    saturated_p50_ms: latency.p50_ms,
    saturated_p99_ms: latency.p99_ms,
    shared_share: sharedShare,
  };
}
