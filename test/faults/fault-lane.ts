/**
 * Rounds of faults under load: what is answered while they last, and what is stored after each.
 *
 * After each round all writes settle: then every copy must hold the same, and exactly what was
 * written. A seed gives the order of faults and what they hit; when things happen is up to the
 * machine.
 */
import { seededRandom } from '../../src/base/seeded-random.ts';
import { until } from '../support/until.ts';
import { CommitSource } from './commit-source.ts';
import { didIn } from './fan-records.ts';
import { FaultCluster, slotCount } from './fault-cluster.ts';
import type { Fault, FaultScene } from './fault-scene.ts';
import { faults, shortFaults } from './faults.ts';
import { KnownAnswers, type Problem } from './known-answers.ts';
import { Load } from './load.ts';
import { ReplicaReads, replicaLagMsMax } from './replica-reads.ts';
import type { ServiceKind } from './service-gaps.ts';
import { splitFaults } from './split-faults.ts';
import type { WriterSettings } from './writer-child.ts';

export type LaneOptions = {
  readonly seed: number;
  readonly rounds: number;
  readonly holdMs: number;
  readonly pauseMs: number;
  /** Names of faults, in this order, over and over; absent: all that are possible, shuffled. */
  readonly only?: readonly string[];
  /** Leaves out what takes long: moves and backups. */
  readonly areShort?: boolean;
  /** Doubles the slots in each round, with the logs in their folders; takes few rounds. */
  readonly areDoubled?: boolean;
  readonly hasBoxes?: boolean;
  /** An error of the writer, which the lane must notice. */
  readonly planted?: WriterSettings['error'];
  /** How old replicas let their answers become; absent: as old as the lane permits. Units: ms. */
  readonly readLagMs?: number;
  readonly print: (line: string) => void;
  /** True ends the lane after the round that is under way. */
  readonly isStopped?: () => boolean;
};

export type Round = {
  readonly fault: string;
  readonly hit: string;
  readonly requests: number;
  readonly errors: Readonly<Record<string, number>>;
  /** Units: ms. */
  readonly withoutService: Readonly<Record<ServiceKind, number>>;
  readonly wrong: readonly Problem[];
  readonly lost: readonly Problem[];
  readonly doubled: readonly Problem[];
};

export type LaneResult = {
  readonly seed: number;
  readonly rounds: readonly Round[];
  /** Why faults were left out, by what they need. */
  readonly without: Readonly<Record<string, string>>;
  readonly commits: number;
  /** Events of the firehose that ingest follows. */
  readonly events: number;
  /** Reads that replicas were asked for themselves. */
  readonly replicaReads: { readonly answered: number; readonly refused: number };
  /** Of processes that ended by themselves, how. */
  readonly ends: readonly string[];
  /** Why the lane could not go on; null when it did. */
  readonly failure: string | null;
};

const fanCount = 96;
const sameMsMax = 10_000;
const problemsShown = 10;
const notesShown = 5;
/** How a process says that a thing happened that must not. */
const alarms = /InvariantError|lost the tail|has lost effects|another process has written/;

/** Runs the rounds, up to one in which something is wrong. */
export async function runLane(options: LaneOptions): Promise<LaneResult> {
  const { areDoubled, hasBoxes, planted = null, readLagMs = replicaLagMsMax } = options;
  const fans = Array.from({ length: fanCount }, (_unused, index) => didIn(index % slotCount, 100 + index, slotCount));
  const answers = new KnownAnswers(fans, slotCount);
  let load: Load | null = null;
  let source: CommitSource | null = null;
  const cluster = await FaultCluster.start({
    ...(hasBoxes === undefined ? {} : { hasBoxes }),
    hasLogServer: areDoubled !== true,
    planted,
    readLagMs,
    onWritten: (id) => load?.written(id),
    onWriterReady: () => load?.sendAgain(),
  });
  try {
    source = await CommitSource.start(cluster, planted?.kind === 'lost');
    load = new Load(cluster, answers, seededRandom(options.seed + 1));
    return await runUnder(load, { options, cluster, load, source, answers });
  } finally {
    await source?.[Symbol.asyncDispose]();
    await cluster[Symbol.asyncDispose]();
  }
}

async function runUnder(load: Load, running: Running): Promise<LaneResult> {
  const { options, cluster, answers } = running;
  const rounds: Round[] = [];
  load.begin();
  const onProblems = (problems: readonly Problem[]): void => void load.wrong.push(...problems);
  const replicaReads = new ReplicaReads(cluster, answers, seededRandom(options.seed + 2), onProblems);
  const failure = await runRounds(running, rounds).then(
    () => null,
    (thrown: Error) => failureText(thrown, cluster),
  );
  await Promise.all([load.end(), replicaReads.end()]);
  const without = Object.entries(cluster.without).filter((entry): entry is [string, string] => entry[1] !== null);
  const ends = [...cluster.roles.values()].flatMap((role) => role.ends);
  const { answered, refused } = replicaReads;
  return {
    seed: options.seed,
    rounds,
    without: Object.fromEntries(without),
    commits: answers.acknowledged,
    events: running.source.sent,
    replicaReads: { answered, refused },
    ends,
    failure,
  };
}

type Running = {
  readonly options: LaneOptions;
  readonly cluster: FaultCluster;
  readonly load: Load;
  readonly source: CommitSource;
  readonly answers: KnownAnswers;
};

async function runRounds(running: Running, rounds: Round[]): Promise<void> {
  const { options, cluster, load } = running;
  const { seed, holdMs, pauseMs, print } = options;
  const random = seededRandom(seed);
  const scene: FaultScene = { cluster, random, holdMs, pauseMs };
  const order = orderOf(options, cluster, scene);
  await load.untilServed();
  for (let index = 0; index < options.rounds && options.isStopped?.() !== true; index++) {
    const fault = order(index);
    const round = await runRound(running, scene, fault);
    rounds.push(round);
    const { reads, log } = round.withoutService;
    print(`round ${index + 1}: ${fault.name} (${round.hit}): reads ${shown(reads)}, log ${shown(log)}`);
    const problems = [...round.wrong, ...round.lost, ...round.doubled];
    if (problems.length > 0) throw new Error(problems.slice(0, problemsShown).join('\n'));
  }
}

function shown(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

/** Returns which fault a round has: all of them in some order, then all in another. */
function orderOf(
  { only, areShort, areDoubled }: LaneOptions,
  cluster: FaultCluster,
  { random }: FaultScene,
): (round: number) => Fault {
  const all = areDoubled === true ? splitFaults : areShort === true ? shortFaults : faults;
  const able = all.filter(({ needs }) => needs === undefined || cluster.without[needs] === null);
  if (only !== undefined) {
    const named = only.map((name) => able.find((fault) => fault.name === name));
    const unknown = only.filter((_name, index) => named[index] === undefined);
    if (unknown.length > 0) throw new Error(`no such fault here: ${unknown.join(', ')}`);
    return (round) => named[round % named.length]!;
  }
  let bag: Fault[] = [];
  return () => {
    if (bag.length === 0) bag = [...able];
    return bag.splice(random.below(bag.length), 1)[0]!;
  };
}

async function runRound({ cluster, load, source, answers }: Running, scene: FaultScene, fault: Fault): Promise<Round> {
  const [requests, errors] = [load.requests, new Map(load.errorsByCause)];
  load.gaps.reset();
  const hit = await fault.run(scene);
  await load.untilServed();
  const withoutService = load.gaps.longest();
  await Promise.all([load.pauseWrites(), source.pause()]);
  await cluster.settle();
  const [found, ofSource] = [await load.compareSettled(), await source.compareSettled()];
  const wrong = [...load.wrong.splice(0), ...found.wrong, ...(await copiesThatDiffer(cluster)), ...alarmsOf(cluster)];
  answers.settled();
  load.resumeWrites();
  source.resume();
  const more = [...load.errorsByCause].map(([cause, count]) => [cause, count - (errors.get(cause) ?? 0)] as const);
  return {
    fault: fault.name,
    hit,
    requests: load.requests - requests,
    errors: Object.fromEntries(more.filter(([, count]) => count > 0)),
    withoutService,
    wrong,
    lost: [...found.lost, ...ofSource.lost],
    doubled: [...found.doubled, ...ofSource.doubled],
  };
}

/** Returns the slots whose copies, which have settled, are not the same. */
async function copiesThatDiffer(cluster: FaultCluster): Promise<Problem[]> {
  let problems: Problem[] = [];
  const areSame = async (): Promise<boolean> => {
    problems = await differencesNow(cluster);
    return problems.length === 0;
  };
  // A node may note something in its log meanwhile, which others apply a moment later.
  await until(areSame, sameMsMax).catch(() => {});
  return problems;
}

async function differencesNow(cluster: FaultCluster): Promise<Problem[]> {
  const problems: Problem[] = [];
  for (const { primary, replicas, slots } of cluster.map.shards) {
    for (const slot of slots) {
      const nodes = [primary, ...replicas];
      const digests = await Promise.all(nodes.map((node) => cluster.digestOf(node, slot)));
      if (new Set(digests).size === 1) continue;
      problems.push(`slot ${slot}: ${nodes.map((node, index) => `${node} has ${digests[index]}`).join(', ')}`);
    }
  }
  return problems;
}

function alarmsOf(cluster: FaultCluster): Problem[] {
  return [...cluster.roles.values()].flatMap(({ name, notes }) =>
    notes.filter((note) => alarms.test(note)).map((note) => `${name} says: ${note.trim()}`),
  );
}

function failureText({ message }: Error, cluster: FaultCluster): string {
  const notes = [...cluster.roles.values()].flatMap(({ name, notes: said }) =>
    said.slice(-notesShown).map((note) => `${name}: ${note.trim()}`),
  );
  return `${message}\n${notes.join('\n')}`;
}
