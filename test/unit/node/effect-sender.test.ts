/** Effects are applied exactly once, whatever the wire between two nodes loses. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { graphEntries } from '../../../bench/graph-output.ts';
import { ByteWriter } from '../../../src/base/bytes.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { DataPlaneError } from '../../../src/base/data-plane-error.ts';
import { type SeededRandom, seededRandom } from '../../../src/base/seeded-random.ts';
import { encodeEntry } from '../../../src/entry/entry-codec.ts';
import { type ChunkOutcome, decodeAppend, encodeOutcomes, readChunk, writeChunk } from '../../../src/log/chunk.ts';
import { ApplyQueue } from '../../../src/node/apply-queue.ts';
import { EffectSender } from '../../../src/node/effect-sender.ts';
import { parseShardMap } from '../../../src/shardmap/shard-map.ts';
import { slotOf } from '../../../src/shardmap/slot-of.ts';
import { positionOf } from '../../../src/slot/effect-sources.ts';
import { Slot } from '../../../src/slot/slot.ts';
import type { NodeCall, NodeCaller } from '../../../src/wire/node-caller.ts';
import type { OutsideEntry } from '../../simulation/history.ts';
import { Model } from '../../simulation/model.ts';
import { factsOfModel } from '../../simulation/model-facts.ts';
import { comparableOf } from '../../simulation/model-gates.ts';
import { differencesOf, factsOfSlots } from '../../simulation/slot-facts.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';
import { recordOp } from '../../support/record-op.ts';
import { until } from '../../support/until.ts';

const slotCount = 4;
const map = parseShardMap({
  epoch: 1,
  slots: slotCount,
  nodes: { a: { host: '127.0.0.1', port: 1 }, b: { host: '127.0.0.1', port: 2 } },
  shards: [
    { name: 'first', primary: 'a', slots: ['0-1'] },
    { name: 'second', primary: 'b', slots: ['2-3'] },
  ],
});
const closings: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closings.splice(0).reverse()) await close();
});

type Faults = { lost: number; unanswered: number; broken: number; refused: number; gaps: number };

/** The queues of two nodes in this thread, with a wire between them that fails by the seed. */
class TwoQueues implements NodeCaller {
  readonly faults: Faults = { lost: 0, unanswered: 0, broken: 0, refused: 0, gaps: 0 };
  readonly notes: string[] = [];
  largestCallBytes = 0;
  readonly slots: readonly Slot[];
  readonly #queueByNode = new Map<string, ApplyQueue>();
  readonly #random: SeededRandom;
  readonly #stop = new AbortController();

  constructor(random: SeededRandom) {
    this.#random = random;
    const folder = makeMemoryFolder('skyshard-sender-');
    this.slots = Array.from({ length: slotCount }, (_unused, index) =>
      Slot.open({ index, slots: slotCount, path: join(folder, String(index)), mapBytes: 2 ** 28 }),
    );
    for (const node of ['a', 'b']) this.#startNode(node);
    closings.push(async () => {
      this.#stop.abort();
      for (const queue of this.#queueByNode.values()) await queue.close();
      rmSync(folder, { recursive: true, force: true });
    });
  }

  #startNode(node: string): void {
    const clock = systemClock;
    const own = this.slots.filter(({ index }) => map.primaryBySlot[index] === node);
    const queue: ApplyQueue = new ApplyQueue(own, {
      clock,
      lingerMs: 1,
      onBatches: (slot, batches, restarted) => sender.send(slot, batches, restarted),
      onCommit: () => {},
    });
    const sender = new EffectSender({
      caller: this,
      map: () => map,
      queue: () => queue,
      clock,
      random: this.#random,
      signal: this.#stop.signal,
      note: (message) => this.notes.push(message),
    });
    this.#queueByNode.set(node, queue);
  }

  queueOf(slot: number): ApplyQueue {
    return this.#queueByNode.get(map.primaryBySlot[slot]!)!;
  }

  add(slot: number, bytes: Uint8Array): Promise<ChunkOutcome> {
    const entryCount = readChunk(bytes).items.length;
    return new Promise((resolve) => this.queueOf(slot).add(slot, { bytes, entryCount, onOutcome: resolve }));
  }

  async call({ payload }: NodeCall): Promise<Uint8Array> {
    this.largestCallBytes = Math.max(this.largestCallBytes, payload.length);
    const draw = this.#random.below(10);
    const chunks = decodeAppend(payload).map((bytes) => Buffer.from(bytes));
    if (draw === 0) {
      this.faults.lost++;
      throw new DataPlaneError('Unavailable', 'lost on the way');
    }
    const outcomes = await Promise.all(
      chunks.map((bytes): ChunkOutcome | Promise<ChunkOutcome> => {
        const fault = this.#random.below(12);
        if (fault > 1) return this.add(readChunk(bytes).slot, bytes);
        if (fault === 1) {
          // As a target answers to a chunk that overtook another.
          this.faults.gaps++;
          const { slot, origin } = readChunk(bytes);
          return { status: 'gap', ...positionOf(this.slots[slot]!.state, origin!.slot), isParents: false };
        }
        this.faults.refused++;
        return { status: 'refused', code: 'StorageFull', message: 'no room' };
      }),
    );
    if (draw === 1) {
      this.faults.unanswered++;
      throw new DataPlaneError('DeadlineExceeded', 'no answer came');
    }
    if (draw === 2) {
      this.faults.broken++;
      throw new DataPlaneError('Internal', 'a defect of the target');
    }
    return encodeOutcomes(outcomes);
  }

  async settle(): Promise<void> {
    await until(() => this.slots.every((slot) => slot.outbox.owedCount === 0 && !slot.hasUnapplied), 50_000);
    const sum = (count: (slot: Slot) => number): number => this.slots.reduce((total, slot) => total + count(slot), 0);
    expect(sum((slot) => slot.receivedCount)).toBe(sum((slot) => slot.sentCount));
  }
}

function chunkOf(slot: number, entries: readonly OutsideEntry[]): Buffer {
  const writer = new ByteWriter(1024);
  writeChunk(writer, { slot, origin: null, items: entries.map((entry) => encodeEntry(entry)), marks: [] });
  return writer.finish();
}

function expectMeaning(queues: TwoQueues, entries: readonly OutsideEntry[]): void {
  const model = new Model(Number.MAX_SAFE_INTEGER);
  for (const entry of entries) model.apply(entry);
  const meant = factsOfModel(model);
  const dids = new Set(entries.map(({ did }) => did));
  for (const key of meant.keys()) for (const [did] of key.matchAll(/did:plc:[a-z2-7]{24}/g)) dids.add(did);
  const stateOf = (key: string) => queues.slots[slotOf(key, slotCount)]!.state;
  const found = factsOfSlots(stateOf, [...dids], [...model.claims.keys()], comparableOf(model));
  expect(differencesOf(meant, found)).toEqual([]);
}

describe('effects', () => {
  it('are applied once each, within a node and over a wire that loses calls and answers', async () => {
    const queues = new TwoQueues(seededRandom(3));
    const entries = [...graphEntries({ seed: 41, records: 1_500 })];
    const waiting = entries.map((entry) => ({ entry, slot: slotOf(entry.did, slotCount) }));
    // In batches, so that effects take many calls.
    while (waiting.length > 0) {
      const batch = waiting.splice(0, 20).map(({ entry, slot }) => queues.add(slot, chunkOf(slot, [entry])));
      for (const { status } of await Promise.all(batch)) expect(status).toBe('durable');
    }
    await queues.settle();
    for (const [fault, count] of Object.entries(queues.faults)) expect(count, fault).toBeGreaterThan(0);
    const note = 'effects are sent again: a defect of the target';
    expect(queues.notes.length).toBeGreaterThan(0);
    expect(new Set(queues.notes)).toEqual(new Set([note]));
    expectMeaning(queues, entries);
  }, 60_000);

  it('wait on disk when they exceed the limit on memory', async () => {
    const queues = new TwoQueues(seededRandom(4));
    const [source, target] = [0, 2];
    const didOf = (slot: number, from: number): string => {
      for (let number = from; ; number++) {
        const did = `did:web:n${number}.example`;
        if (slotOf(did, slotCount) === slot) return did;
      }
    };
    const [did, fan] = [didOf(source, 0), didOf(target, 100)];
    const entries = Array.from({ length: 400 }, (_unused, number): OutsideEntry => {
      const ops = Array.from({ length: 40 }, (_other, index) => {
        const path = { collection: 'app.bsky.feed.like', rkey: `like-${number}-${index}-${'x'.repeat(60)}` };
        return recordOp(path, { subject: { uri: `at://${fan}/app.bsky.feed.post/p${number}-${index}`, cid: 'c' } });
      });
      const rev = `r${String(number).padStart(5, '0')}`;
      return { kind: 'commit', did, rev, since: null, eventMs: 1_700_000_000_000 + number, ops };
    });
    await Promise.all(entries.map((entry) => queues.add(source, chunkOf(source, [entry]))));
    expect(queues.slots[source]!.sentCount).toBe(16_000);
    await queues.settle();
    expect(queues.slots[target]!.receivedCount).toBe(16_000);
    // Far below the limit of a wire frame, however many effects of one stream are undelivered.
    expect(queues.largestCallBytes).toBeGreaterThan(100_000);
    expect(queues.largestCallBytes).toBeLessThan(2 ** 21);
  }, 60_000);
});
