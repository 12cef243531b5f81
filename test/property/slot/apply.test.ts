/** The state of a slot depends on its log alone, however the log is cut into transactions. */

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { graphEntries } from '../../../bench/graph-output.ts';
import { ByteWriter } from '../../../src/base/bytes.ts';
import { type SeededRandom, seededRandom } from '../../../src/base/seeded-random.ts';
import { writeEffect } from '../../../src/entry/effect-codec.ts';
import type { Effect, Entry } from '../../../src/entry/entry.ts';
import { encodeEntry } from '../../../src/entry/entry-codec.ts';
import { type Chunk, readChunk, writeChunk } from '../../../src/log/chunk.ts';
import { slotOf } from '../../../src/shardmap/slot-of.ts';
import { Slot } from '../../../src/slot/slot.ts';
import { recordCountsKey } from '../../../src/slot/table/record-counts.ts';
import { makeHistory, type OutsideEntry } from '../../simulation/history.ts';
import { originOf } from '../../support/effect-origin.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';
import { recordCountsOf } from '../../support/stored-rows.ts';

const appendMs = Date.UTC(2030, 0, 1);
const mapBytes = 2 ** 28;
const slots = 4;
let folder = '';
let opened = 0;

beforeAll(() => {
  folder = makeMemoryFolder('skyshard-apply-');
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function openSlot(index: number): Slot {
  return Slot.open({ index, slots, path: join(folder, String(opened++)), mapBytes });
}

function chunkOf(chunk: Chunk): Buffer {
  const writer = new ByteWriter(1024);
  writeChunk(writer, chunk);
  return writer.finish();
}

function outsideChunk(slot: number, entries: readonly Entry[]): Buffer {
  return chunkOf({ slot, origin: null, items: entries.map((entry) => encodeEntry(entry)), marks: [] });
}

/** The input of slot 0 of 4: its entries and effects of other slots, shuffled together. */
async function inputsOf(entries: readonly OutsideEntry[], random: SeededRandom): Promise<Buffer[]> {
  const inputs: Buffer[] = [];
  const own = entries.filter((entry) => slotOf(entry.did, slots) === 0);
  while (own.length > 0) inputs.push(outsideChunk(0, own.splice(0, 1 + random.below(4))));
  for (let source = 1; source < slots; source++) {
    await using slot = openSlot(source);
    const theirs = entries.filter((entry) => slotOf(entry.did, slots) === source);
    while (theirs.length > 0) slot.run([outsideChunk(source, theirs.splice(0, 1 + random.below(6)))], appendMs);
    let at = 0;
    for (const { previousMark, items, marks } of slot.outbox.batches(0)) {
      at += random.below(inputs.length - at + 1);
      inputs.splice(at++, 0, chunkOf({ slot: 0, origin: originOf(slot, previousMark), items, marks }));
    }
  }
  return inputs;
}

type Outcome = { readonly digest: string; readonly owed: string; readonly head: number };

/** A slot's digest, and its owed effects with their marks, independent of their batches. */
function outcomeOf(slot: Slot): Outcome {
  const owed = [...slot.outbox.batches()].flatMap(({ target, items, marks }) =>
    items.map((item, index) => `${target} ${marks[index]} ${Buffer.from(item).toString('hex')}`),
  );
  return { digest: slot.digest(), owed: owed.join('\n'), head: slot.head };
}

async function run(inputs: readonly Buffer[], random: SeededRandom | null): Promise<Outcome> {
  await using slot = openSlot(0);
  const waiting = [...inputs];
  while (waiting.length > 0 || slot.hasUnapplied) {
    const chunks = waiting.splice(0, random === null ? 1 : 1 + random.below(20));
    for (const outcome of slot.run(chunks, appendMs).outcomes) expect(outcome.status).toBe('durable');
  }
  return outcomeOf(slot);
}

function historyOf(seed: number): readonly OutsideEntry[] {
  return makeHistory({ random: seededRandom(seed), name: `p${seed}`, steps: 80 }).entries;
}

const seeds = fc.integer({ min: 1, max: 2 ** 31 });

describe('apply', () => {
  it('gives the same digest and owes the same effects for the same log', async () => {
    const entries = [...graphEntries({ seed: 5, records: 1_500 })];
    const inputs = await inputsOf(entries, seededRandom(5));
    const [first, second] = [await run(inputs, null), await run(inputs, null)];
    expect(first).toEqual(second);
    expect(first.owed.length).toBeGreaterThan(10_000);
  });

  it('does not depend on how transactions batch chunks', async () => {
    const check = async (seed: number): Promise<void> => {
      const random = seededRandom(seed);
      const inputs = await inputsOf(historyOf(seed), random);
      const alone = await run(inputs, null);
      expect(await run(inputs, random)).toEqual(alone);
      expect(await run(inputs, random)).toEqual(alone);
    };
    await fc.assert(fc.asyncProperty(seeds, check), { numRuns: 15 });
    const graph = await inputsOf([...graphEntries({ seed: 6, records: 1_500 })], seededRandom(6));
    expect(await run(graph, seededRandom(7))).toEqual(await run(graph, null));
  });

  it('drops effects that it has, alone or among new ones', async () => {
    const check = async (seed: number): Promise<void> => {
      const random = seededRandom(seed);
      const inputs = await inputsOf(historyOf(seed), random);
      const isEffects = (bytes: Buffer): boolean => readChunk(bytes).origin !== null;
      const repeated = inputs.flatMap((bytes, index) => {
        const earlier = inputs.slice(0, index + 1).filter(isEffects);
        const again = earlier.length === 0 ? [] : [earlier[random.below(earlier.length)]!];
        return isEffects(bytes) && random.below(2) === 0 ? [bytes, bytes, ...again] : [bytes, ...again];
      });
      expect(repeated.length).toBeGreaterThanOrEqual(inputs.length);
      expect(await run(repeated, random)).toEqual(await run(inputs, null));
    };
    await fc.assert(fc.asyncProperty(seeds, check), { numRuns: 15 });
  });

  it('refuses a gap by its last mark, and resumes from there', async () => {
    const inputs = await inputsOf([...graphEntries({ seed: 9, records: 2_000 })], seededRandom(9));
    const fromTwo = inputs.filter((bytes) => readChunk(bytes).origin?.slot === 2);
    expect(fromTwo.length).toBeGreaterThan(5);
    await using slot = openSlot(0);
    slot.run(fromTwo.slice(0, 2), appendMs);
    const before = outcomeOf(slot);
    const lastMark = readChunk(fromTwo[1]!).marks.at(-1);
    expect(slot.run(fromTwo.slice(3), appendMs).outcomes).toEqual(
      fromTwo.slice(3).map(() => ({ status: 'gap', generation: 1, session: 0, lastMark, isParents: false })),
    );
    expect(outcomeOf(slot)).toEqual(before);
    slot.run(fromTwo.slice(2), appendMs);
    expect(outcomeOf(slot)).toEqual(await run(fromTwo, null));
  });
});

describe('effects of one source', () => {
  const subjectDid = Array.from({ length: 100 }, (_unused, number) => `did:web:n${number}.example`).find(
    (did) => slotOf(did, slots) === 0,
  )!;
  const subject = { did: subjectDid, collection: 'app.bsky.feed.post', rkey: 'post' };

  function like(rkey: string, present: boolean): Effect {
    const source = { did: 'did:web:liker.example', collection: 'app.bsky.feed.like', rkey };
    return { type: 'edge', edge: 'like', present, source, subjectDid, subject, sortMs: appendMs };
  }

  /** Sends effects under the marks from `firstMark` on; all before it are taken as sent. */
  function send(slot: Slot, firstMark: number, effects: readonly Effect[]): void {
    const items = effects.map((effect) => {
      const writer = new ByteWriter(256);
      writeEffect(writer, effect);
      return writer.finish();
    });
    const origin = originOf({ index: 1, generation: 1, session: 0, slots }, firstMark - 1);
    const marks = items.map((_item, index) => firstMark + index);
    const { outcomes } = slot.run([chunkOf({ slot: 0, origin, items, marks })], appendMs);
    expect(outcomes.map(({ status }) => status)).toEqual(['durable']);
  }

  function likesIn({ state }: Slot): number {
    const key = recordCountsKey(state.ownerOf(subjectDid)!, subject.collection, subject.rkey);
    return recordCountsOf(state, key).likes;
  }

  it('put or remove an edge once, however often they are sent under new marks', async () => {
    await using slot = openSlot(0);
    send(slot, 1, [like('a', true), like('a', true), like('b', true)]);
    expect(likesIn(slot)).toBe(2);
    send(slot, 4, [like('a', false), like('a', false)]);
    expect(likesIn(slot)).toBe(1);
  });

  it('are applied once when a chunk repeats some of an earlier one', async () => {
    await using slot = openSlot(0);
    send(slot, 1, [like('a', true), like('a', false)]);
    send(slot, 1, [like('a', true), like('a', false), like('b', true)]);
    expect([slot.receivedCount, likesIn(slot)]).toEqual([3, 1]);
  });
});
