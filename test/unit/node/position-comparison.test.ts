/** Comparisons of positions find a loss, and take nothing for one that a log still has. */
import { rmSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { DataPlaneError } from '../../../src/base/data-plane-error.ts';
import { encodeEntry } from '../../../src/entry/entry-codec.ts';
import type { LifecycleEntry } from '../../../src/entry/lifecycle-entry.ts';
import { encodeOutcomes } from '../../../src/log/chunk.ts';
import { ActingSlots } from '../../../src/node/acting-slots.ts';
import { slotPath } from '../../../src/node/data-folder.ts';
import { PositionComparison } from '../../../src/node/position-comparison.ts';
import { openReaders, type SlotReader } from '../../../src/node/slot-reader.ts';
import { parseShardMap } from '../../../src/shardmap/shard-map.ts';
import { slotOf } from '../../../src/shardmap/slot-of.ts';
import { Slot } from '../../../src/slot/slot.ts';
import type { NodeCall } from '../../../src/wire/node-caller.ts';
import { nodeCalls } from '../../../src/wire/node-calls.ts';
import { positionsAnswer } from '../../../src/wire/slot-positions.ts';
import { originOf } from '../../support/effect-origin.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';
import { recordOp } from '../../support/record-op.ts';
import { bytesOfChunk } from '../../support/slot-cluster.ts';

const mapBytes = 2 ** 28;
const nodes = { ours: { host: '127.0.0.1', port: 1 }, theirs: { host: '127.0.0.1', port: 2 } };
const shards = [
  { name: 'a', primary: 'ours', slots: ['0'] },
  { name: 'b', primary: 'theirs', slots: ['1'] },
];
const map = parseShardMap({ epoch: 1, slots: 2, nodes, shards });
const [ourDid, theirDid] = [0, 1].map((slot) => {
  const dids = Array.from({ length: 64 }, (_unused, at) => `did:web:n${at}.example`);
  return dids.find((did) => slotOf(did, 2) === slot)!;
}) as [string, string];

let folder: string;
/** Slot 0, of our node; the other node is played. */
let slot: Slot;
let readers: Map<number, SlotReader>;
let appended: LifecycleEntry[];

beforeEach(() => {
  folder = makeMemoryFolder('skyshard-comparison-');
  const opening = { session: 1, generation: 1, condition: 'complete', cluster: '' } as const;
  slot = Slot.open({ index: 0, slots: 2, path: slotPath(folder, 0), mapBytes, opening });
  slot.run([], 1);
  readers = openReaders([0], folder, mapBytes);
  appended = [];
});

afterEach(async () => {
  await readers.get(0)!.environment.close();
  await slot[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

type Positions = Parameters<typeof positionsAnswer.encode>[0];

/** `read` is called for what each of both nodes is made to read of its log. */
async function compare(positions: () => Positions, read: (node: 'ours' | 'theirs') => void): Promise<void> {
  const acting = new ActingSlots();
  acting.set(0, true);
  const call = async ({ method }: NodeCall): Promise<Uint8Array> => {
    if (method === nodeCalls.positions) return positionsAnswer.encode(positions());
    expect(method).toBe(nodeCalls.append);
    read('theirs');
    return encodeOutcomes([{ status: 'durable', batchBytes: 1 }]);
  };
  const comparison = new PositionComparison({
    name: 'ours',
    map: () => map,
    caller: { call },
    readers,
    acting,
    beginAgain: [],
    append: async (_slot, entry) => {
      if (entry.kind === 'resend-step') read('ours');
      else appended.push(entry);
    },
    fail: (error) => {
      throw error;
    },
    note: () => {},
    clock: systemClock,
  });
  await comparison.compare('theirs');
}

describe('effects that our slot has acknowledged', () => {
  const follow = {
    type: 'edge',
    edge: 'follow',
    present: true,
    source: { did: theirDid, collection: 'app.bsky.graph.follow', rkey: '3k2a' },
    subjectDid: ourDid,
    subject: null,
    sortMs: 1,
  } as const;
  const sent = { held: [], delivered: [{ source: 1, target: 0, generation: 1, mark: 7 }] };

  it('are no loss while they are in its log', async () => {
    const origin = originOf({ index: 1, generation: 1, session: 5, slots: 2 }, 0);
    const items = [encodeEntry({ kind: 'effect', effect: follow }).subarray(2)];
    await compare(
      () => sent,
      () => slot.run([bytesOfChunk({ slot: 0, origin, items, marks: [7] })], 1),
    );
    expect(slot.receivedCount).toBe(1);
    expect(appended).toEqual([]);
  });

  it('are a loss where its log has them no more', async () => {
    let reads = 0;
    await compare(
      () => sent,
      () => reads++,
    );
    expect(reads).toBe(1);
    expect(appended).toMatchObject([{ kind: 'tail-lost', lostIn: 1 }]);
  });
});

describe('effects that another slot has acknowledged', () => {
  let heldMark: number;
  let deliveredMark: number;
  const positions = (): Positions => ({
    held: [{ source: 0, target: 1, generation: 1, session: 1, lastMark: heldMark }],
    delivered: [],
  });

  beforeEach(() => {
    const ops = [recordOp({ collection: 'app.bsky.graph.follow', rkey: '3k2a' }, { subject: theirDid })];
    const entries = [encodeEntry({ kind: 'commit', did: ourDid, rev: '3k2222222222a', since: null, eventMs: 1, ops })];
    const { batches } = slot.run([bytesOfChunk({ slot: 0, origin: null, items: entries, marks: [] })], 1);
    deliveredMark = batches.at(-1)!.lastMark;
    const delivered = [encodeEntry({ kind: 'delivered', target: 1, mark: deliveredMark })];
    slot.run([bytesOfChunk({ slot: 0, origin: null, items: delivered, marks: [] })], 1);
    heldMark = 0;
  });

  it('are not sent again while they are in its log', async () => {
    const read: string[] = [];
    await compare(positions, (node) => {
      read.push(node);
      heldMark = deliveredMark;
    });
    expect(read).toEqual(['theirs']);
    expect(appended).toEqual([]);
  });

  it('are sent again where its log has them no more', async () => {
    await compare(positions, () => {});
    expect(appended).toEqual([{ kind: 'resend', target: 1 }]);
  });
});

describe('a slot that is given up while this node compares', () => {
  const all = parseShardMap({ epoch: 1, slots: 2, nodes, shards: [{ name: 'a', primary: 'ours', slots: ['0-1'] }] });
  const opening = { session: 1, generation: 1, condition: 'new', cluster: '' } as const;

  /** Starts a comparison of two new slots. `append` may give slots up. */
  async function startWith(append: (slot: number, readers: Map<number, SlotReader>) => void): Promise<number[]> {
    const at = makeMemoryFolder('skyshard-comparison-');
    const slots = [0, 1].map((index) => Slot.open({ index, slots: 2, path: slotPath(at, index), mapBytes, opening }));
    for (const each of slots) each.run([], 1);
    const opened = openReaders([0, 1], at, mapBytes);
    const own = new Map(opened);
    const acting = new ActingSlots();
    for (const index of [0, 1]) acting.set(index, true);
    const completed: number[] = [];
    const comparison = new PositionComparison({
      name: 'ours',
      map: () => all,
      caller: { call: () => Promise.reject(new Error('no other node is asked')) },
      readers: own,
      acting,
      beginAgain: [],
      append: async (index) => {
        append(index, own);
        if (!own.has(index)) throw new DataPlaneError('WrongEpoch', `slot ${index} is not served here`);
        completed.push(index);
      },
      fail: (error) => {
        throw error;
      },
      note: () => {},
      clock: systemClock,
    });
    try {
      await comparison.start();
      return completed;
    } finally {
      for (const { environment } of opened.values()) await environment.close();
      for (const each of slots) await each[Symbol.asyncDispose]();
      rmSync(at, { recursive: true, force: true });
    }
  }

  it('is left out, and ends neither the comparison nor the node', async () => {
    expect(await startWith((index, own) => void (index === 0 && own.delete(1)))).toEqual([0]);
  });

  it('is not tried again and again', async () => {
    expect(await startWith((index, own) => void (index === 0 && own.delete(0)))).toEqual([1]);
  });
});
