/** Compares seeded histories with the model, and reports the first seed that fails. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { seededRandom } from '../../src/base/seeded-random.ts';
import { makeMemoryFolder } from '../support/memory-folder.ts';
import type { SplitCounts } from './doubling.ts';
import { type FaultCounts, FaultyCluster, type LossCounts, slotCounts } from './faulty-cluster.ts';
import { makeHistory } from './history.ts';
import { Model } from './model.ts';
import { type Facts, factsOfModel } from './model-facts.ts';
import { MutedNotices } from './model-muted-notices.ts';
import { differencesOf, factsOfSlots } from './slot-facts.ts';
import { suggestionsGone } from './slot-operators.ts';

/** Later than every event of a history. */
const appendMs = Date.UTC(2030, 0, 1);

export type SimulationResult = {
  readonly histories: number;
  readonly entries: number;
  readonly facts: number;
  /** Notices that mutes of threads hid, and that were compared. */
  readonly hidden: number;
  readonly faults: FaultCounts;
  readonly losses: LossCounts;
  readonly splits: SplitCounts;
  /** The first seed that differs from the model, with the differences; null when all match. */
  readonly failure: { readonly seed: number; readonly slots: number; readonly differences: readonly string[] } | null;
};

export type SimulationOptions = {
  readonly seed: number;
  /** Number of seeds, from `seed` on. */
  readonly histories: number;
  /** Starts no history after this; by default unlimited. Units: ms. */
  readonly durationMs?: number;
  readonly steps?: number;
  /** Runs every history on all of these; by default each on one of 1, 2, 16, 64 in turn. */
  readonly slotCounts?: readonly number[];
  /** Slots lose their folders, or get older ones back. */
  readonly losesFolders?: boolean;
  /** How often all slots are doubled in each history. */
  readonly doublings?: number;
  /** Slots have replicas, which are to hold the same. */
  readonly hasReplicas?: boolean;
};

type Run = { readonly seed: number; readonly slots: number; readonly steps: number; readonly losesFolders: boolean };

/** Runs one history. Returns its differences from the model. */
async function runHistory(
  cluster: FaultyCluster,
  run: Run,
): Promise<{ entries: number; facts: number; hidden: number; differences: string[] }> {
  const random = seededRandom(run.seed);
  const name = `s${run.seed}x${run.slots}`;
  const history = makeHistory({ random, name, steps: run.steps, mutesThreads: true, reindexes: true });
  const model = new Model(appendMs, run.losesFolders);
  const notices = new MutedNotices(model);
  for (const part of history.parts) {
    for (const entry of part) model.apply(entry);
    notices.endPart();
    await cluster.settle(part, random);
  }
  const compared = notices.comparable();
  const meant = factsOfModel(model, compared);
  const found = factsOfSlots(cluster.stateOf, history.dids, history.handles, compared);
  await cluster.settle(suggestionsGone(cluster.stateOf), random);
  if (run.losesFolders) {
    const pastTombstones = noticesPastTombstones(meant);
    for (const facts of [meant, found]) dropHistory(facts, pastTombstones);
    releaseHandles(meant, found);
  }
  return {
    entries: history.entries.length,
    facts: meant.size,
    hidden: compared.hiddenCount,
    differences: differencesOf(meant, found),
  };
}

export async function simulate(options: SimulationOptions): Promise<SimulationResult> {
  const folder = makeMemoryFolder('skyshard-simulation-');
  const clusters = new Map<string, FaultyCluster>();
  const counts = { histories: 0, entries: 0, facts: 0, hidden: 0 };
  const endMs = systemClock.monotonicMs() + (options.durationMs ?? Number.POSITIVE_INFINITY);
  const { slotCounts: chosen, losesFolders = false, steps = 120, doublings = 0, hasReplicas = false } = options;
  try {
    for (let seed = options.seed; counts.histories < options.histories && systemClock.monotonicMs() < endMs; seed++) {
      for (const slots of chosen ?? [slotCounts[seed % slotCounts.length]!]) {
        // One that has doubled its slots serves no other history.
        const name = doublings === 0 ? String(slots) : `${slots}-${seed}`;
        const cluster =
          clusters.get(name) ??
          new FaultyCluster({ slots, path: join(folder, name), appendMs, losesFolders, doublings, hasReplicas });
        clusters.set(name, cluster);
        const { entries, facts, hidden, differences } = await runHistory(cluster, { seed, slots, steps, losesFolders });
        counts.entries += entries;
        counts.facts += facts;
        counts.hidden += hidden;
        if (differences.length > 0)
          return {
            ...counts,
            faults: faultsOf(clusters),
            losses: lossesOf(clusters),
            splits: splitsOf(clusters),
            failure: { seed, slots, differences },
          };
        if (doublings > 0) await cluster[Symbol.asyncDispose]();
      }
      counts.histories++;
    }
    return {
      ...counts,
      faults: faultsOf(clusters),
      losses: lossesOf(clusters),
      splits: splitsOf(clusters),
      failure: null,
    };
  } finally {
    for (const cluster of clusters.values()) await cluster[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Ancestors that are notified of a reply. */
const noticeHeightMax = 4;

/** Returns the keys of notices of replies below a deleted one, and of counts that include them. */
function noticesPastTombstones(facts: Facts): ReadonlySet<string> {
  const threads = [...facts].filter(([key]) => key.startsWith('thread '));
  const rowByKey = new Map(threads.map(([key, value]) => [key, JSON.parse(value)]));
  const isBelow = (root: string, reply: string, height: number): boolean => {
    const row = rowByKey.get(`thread ${root} ${reply}`);
    if (row === undefined || height > noticeHeightMax) return false;
    return (height > 0 && row.deletedMs !== null) || isBelow(root, row.parent, height + 1);
  };
  const keys = threads.map(([key]) => key.split(' ') as [string, string, string]);
  const below = new Set(keys.flatMap(([, root, reply]) => (isBelow(root, reply, 0) ? [reply] : [])));
  const past = [...facts].filter(([key, value]) => {
    return key.startsWith('notice ') && value.includes('"reason":"reply"') && below.has(key.split(' ').at(-1)!);
  });
  return new Set(past.flatMap(([key]) => [key, `unread ${key.split(' ')[1]}`]));
}

/**
 * Drops what no slot can restate: when replies were deleted, and so who was notified past them, and
 * that a verification ended.
 */
function dropHistory(facts: Facts, pastTombstones: ReadonlySet<string>): void {
  for (const [key, value] of [...facts]) {
    const isHistory = /^notice \S+ \S+ (?:un)?verified /.test(key) || pastTombstones.has(key);
    const isTombstone = key.startsWith('thread ') && !value.includes('"deletedMs":null');
    if (isHistory || isTombstone) facts.delete(key);
    if (isTombstone) for (const child of [...facts.keys()]) if (isChildOf(child, key)) facts.delete(child);
  }
}

/** A slot that lost a later claim, since released, gives the handle to the earlier one. */
function releaseHandles(meant: Facts, found: Facts): void {
  for (const [key, value] of [...found]) {
    const { handle } = key.startsWith('actor ') ? JSON.parse(value) : { handle: null };
    if (handle === null || meant.has(`handle ${handle}`)) continue;
    found.set(key, JSON.stringify({ ...JSON.parse(value), handle: null }));
    found.delete(`handle ${handle}`);
  }
}

/** Both end with the reply; the key of a child names its parent too. */
function isChildOf(child: string, thread: string): boolean {
  const [, root, reply] = thread.split(' ');
  const parts = child.split(' ');
  return parts[0] === 'child' && parts[1] === root && parts.at(-1) === reply;
}

function splitsOf(clusters: ReadonlyMap<string, FaultyCluster>): SplitCounts {
  const total: SplitCounts = { splits: 0, moved: 0, refused: 0, early: 0, crashes: 0 };
  for (const { splits } of clusters.values()) {
    for (const name of Object.keys(total) as (keyof SplitCounts)[]) total[name] += splits[name];
  }
  return total;
}

function lossesOf(clusters: ReadonlyMap<string, FaultyCluster>): LossCounts {
  const total: LossCounts = { putBack: 0, begunAgain: 0, sourceLost: 0, targetLost: 0 };
  for (const { losses } of clusters.values()) {
    for (const name of Object.keys(total) as (keyof LossCounts)[]) total[name] += losses[name];
  }
  return total;
}

function faultsOf(clusters: ReadonlyMap<string, FaultyCluster>): FaultCounts {
  const total: FaultCounts = { lost: 0, repeated: 0, unacknowledged: 0, gaps: 0, rewinds: 0, restarts: 0 };
  for (const { faults } of clusters.values()) {
    for (const name of Object.keys(total) as (keyof FaultCounts)[]) total[name] += faults[name];
  }
  return total;
}
