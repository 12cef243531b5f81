/**
 * What it costs to ask many nodes: GetPostRecords of 25 through a router with 1 to 16 nodes.
 *
 * All processes share one machine, and 32 requests are in flight at any time, a closed loop. Server
 * CPU is that of the router and of all nodes. `messages` counts those that the router sent to nodes
 * for a request: the frames of one turn of its event loop share one.
 *
 * Arguments: the count of records, and the counts of nodes if not all are meant.
 */
import { startBox } from './box.ts';
import { GrpcLoad } from './grpc-load.ts';
import { askSteps } from './hot-request.ts';
import { hotMethods } from './hot-requests.ts';
import { type BenchOptions, type BenchResult, type Figures, runClosedLoop, startCpuMeter } from './report.ts';

export const question =
  'How much server CPU does GetPostRecords of 25 take through a router with 1, 2, 4, 8 and 16 nodes?';

const nodeCounts = [1, 2, 4, 8, 16] as const;
const slots = 16;
const inFlight = 32;
/** Of the CPU at most nodes, to that at one. */
const goal = 2;

export async function run(options: BenchOptions): Promise<BenchResult> {
  const [first, ...counts] = options.args;
  const records = Number(first ?? (options.quick ? 10_000 : 100_000));
  const chosen = counts.length > 0 ? counts.map(Number) : options.quick ? [1, 4] : nodeCounts;
  const byNodes: Record<string, Figures> = {};
  for (const nodes of chosen) {
    const figures = await measure(nodes, records, options);
    byNodes[`nodes_${nodes}`] = figures;
    options.print(
      `${nodes} nodes: ${Math.round(Number(figures['cpu_us']))} µs of server CPU, of these ` +
        `${Math.round(Number(figures['router_cpu_us']))} of the router, ${figures['messages']} messages`,
    );
  }
  const cpuOf = (nodes: number): number => Number(byNodes[`nodes_${nodes}`]!['cpu_us']);
  const ratio = cpuOf(chosen.at(-1)!) / cpuOf(chosen[0]!);
  return { dataSize: `${records} records, ${slots} slots`, figures: { in_flight: inFlight, ...byNodes, ratio, goal } };
}

async function measure(nodes: number, records: number, options: BenchOptions): Promise<Figures> {
  const network = { kind: 'graph', seed: options.seed, records } as const;
  const box = await startBox({ network, slots, nodes, print: options.print });
  const load = new GrpcLoad(box.port, inFlight);
  try {
    const [method] = await hotMethods(box.pools, options.seed, load, ['GetPostRecords']);
    const { requests } = method!;
    const send = (index: number): Promise<void> => askSteps(load, requests[index % requests.length]!);
    const durationMs = options.quick ? 2_000 : 10_000;
    await runClosedLoop({ inFlight, durationMs, send });
    const messagesBefore = await sentMessages(box.port);
    const meter = startCpuMeter(box.pids);
    const { count, durationMs: tookMs, latency } = await runClosedLoop({ inFlight, durationMs, send });
    const { router, ...nodesUs } = meter.stop();
    const messages = (await sentMessages(box.port)) - messagesBefore;
    const nodeUs = Object.values(nodesUs).reduce((total, us) => total + us, 0);
    return {
      per_s: (count / tookMs) * 1000,
      cpu_us: (router! + nodeUs) / count,
      router_cpu_us: router! / count,
      node_cpu_us: nodeUs / count,
      messages: Math.round((messages / count) * 100) / 100,
      ...latency,
    };
  } finally {
    load.close();
    await box[Symbol.asyncDispose]();
  }
}

/** Returns how many messages a router has sent to its nodes. */
async function sentMessages(port: number): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const lines = text.matchAll(/^skyshard_node_sent_messages_total\{[^}]*\} (\d+)/gm);
  return [...lines].reduce((sum, [, count]) => sum + Number(count), 0);
}
