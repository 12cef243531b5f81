/**
 * One node with 1, 2 and 4 serving threads over the same records, in alternating rounds: requests/s
 * and server CPU of a request, and how evenly few HTTP/2 sessions use the threads.
 *
 * The client is one thread beside them, so on two cores the rate stops growing at two threads, and
 * four are oversubscribed: what grows then is what threads do to each other. Threads that wait for
 * the client also wake up for fewer requests at a time than one that is always busy; so CPU is
 * measured once more at a fixed rate, a quarter of what one thread can do for each thread.
 *
 * Arguments: the count of records to serve, and the names of the methods if not all are meant.
 */
import { type Box, startBox } from './box.ts';
import { GrpcLoad } from './grpc-load.ts';
import { openLoop, type Saturation, saturate, saturatingInFlight } from './hot-load.ts';
import type { Asking, HotMethod } from './hot-request.ts';
import { hotMethods, namesOf } from './hot-requests.ts';
import { Http2Load } from './http2-load.ts';
import { type BenchOptions, type BenchResult, type Figures, median, startCpuMeter } from './report.ts';

export const question =
  'What does a request cost when more threads of a node serve, and do few HTTP/2 sessions use them all?';

const slots = 16;
const threadCounts = [1, 2, 4] as const;
const sessionCounts = [1, 2, 4] as const;
const methodsDefault = [
  'Ping',
  'GetPostRecords',
  'GetActors',
  'GetRelationships',
  'GetAuthorFeed',
  'GetTimeline',
  'GetThread',
];
const rounds = 7;
/** Of each thread, before a method is measured. */
const warmRequests = 5_000;
const warmUpMs = 200;
/** The one that HTTP/2 sessions ask for. */
const sessionMethod = 'GetAuthorFeed';

type Measured = { readonly cpuUs: number; readonly perSecond: number };
/** `fixedRate`: in an open loop, not at saturation. */
type Row = { readonly name: string; readonly threads: number; readonly fixedRate: boolean } & Measured;
type SessionRow = Omit<Row, 'fixedRate'> & { readonly sessions: number; readonly leastShare: number };

async function measure(box: Box, run: () => Promise<Pick<Saturation, 'count' | 'perSecond'>>): Promise<Measured> {
  const meter = startCpuMeter(box.pids);
  const { count, perSecond } = await run();
  const used = Object.values(meter.stop()).reduce((total, us) => total + us, 0);
  return { cpuUs: used / count, perSecond };
}

/** Has every thread compile what it runs. */
async function warmUp(load: Asking, method: HotMethod, requests: number): Promise<void> {
  for (let asked = 0; asked < requests; ) asked += (await saturate(load, method, warmUpMs)).count;
}

/** Returns how many requests of a method each serving thread has answered. */
async function answeredByThread(box: Box, method: string): Promise<number[]> {
  const metrics = await (await fetch(`http://127.0.0.1:${box.port}/metrics`)).text();
  return [...metrics.matchAll(/skyshard_requests_total\{(.*)\} (\d+)/g)]
    .filter(([, labels]) => labels!.includes(`"${method}"`))
    .map(([, , count]) => Number(count));
}

/** Returns the part that the least used thread answered, 1 where all answered equally many. */
function leastShare(before: readonly number[], after: readonly number[], threads: number): number {
  const counts = after.map((count, thread) => count - (before[thread] ?? 0));
  const total = counts.reduce((sum, count) => sum + count, 0);
  return counts.length < threads ? 0 : (threads * Math.min(...counts)) / total;
}

async function measureSessions(
  box: Box,
  method: HotMethod,
  threads: number,
  durationMs: number,
): Promise<SessionRow[]> {
  const rows: SessionRow[] = [];
  for (const sessions of sessionCounts) {
    const load = new Http2Load(box.http2Port, sessions);
    // Its method is compiled by then, HTTP/2 is not.
    await warmUp(load, method, (threads * warmRequests) / 5);
    const before = await answeredByThread(box, sessionMethod);
    const measured = await measure(box, () => saturate(load, method, durationMs));
    const after = await answeredByThread(box, sessionMethod);
    load.close();
    rows.push({ ...measured, name: method.name, threads, sessions, leastShare: leastShare(before, after, threads) });
  }
  return rows;
}

type Side = {
  readonly threads: number;
  readonly box: Box;
  readonly load: GrpcLoad;
  readonly hot: readonly HotMethod[];
};

async function startSide(options: BenchOptions, records: number, threads: number): Promise<Side> {
  const network = { kind: 'graph', seed: options.seed, records } as const;
  const nodeSettings = ['--serve-threads', String(threads)];
  const { print } = options;
  const box = await startBox({ network, slots, nodes: 1, edge: true, nodeSettings, onCopy: true, print });
  const load = new GrpcLoad(box.port, saturatingInFlight);
  return { threads, box, load, hot: await hotMethods(box.pools, options.seed, load, namesIn(options)) };
}

/** Measures a method at a quarter of what one thread answers at saturation, for each thread. */
async function atFixedRate(
  sides: readonly Side[],
  method: number,
  saturated: readonly Row[],
  durationMs: number,
): Promise<Row[]> {
  const { name } = sides[0]!.hot[method]!;
  const ofOne = saturated.filter((row) => row.name === name && row.threads === 1);
  const quarter = median(ofOne.map(({ perSecond }) => perSecond)) / 4;
  const rows: Row[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const { threads, box, load, hot } of sides) {
      const perSecond = quarter * threads;
      const measured = await measure(box, async () => {
        await openLoop(load, hot[method]!, perSecond, durationMs);
        return { count: Math.round((perSecond * durationMs) / 1000), perSecond };
      });
      rows.push({ name, threads, fixedRate: true, ...measured });
    }
  }
  return rows;
}

function namesIn({ args }: BenchOptions): readonly string[] {
  return args.length > 1 ? namesOf(args) : methodsDefault;
}

export async function run(options: BenchOptions): Promise<BenchResult> {
  const records = Number(options.args[0] ?? (options.quick ? 20_000 : 300_000));
  const sides: Side[] = [];
  try {
    for (const threads of threadCounts) sides.push(await startSide(options, records, threads));
    const measurements = sides.length * (namesIn(options).length * rounds * 2 + sessionCounts.length);
    const durationMs = (options.budgetS * 1000) / measurements;
    const rows: Row[] = [];
    for (const [index, { name }] of sides[0]!.hot.entries()) {
      for (const { threads, load, hot } of sides) await warmUp(load, hot[index]!, threads * warmRequests);
      for (let round = 0; round < rounds; round++) {
        for (const { threads, box, load, hot } of sides) {
          const measured = await measure(box, () => saturate(load, hot[index]!, durationMs));
          rows.push({ name, threads, fixedRate: false, ...measured });
        }
      }
      rows.push(...(await atFixedRate(sides, index, rows, durationMs)));
    }
    const sessionRows: SessionRow[] = [];
    for (const { threads, box, hot } of sides) {
      const asked = hot.find(({ name }) => name === sessionMethod);
      if (asked !== undefined) sessionRows.push(...(await measureSessions(box, asked, threads, durationMs)));
    }
    const figures = { methods: methodFigures(rows, options.print), http2: sessionFigures(sessionRows) };
    return { dataSize: `${sides[0]!.box.pools.records} records, ${slots} slots`, figures };
  } finally {
    for (const { box, load } of sides) {
      load.close();
      await box[Symbol.asyncDispose]();
    }
  }
}

function methodFigures(rows: readonly Row[], print: (line: string) => void): Figures {
  return Object.fromEntries(
    [...new Set(rows.map(({ name }) => name))].map((name) => {
      const [saturated, fixed] = [false, true].map((fixedRate) =>
        byThreads(rows.filter((row) => row.name === name && row.fixedRate === fixedRate)),
      );
      const texts = threadCounts.map((threads, at) => {
        const { cpuUs, ratio, perSecond } = saturated![at]!;
        return (
          `${threads}: ${Math.round(cpuUs)} µs (${ratio.toFixed(2)}), ${Math.round(perSecond)}/s, ` +
          `${fixed![at]!.ratio.toFixed(2)} at a quarter a thread`
        );
      });
      print(`${name.padEnd(20)} ${texts.join('; ')}`);
      return [
        name,
        Object.fromEntries(
          threadCounts.map((threads, at) => [
            `threads_${threads}`,
            {
              cpu_us: saturated![at]!.cpuUs,
              per_second: saturated![at]!.perSecond,
              cpu_times_one: saturated![at]!.ratio,
              quarter_cpu_us: fixed![at]!.cpuUs,
              quarter_cpu_times_one: fixed![at]!.ratio,
            },
          ]),
        ),
      ];
    }),
  );
}

/** Returns medians for each count of threads; `ratio` is of CPU, to that of one thread. */
function byThreads(rows: readonly Row[]): (Measured & { ratio: number })[] {
  const of = threadCounts.map((threads) => rows.filter((row) => row.threads === threads));
  return of.map((own) => ({
    cpuUs: median(own.map(({ cpuUs }) => cpuUs)),
    perSecond: median(own.map(({ perSecond }) => perSecond)),
    // Within a round, since the machine may be slower in another.
    ratio: median(own.map(({ cpuUs }, round) => cpuUs / of[0]![round]!.cpuUs)),
  }));
}

function sessionFigures(rows: readonly SessionRow[]): Figures {
  const figuresOf = ({ cpuUs, perSecond, leastShare: share }: SessionRow): Figures => {
    // 1 where all threads answered equally many.
    return { cpu_us: cpuUs, per_second: perSecond, least_used_thread: share };
  };
  return Object.fromEntries(rows.map((row) => [`threads_${row.threads}_sessions_${row.sessions}`, figuresOf(row)]));
}
