/**
 * The hot methods on our plane, as `skyshard up` starts it (one node that answers as a router), and
 * on the official one: same data, requests, client and run.
 *
 * Before timing, a sample of requests is sent to both, and the bench fails where answers differ.
 * Rounds alternate between the planes, so that other load on the machine affects both. Ratios are
 * ours to theirs in requests per second, and theirs to ours in server CPU; beside that is its goal.
 * Requests in flight differ, since ours lets those that do not share an answer; `shared_share` is
 * the share of requests that were the same as one in flight. `page` is a page load of nine calls.
 *
 * Arguments: the count of records to serve, and the names of the methods if not all are meant.
 */
import { startBox } from './box.ts';
import { goalByName } from './cpu-goals.ts';
import { GrpcLoad } from './grpc-load.ts';
import { saturate, saturatingInFlight } from './hot-load.ts';
import { callsOf, type HotMethod } from './hot-request.ts';
import { comparableAnswer, hotMethods, namesOf } from './hot-requests.ts';
import { missingForOfficial, startOfficial } from './official-plane.ts';
import { type BenchOptions, type BenchResult, cpuUsOfProcess, type Figures, percent } from './report.ts';

export const question =
  'How many times the official plane on PostgreSQL do we answer, in requests a second and in server CPU a request?';

const slots = 16;
const rounds = 3;
/** Of each plane, before a method is measured: what runs in a server for days is compiled. */
const warmMs = 6_000;
const comparedRequests = 40;

/** `cpuUs` is the CPU time of all the plane's processes so far. */
type Plane = { readonly load: GrpcLoad; readonly methods: readonly HotMethod[]; cpuUs(): number };

export async function run(options: BenchOptions): Promise<BenchResult> {
  const missing = missingForOfficial();
  if (missing.length > 0)
    throw new Error(`this bench needs the official plane; prepare it with: ${missing.join(' && ')}`);
  const records = Number(options.args[0] ?? (options.quick ? 5_000 : 300_000));
  const network = { kind: 'graph', seed: options.seed, records } as const;
  const closing: (() => Promise<void> | void)[] = [];
  try {
    const official = await startOfficial(network, options.print);
    closing.push(() => official[Symbol.asyncDispose]());
    const box = await startBox({ network, slots, nodes: 1, edge: true, print: options.print });
    closing.push(() => box[Symbol.asyncDispose]());
    const planeAt = async (port: number, cpuUs: () => number): Promise<Plane> => {
      const load = new GrpcLoad(port, saturatingInFlight);
      closing.push(() => load.close());
      return { load, methods: await hotMethods(box.pools, options.seed, load, namesOf(options.args)), cpuUs };
    };
    const pids = Object.values(box.pids);
    const ours = await planeAt(box.port, () => pids.reduce((total, pid) => total + cpuUsOfProcess(pid), 0));
    const theirs = await planeAt(official.port, () => official.cpuUs().server + official.cpuUs().postgres);
    const compared = await compareAnswers(ours, theirs);
    options.print(`${compared} answers compared, all equal`);
    const methods = await measure(ours, theirs, options);
    const dataSize = `${box.pools.records} records, ${slots} slots on one node`;
    return { dataSize, figures: { connections: saturatingInFlight, answers_compared: compared, methods } };
  } finally {
    for (const close of closing.reverse()) await close();
  }
}

/** Errors: Error naming the first method and both answers that differ. */
async function compareAnswers(ours: Plane, theirs: Plane): Promise<number> {
  let compared = 0;
  for (const [index, { name, requests }] of ours.methods.entries()) {
    const other = theirs.methods[index]!;
    for (let at = 0; at < Math.min(comparedRequests, requests.length); at++) {
      const theirCalls = callsOf(other.requests[at]!);
      for (const [place, { method, bytes }] of callsOf(requests[at]!).entries()) {
        const [our, their] = await Promise.all([
          ours.load.ask(bytes).then((answer) => comparableAnswer(method, answer)),
          theirs.load.ask(theirCalls[place]!.bytes).then((answer) => comparableAnswer(method, answer)),
        ]);
        if (our !== their)
          throw new Error(`${name}: ${method} differs\nours:   ${shown(our, their)}\ntheirs: ${shown(their, our)}`);
        compared++;
      }
    }
  }
  return compared;
}

/** Returns the part of a long text around its first difference from another. */
function shown(text: string, other: string): string {
  let at = 0;
  while (at < text.length && text[at] === other[at]) at++;
  return `… at ${at} of ${text.length}: ${text.slice(Math.max(0, at - 200), at + 300)}`;
}

type Sums = { count: number; perSecond: number; cpuUs: number; p50: number; p99: number; shared: number };

async function measureRound(plane: Plane, method: HotMethod, durationMs: number, sums: Sums): Promise<void> {
  const before = plane.cpuUs();
  const { count, perSecond, latency, sharedShare } = await saturate(plane.load, method, durationMs);
  sums.cpuUs += plane.cpuUs() - before;
  sums.count += count;
  sums.perSecond += perSecond / rounds;
  sums.p50 += latency.p50_ms / rounds;
  sums.p99 += latency.p99_ms / rounds;
  sums.shared += sharedShare / rounds;
}

async function measure(ours: Plane, theirs: Plane, options: BenchOptions): Promise<Record<string, Figures>> {
  const figures: Record<string, Figures> = {};
  const budgetMs = options.quick ? 18_000 : options.budgetS * 500;
  const durationMs = budgetMs / ours.methods.length / (2 * rounds);
  const warmUpMs = options.quick ? durationMs / 2 : warmMs;
  for (const [index, method] of ours.methods.entries()) {
    const other = theirs.methods[index]!;
    await saturate(ours.load, method, warmUpMs);
    await saturate(theirs.load, other, warmUpMs);
    const our: Sums = { count: 0, perSecond: 0, cpuUs: 0, p50: 0, p99: 0, shared: 0 };
    const their: Sums = { count: 0, perSecond: 0, cpuUs: 0, p50: 0, p99: 0, shared: 0 };
    for (let round = 0; round < rounds; round++) {
      await measureRound(ours, method, durationMs, our);
      await measureRound(theirs, other, durationMs, their);
    }
    const ourCpuUs = our.cpuUs / our.count;
    const theirCpuUs = their.cpuUs / their.count;
    const ratios = { ratio_per_s: our.perSecond / their.perSecond, ratio_cpu: theirCpuUs / ourCpuUs };
    const goal = goalByName[method.name] ?? null;
    figures[method.name] = {
      per_s: our.perSecond,
      cpu_us: ourCpuUs,
      p50_ms: our.p50,
      p99_ms: our.p99,
      official_per_s: their.perSecond,
      official_cpu_us: theirCpuUs,
      official_p50_ms: their.p50,
      official_p99_ms: their.p99,
      ...ratios,
      goal_ratio_cpu: goal,
      shared_share: our.shared,
    };
    options.print(
      `${method.name.padEnd(26)} ${Math.round(our.perSecond)} against ${Math.round(their.perSecond)} a second: ` +
        `${ratios.ratio_per_s.toFixed(1)} times the requests, ${ratios.ratio_cpu.toFixed(1)} times less CPU ` +
        `(${Math.round(ourCpuUs)} against ${Math.round(theirCpuUs)} µs; goal ${goal ?? 'none'}), ${percent(our.shared)} shared`,
    );
  }
  return figures;
}
