/** What crash tests append, and what must be readable afterwards. */
import { expect } from 'vitest';
import { graphEntries } from '../../bench/graph-output.ts';
import { seededRandom } from '../../src/base/seeded-random.ts';
import { makeHistory, type OutsideEntry } from '../simulation/history.ts';
import { Model } from '../simulation/model.ts';
import { type Facts, factsOfModel } from '../simulation/model-facts.ts';
import { comparableOf } from '../simulation/model-gates.ts';
import { differencesOf, factsOfSlots } from '../simulation/slot-facts.ts';
import type { CrashCluster } from './crash-cluster.ts';

/**
 * Makes entries of a social graph and of a random history.
 *
 * Leaves out what is done at the append time, which would make the result depend on the clock:
 * sweeps of resyncs, records put or deleted by hand, what is seen by a first preference. Also
 * takedowns and tags of records that are written again later: one that is sent again, as its
 * acknowledgement was lost, is applied again, then to the later record.
 */
export function storyOf(seed: number, records: number): readonly OutsideEntry[] {
  const name = `${seed} ${records}`;
  const story = storyByName.get(name) ?? makeStory(seed, records);
  storyByName.set(name, story);
  return story;
}

/** The tests of a file share them. */
const storyByName = new Map<string, readonly OutsideEntry[]>();
const meaningOfStory = new WeakMap<readonly OutsideEntry[], Meaning>();

function makeStory(seed: number, records: number): readonly OutsideEntry[] {
  const history = makeHistory({ random: seededRandom(seed), name: `c${seed}`, steps: 400 });
  const isTimeless = (entry: OutsideEntry): boolean =>
    !entry.kind.startsWith('resync') && !(entry.kind === 'private' && atAppendTime.has(entry.write.type));
  const timeless = history.entries.filter(isTimeless);
  return [
    ...graphEntries({ seed, records }),
    ...timeless.filter((entry, index) => !isMarkBeforeWrite(entry, timeless.slice(index))),
  ];
}

const atAppendTime: ReadonlySet<string> = new Set(['record-put', 'record-delete', 'notification-priority']);

function isMarkBeforeWrite(entry: OutsideEntry, rest: readonly OutsideEntry[]): boolean {
  if (entry.kind !== 'private') return false;
  if (entry.write.type !== 'record-takedown' && entry.write.type !== 'record-tags') return false;
  const { collection, rkey } = entry.write;
  return rest.some(
    (later) =>
      later.kind === 'commit' &&
      later.did === entry.did &&
      later.ops.some((op) => op.collection === collection && op.rkey === rkey),
  );
}

/** The facts that must be readable, and the authors of the entries. */
type Meaning = { readonly model: Model; readonly facts: Facts; readonly dids: ReadonlySet<string> };

function meaningOf(entries: readonly OutsideEntry[]): Meaning {
  const known = meaningOfStory.get(entries);
  if (known !== undefined) return known;
  const model = new Model(Number.MAX_SAFE_INTEGER);
  for (const entry of entries) model.apply(entry);
  const meaning = { model, facts: factsOfModel(model), dids: new Set(entries.map((entry) => entry.did)) };
  meaningOfStory.set(entries, meaning);
  return meaning;
}

/** Compares everything that the slots hold with what a run without crashes would hold. */
export async function expectMeaning(cluster: CrashCluster, entries: readonly OutsideEntry[]): Promise<void> {
  const { model, facts, dids } = meaningOf(entries);
  const { sent, received } = await cluster.settle();
  expect(sent).toBe(received);
  expect(sent).toBeGreaterThan(100);
  expect(facts.size).toBeGreaterThan(1_000);
  const handles = [...model.claims.keys()];
  // Actors that are only pointed at have rows too.
  const everyone = new Set(dids);
  for (const key of facts.keys()) for (const [did] of key.matchAll(/did:[a-z]+:[A-Za-z0-9._:-]+/g)) everyone.add(did);
  const found = await cluster.withSlots((stateOf) =>
    factsOfSlots(stateOf, [...everyone], handles, comparableOf(model)),
  );
  expect(differencesOf(facts, found)).toEqual([]);
}

/** Appends entries and resolves when all are durable. */
export async function appendAll(cluster: CrashCluster, entries: readonly OutsideEntry[]): Promise<void> {
  const appends: Promise<void>[] = [];
  for (const entry of entries) {
    await cluster.log.waitForCapacity();
    appends.push(cluster.log.append(entry.did, entry));
  }
  await Promise.all(appends);
}
