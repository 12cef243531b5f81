/**
 * What the hop from a router to its nodes costs: a router in front of two nodes, and one node that
 * answers as a router itself, over the same records, in alternating runs.
 *
 * Arguments: the count of records to serve, and the names of the methods if not all are meant.
 */
import { type Box, startBox } from './box.ts';
import { GrpcLoad } from './grpc-load.ts';
import { saturate, saturatingInFlight } from './hot-load.ts';
import type { HotMethod } from './hot-request.ts';
import { hotMethods, namesOf } from './hot-requests.ts';
import { type BenchOptions, type BenchResult, type Figures, median, startCpuMeter } from './report.ts';

export const question = 'How much less server CPU does a request take when the router runs in the process of the node?';

const slots = 16;
const pairs = 3;

type Side = { readonly box: Box; readonly load: GrpcLoad; readonly hot: readonly HotMethod[] };

async function startSide(options: BenchOptions, records: number, edge: boolean): Promise<Side> {
  const network = { kind: 'graph', seed: options.seed, records } as const;
  const box = await startBox({ network, slots, nodes: edge ? 1 : 2, edge, print: options.print });
  const load = new GrpcLoad(box.port, saturatingInFlight);
  return { box, load, hot: await hotMethods(box.pools, options.seed, load, namesOf(options.args)) };
}

async function stopSide({ box, load }: Side): Promise<void> {
  load.close();
  await box[Symbol.asyncDispose]();
}

/** Returns the server CPU of a request. Units: µs. */
async function cpuOf({ box, load, hot }: Side, index: number, durationMs: number): Promise<number> {
  const meter = startCpuMeter(box.pids);
  const { count } = await saturate(load, hot[index]!, durationMs);
  return Object.values(meter.stop()).reduce((total, us) => total + us, 0) / count;
}

export async function run(options: BenchOptions): Promise<BenchResult> {
  const records = Number(options.args[0] ?? (options.quick ? 20_000 : 300_000));
  const apart = await startSide(options, records, false);
  const edge = await startSide(options, records, true);
  try {
    const methods: Record<string, Figures> = {};
    const durationMs = (options.budgetS * 1000) / (apart.hot.length * (2 * pairs + 2));
    for (const [index, { name }] of apart.hot.entries()) {
      for (const side of [apart, edge]) await saturate(side.load, side.hot[index]!, durationMs);
      const cpu: { apart: number[]; edge: number[] } = { apart: [], edge: [] };
      for (let pair = 0; pair < pairs; pair++) {
        cpu.apart.push(await cpuOf(apart, index, durationMs));
        cpu.edge.push(await cpuOf(edge, index, durationMs));
      }
      const ratio = median(cpu.apart.map((us, pair) => us / cpu.edge[pair]!));
      methods[name] = { apart_cpu_us: median(cpu.apart), edge_cpu_us: median(cpu.edge), times_less: ratio };
      options.print(
        `${name.padEnd(26)} ${Math.round(median(cpu.apart))} µs with the hop, ` +
          `${Math.round(median(cpu.edge))} without: ${ratio.toFixed(2)} times less`,
      );
    }
    return { dataSize: `${apart.box.pools.records} records, ${slots} slots`, figures: { methods } };
  } finally {
    await stopSide(edge);
    await stopSide(apart);
  }
}
