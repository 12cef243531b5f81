import { describe, expect, it } from 'vitest';
import { type CrashPoint, crashPoints } from '../../src/base/crash-point.ts';
import { seededRandom } from '../../src/base/seeded-random.ts';
import { graphEntries } from '../../src/demo/graph-output.ts';
import { makeHistory, type OutsideEntry } from '../simulation/history.ts';
import { Model } from '../simulation/model.ts';
import { factsOfModel } from '../simulation/model-facts.ts';
import { differencesOf, factsOfSlots } from '../simulation/slot-facts.ts';
import { CrashCluster } from '../support/crash-cluster.ts';

/** Sweeps of repos take the append time as that of their deletions, which only a clock knows; all else is the same at any time. */
function storyOf(seed: number, records: number): readonly OutsideEntry[] {
  const history = makeHistory({ random: seededRandom(seed), name: `c${seed}`, steps: 400 });
  const isTimeless = (entry: OutsideEntry): boolean => !entry.kind.startsWith('resync');
  return [...graphEntries({ seed, records }), ...history.entries.filter(isTimeless)];
}

/** What must be read, and who is in the story. */
function meaningOf(entries: readonly OutsideEntry[]) {
  const model = new Model(Number.MAX_SAFE_INTEGER);
  for (const entry of entries) model.apply(entry);
  const dids = new Set(entries.map((entry) => entry.did));
  return { model, facts: factsOfModel(model), dids };
}

/** Compares everything that the slots hold with what a run without a crash must hold. */
async function expectMeaning(cluster: CrashCluster, entries: readonly OutsideEntry[]): Promise<void> {
  const { model, facts, dids } = meaningOf(entries);
  const { sent, received } = await cluster.settle();
  expect(sent).toBe(received);
  expect(sent).toBeGreaterThan(100);
  expect(facts.size).toBeGreaterThan(1_000);
  const handles = [...model.claims.keys()];
  // Whoever is only pointed at has rows too.
  const everyone = new Set(dids);
  for (const key of facts.keys()) for (const [did] of key.matchAll(/did:[a-z]+:[A-Za-z0-9._:-]+/g)) everyone.add(did);
  const found = await cluster.withSlots((stateOf) => factsOfSlots(stateOf, [...everyone], handles, model.isCompared));
  expect(differencesOf(facts, found)).toEqual([]);
}

async function appendAll(cluster: CrashCluster, entries: readonly OutsideEntry[]): Promise<void> {
  const appends: Promise<void>[] = [];
  for (const entry of entries) {
    await cluster.log.ready();
    appends.push(cluster.log.append(entry.did, entry));
  }
  await Promise.all(appends);
}

/** Runs a story while node a kills itself at a point, and again at its next start. */
async function crashTwice(point: CrashPoint, seed: number): Promise<void> {
  await using cluster = await CrashCluster.make();
  const entries = storyOf(seed, 400);
  await cluster.start('b');
  await cluster.start('a', { point, nth: 3 });
  const appended = appendAll(cluster, entries);
  expect(await cluster.exitOf('a')).toEqual({ code: null, signal: 'SIGKILL' });
  await cluster.start('a', { point, nth: 2 });
  expect(await cluster.exitOf('a')).toEqual({ code: null, signal: 'SIGKILL' });
  await cluster.start('a');
  await appended;
  await expectMeaning(cluster, entries);
}

describe('kill -9', () => {
  for (const point of crashPoints) {
    it(`at ${point} loses nothing and counts nothing twice`, async () => {
      await crashTwice(point, 11);
    }, 120_000);
  }

  it('at any moment, again and again, loses nothing and counts nothing twice', async () => {
    const seed = 23;
    const random = seededRandom(seed);
    await using cluster = await CrashCluster.make();
    const entries = storyOf(seed, 600);
    await Promise.all([cluster.start('a'), cluster.start('b')]);
    let kills = 0;
    for (let at = 0; at < entries.length; ) {
      const count = 1 + random.below(Math.ceil(entries.length / 8));
      const appended = appendAll(cluster, entries.slice(at, at + count));
      const name = random.below(2) === 0 ? 'a' : 'b';
      // Some turns of the event loop: the kill meets appends and effects on their way.
      for (let turns = random.below(200); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
      await cluster.stop(name, 'SIGKILL');
      kills++;
      await cluster.start(name);
      await appended;
      at += count;
    }
    expect(kills).toBeGreaterThan(5);
    await expectMeaning(cluster, entries);
  }, 180_000);
});
