/**
 * The whole path of a record: firehose message → decoded → checked → log → applied and flushed,
 * effects of all slots included.
 *
 * Real processes, as the command line starts them: an ingest and two nodes. The source streams a
 * file of generated events as fast as ingest reads, and is not counted. Compare the CPU time per
 * record: records/s suffers from other load on the machine.
 *
 * Options after `--`: `--records N`, `--slots N` (only that count); `--hanging N` measures the
 * first plan again while a second relay sends N `#identity` events whose look-ups hang, and prints
 * the ratios; `--search N` measures it N times without and with a search index, in turn, and prints
 * what the index costs until it has caught up; for experiments `--no-stages`, `--node-flags="…"`
 * (of Node, for all processes), `--node-words="…"` and `--ingest-words="…"` (of the command line).
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '../src/base/clock.ts';
import { readTruth, writeDataSet } from './data-set-file.ts';
import { IngestCluster } from './ingest-cluster.ts';
import { measureStages } from './ingest-stages.ts';
import { type BenchOptions, type BenchResult, type Figures, median } from './report.ts';
import { bytesPerRecord, diskBytes, liveTables, pagesAndCommits, type SlotFolder } from './slot-space.ts';
import { ownBytes, threadTimes, type UsedTimes, usedSince } from './thread-meter.ts';

export const question =
  'How many records a second go from the firehose into the slots, applied and flushed, and what does each cost? (as fast as possible)';

const dataFolder = join(import.meta.dirname, '..', 'data', 'bench');
const pollMs = 250;
const runMsMax = 3_600_000;
const settleMsMax = 600_000;
/** Below this, events that are read but not yet applied would be most of a tenth. */
const tenthsRecordsMin = 500_000;
const mib = 2 ** 20;

type Plan = { readonly slots: number; readonly records: number; readonly hanging: number };

type Choices = {
  readonly plans: readonly Plan[];
  readonly nodeFlags: readonly string[];
  readonly nodeWords: readonly string[];
  readonly ingestWords: readonly string[];
  readonly hasStages: boolean;
  readonly hanging: number;
  readonly searchPairs: number;
};

function words(text: string | undefined): string[] {
  return text === undefined ? [] : text.split(' ').filter((word) => word !== '');
}

function choicesOf({ args, quick }: BenchOptions): Choices {
  const { values } = parseArgs({
    args: [...args],
    options: {
      records: { type: 'string' },
      slots: { type: 'string' },
      'node-flags': { type: 'string' },
      'node-words': { type: 'string' },
      'ingest-words': { type: 'string' },
      'no-stages': { type: 'boolean', default: false },
      hanging: { type: 'string', default: '0' },
      search: { type: 'string', default: '0' },
    },
  });
  const few = values.records ?? (quick ? '80000' : '1000000');
  const many = values.records ?? (quick ? '20000' : '1000000');
  const plans = [
    { slots: 16, records: Number(few), hanging: 0 },
    { slots: 1024, records: Number(many), hanging: 0 },
  ];
  const isOne = values.slots !== undefined;
  return {
    plans: isOne ? [{ slots: Number(values.slots), records: Number(few), hanging: 0 }] : plans,
    nodeFlags: words(values['node-flags']),
    nodeWords: words(values['node-words']),
    ingestWords: words(values['ingest-words']),
    hasStages: !values['no-stages'],
    hanging: Number(values.hanging),
    searchPairs: Number(values.search),
  };
}

/** Generates the file of events unless an earlier run did. */
function framesFor(seed: number, records: number, print: (line: string) => void): string {
  const path = join(dataFolder, `frames-${seed}-${records}.bin`);
  if (existsSync(path)) return path;
  mkdirSync(dataFolder, { recursive: true });
  print(`generating ${records} records`);
  writeDataSet(path, 'frames', { seed, records, spanMs: 90 * 86_400_000 });
  return path;
}

/** The progress of ingest over time, and the memory of the nodes. */
class Progress {
  readonly #startMs = systemClock.monotonicMs();
  readonly #points: { readonly ms: number; readonly seq: number }[] = [{ ms: 0, seq: 0 }];
  readonly #memory: number[] = [];

  get elapsedMs(): number {
    return systemClock.monotonicMs() - this.#startMs;
  }

  /** Counts everything as done now; before, the last events count as in flight. */
  end(lastSeq: number): void {
    this.#points.push({ ms: this.elapsedMs, seq: lastSeq });
  }

  /** Records how far ingest has read: events that are read but not applied are bounded and few. */
  add(seq: number, nodeBytes: number): void {
    if (seq <= this.#points.at(-1)!.seq) return;
    this.#points.push({ ms: this.elapsedMs, seq: seq - 1 });
    this.#memory.push(nodeBytes / mib);
  }

  /** Private memory of all nodes at the start, halfway, at the end, and its maximum. */
  memory(): Figures {
    const all = this.#memory;
    const at = (share: number): number => all[Math.floor((all.length - 1) * share)] ?? 0;
    return { start_mib: at(0), middle_mib: at(0.5), end_mib: at(1), max_mib: Math.max(0, ...all) };
  }

  #msAt(seq: number): number {
    const after = this.#points.findIndex((point) => point.seq >= seq);
    if (after <= 0) return this.#points.at(-1)!.ms;
    const [from, to] = [this.#points[after - 1]!, this.#points[after]!];
    return from.ms + ((to.ms - from.ms) * (seq - from.seq)) / (to.seq - from.seq);
  }

  /** Records per second for each tenth of the run, assuming equally many records per event. */
  tenths(lastSeq: number, records: number): Figures {
    const rates: Record<string, number> = {};
    for (let tenth = 1; tenth <= 10; tenth++) {
      const ms = this.#msAt((lastSeq * tenth) / 10) - (tenth === 1 ? 0 : this.#msAt((lastSeq * (tenth - 1)) / 10));
      rates[`tenth_${tenth}_records_per_s`] = ms > 0 ? records / 10 / (ms / 1000) : 0;
    }
    return rates;
  }
}

/** Look-ups that hang are pending for ever, so they are not waited for. */
async function follow(cluster: IngestCluster, lastSeq: number, hanging: number): Promise<Progress> {
  const progress = new Progress();
  for (;;) {
    const { receivedSeq, doneSeq, identitiesPending } = await cluster.ingestProgress();
    progress.add(
      receivedSeq,
      cluster.nodes.reduce((bytes, node) => bytes + ownBytes(node.pid), 0),
    );
    if (doneSeq >= lastSeq && identitiesPending <= hanging) break;
    if (progress.elapsedMs > runMsMax) throw new Error(`event ${doneSeq} of ${lastSeq} after ${runMsMax} ms`);
    await systemClock.sleep(pollMs);
  }
  await cluster.settled(settleMsMax);
  progress.end(lastSeq);
  return progress;
}

type CpuFigures = { readonly cpu_us_per_record: number; readonly nodes_apply: number };

function cpuFigures(
  ingest: UsedTimes,
  nodes: readonly UsedTimes[],
  records: number,
): { readonly cpu_us_per_record: number; readonly cpu_us: Figures } {
  const totalOf = ({ mainUs, busiestUs, otherUs }: UsedTimes): number => mainUs + busiestUs + otherUs;
  const ofNodes = (of: (used: UsedTimes) => number): number =>
    nodes.reduce((total, used) => total + of(used), 0) / records;
  return {
    cpu_us_per_record: totalOf(ingest) / records + ofNodes(totalOf),
    cpu_us: {
      ingest: totalOf(ingest) / records,
      ingest_main: ingest.mainUs / records,
      nodes: ofNodes(totalOf),
      nodes_serving: ofNodes(({ mainUs }) => mainUs),
      nodes_apply: ofNodes(({ busiestUs }) => busiestUs),
      nodes_other: ofNodes(({ otherUs }) => otherUs),
      kernel_ingest: ingest.kernelUs / records,
      kernel_nodes: ofNodes(({ kernelUs }) => kernelUs),
    },
  };
}

type Run = { readonly figures: Figures; readonly folderOf: SlotFolder };

async function measureRun(
  folder: string,
  framesPath: string,
  plan: Plan,
  choices: Choices,
  print: (line: string) => void,
): Promise<Run> {
  const { items: lastSeq, truth } = readTruth(framesPath);
  const { records } = truth;
  const started = await IngestCluster.start({
    ...choices,
    hanging: plan.hanging,
    folder,
    slots: plan.slots,
    framesPath,
  });
  try {
    const cluster = await started.begin();
    const before = [cluster.ingest, ...cluster.nodes].map(({ pid }) => threadTimes(pid));
    const progress = await follow(cluster, lastSeq, plan.hanging);
    const elapsedS = progress.elapsedMs / 1000;
    await cluster.searchCaughtUp(settleMsMax);
    const searchBehindS = progress.elapsedMs / 1000 - elapsedS;
    const [ingest, ...nodes] = [cluster.ingest, ...cluster.nodes].map(({ pid }, index) =>
      usedSince(before[index]!, pid),
    );
    const figures = {
      records,
      records_per_s: records / elapsedS,
      elapsed_s: elapsedS,
      load_average: loadavg()[0]!,
      search_behind_s: searchBehindS,
      ...cpuFigures(ingest!, nodes, records),
      bytes_per_record: diskBytes(cluster.dataDir) / records,
      nodes_memory: progress.memory(),
      ...(records < tenthsRecordsMin ? {} : { by_tenth: progress.tenths(lastSeq, records) }),
    };
    print(
      `${plan.slots} slots: ${Math.round(figures.records_per_s)} records/s, ` +
        `${figures.cpu_us_per_record.toFixed(1)} µs of CPU and ${Math.round(figures.bytes_per_record)} bytes a record`,
    );
    return { figures, folderOf: (slot) => cluster.folderOf(slot) };
  } finally {
    await started.stop();
  }
}

/** Disk use by table and by page. With much data a few slots are sampled, as every row is read. */
async function spaceOf(folderOf: SlotFolder, { slots, records }: Plan): Promise<Figures> {
  const wanted = Math.max(1, Math.min(slots, Math.ceil((slots * 250_000) / records)));
  const step = Math.floor(slots / wanted);
  const chosen = Array.from({ length: wanted }, (_unused, index) => index * step);
  const { pageBytes, fileBytes, commits } = await pagesAndCommits(folderOf, slots);
  const { bytes } = await liveTables(folderOf, chosen);
  const used = Object.values(pageBytes).reduce((total, size) => total + size, 0);
  return {
    records_per_commit: records / commits,
    page_bytes_per_record: { ...bytesPerRecord(pageBytes, records), free: (fileBytes - used) / records },
    live_bytes_per_record: bytesPerRecord(bytes, (records * chosen.length) / slots),
  };
}

const hangingRounds = 5;

/** Measures ways in turn, so that other load on the machine affects all. Returns runs by way. */
async function inTurn<Way>(
  ways: readonly Way[],
  rounds: number,
  measure: (way: Way) => Promise<Run>,
): Promise<(name: keyof CpuFigures | 'records_per_s' | 'search_behind_s', way: Way) => number> {
  const runs = new Map<Way, Figures[]>(ways.map((way) => [way, []]));
  for (let round = 0; round < rounds; round++)
    for (const way of ways) runs.get(way)!.push((await measure(way)).figures);
  return (name, way) =>
    median(runs.get(way)!.map((figures) => (figures[name] ?? (figures['cpu_us'] as Figures)[name]) as number));
}

/** Runs a plan with and without look-ups that hang, in turn. Returns ratios of the medians. */
async function compareHanging(
  folder: string,
  plan: Plan,
  choices: Choices,
  { seed, print }: BenchOptions,
): Promise<Figures> {
  const framesPath = framesFor(seed, plan.records, print);
  const of = await inTurn([0, choices.hanging], hangingRounds, async (hanging) => {
    const measured = await measureRun(folder, framesPath, { ...plan, hanging }, choices, print);
    rmSync(folder, { recursive: true, force: true });
    return measured;
  });
  return {
    hanging_lookups: choices.hanging,
    rate_while_hanging: of('records_per_s', choices.hanging) / of('records_per_s', 0),
    cpu_while_hanging: of('cpu_us_per_record', choices.hanging) / of('cpu_us_per_record', 0),
  };
}

/** Runs a plan without and with an index, in turn. Returns what it costs, by the medians. */
async function compareSearch(
  folder: string,
  plan: Plan,
  choices: Choices,
  { seed, print }: BenchOptions,
): Promise<Figures> {
  const framesPath = framesFor(seed, plan.records, print);
  const of = await inTurn([0, 1], choices.searchPairs, async (threads) => {
    const nodeWords = [...choices.nodeWords, `--search-threads=${threads}`];
    const measured = await measureRun(folder, framesPath, plan, { ...choices, nodeWords }, print);
    rmSync(folder, { recursive: true, force: true });
    return measured;
  });
  const { records, byCollection } = readTruth(framesPath).truth;
  const postShare = (byCollection['app.bsky.feed.post'] ?? 0) / records;
  const added = (name: keyof CpuFigures): number => of(name, 1) - of(name, 0);
  return {
    search_pairs: choices.searchPairs,
    search_post_share: postShare,
    search_rate_ratio: of('records_per_s', 1) / of('records_per_s', 0),
    search_cpu_us_per_record: { without: of('cpu_us_per_record', 0), with: of('cpu_us_per_record', 1) },
    search_added_cpu_us_per_post: added('cpu_us_per_record') / postShare,
    // The busiest thread of a node is its apply thread, also with an index.
    search_added_cpu_us_of_slots_per_post: added('nodes_apply') / postShare,
    search_behind_s: of('search_behind_s', 1),
  };
}

export async function run(options: BenchOptions): Promise<BenchResult> {
  const choices = choicesOf(options);
  mkdirSync(dataFolder, { recursive: true });
  const folder = mkdtempSync(join(dataFolder, 'run-'));
  const figures: Record<string, Figures> = {};
  try {
    for (const plan of choices.plans) {
      const framesPath = framesFor(options.seed, plan.records, options.print);
      const runFolder = join(folder, String(plan.slots));
      const measured = await measureRun(runFolder, framesPath, plan, choices, options.print);
      figures[`slots_${plan.slots}`] = {
        ...measured.figures,
        ...(await spaceOf(measured.folderOf, plan)),
      };
      rmSync(runFolder, { recursive: true, force: true });
    }
    const [first] = choices.plans;
    const framesPath = framesFor(options.seed, first!.records, options.print);
    const frames = options.quick ? 20_000 : 200_000;
    const staged = { folder: join(folder, 'stages'), framesPath, frames, slots: first!.slots };
    const stages = choices.hasStages ? { stages_us_per_record: await measureStages(staged) } : {};
    const main = figures[`slots_${first!.slots}`]!;
    const whileHanging =
      choices.hanging > 0 ? await compareHanging(join(folder, 'hanging'), first!, choices, options) : {};
    const withSearch =
      choices.searchPairs > 0 ? await compareSearch(join(folder, 'search'), first!, choices, options) : {};
    const { records_per_s, cpu_us_per_record, bytes_per_record } = main;
    const dataSize = choices.plans.map((plan) => `${plan.records} records in ${plan.slots} slots`).join('; ');
    return {
      dataSize,
      figures: {
        records_per_s: records_per_s!,
        cpu_us_per_record: cpu_us_per_record!,
        bytes_per_record: bytes_per_record!,
        ...figures,
        ...stages,
        ...whileHanging,
        ...withSearch,
      },
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
