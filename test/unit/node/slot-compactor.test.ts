/** A compaction of a slot holds its thread for short steps only, and ends when it is told to. */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../../src/base/clock.ts';
import { TidClock } from '../../../src/demo/model/tid-clock.ts';
import { encodeEntry } from '../../../src/entry/entry-codec.ts';
import { SlotCompactor } from '../../../src/node/slot-compactor.ts';
import { Slot } from '../../../src/slot/slot.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';
import { recordOp } from '../../support/record-op.ts';
import { bytesOfChunk } from '../../support/slot-cluster.ts';
import { until } from '../../support/until.ts';

const folder = makeMemoryFolder('skyshard-compactor-');
const authors = Array.from({ length: 8 }, (_unused, index) => `did:web:author${index}.example`);
const quietMs = 300_000;
const start = Buffer.from([0]);
const end = Buffer.alloc(64, 255);

let opened = 0;
let slot: Slot;
/** How much time passes from one look at the clock to the next. */
let msPerLook: number;
let rests: number;
/** Called with each rest between two steps. */
let onRest: () => void;
let replacedCount: number;
let notes: { readonly message: string; readonly fields: Record<string, unknown> }[];

/** A rest is one turn of the thread. */
function clockOfSteps(): Clock {
  let timeMs = 0;
  return {
    nowMs: () => timeMs,
    monotonicMs: () => (timeMs += msPerLook),
    sleep: (durationMs) => {
      if (durationMs < quietMs) {
        rests++;
        onRest();
      }
      return new Promise((resolve) => setImmediate(resolve));
    },
  };
}

/** Posts of some authors by turns, which leave pages half full. */
function fill(): void {
  const [tids, revs] = [new TidClock(1), new TidClock(2)];
  const revByDid = new Map<string, string>();
  for (let round = 0; round < 40; round++) {
    const timeMs = Date.UTC(2025, 2, 1) + round * 1_000;
    const items = authors.map((did) => {
      const ops = Array.from({ length: 5 }, () => {
        const record = { $type: 'app.bsky.feed.post', text: `${round}`, createdAt: new Date(timeMs).toISOString() };
        return recordOp({ collection: 'app.bsky.feed.post', rkey: tids.next(timeMs) }, record);
      });
      const since = revByDid.get(did) ?? null;
      revByDid.set(did, revs.next(timeMs));
      return encodeEntry({ kind: 'commit', did, rev: revByDid.get(did)!, since, eventMs: timeMs, ops });
    });
    slot.run([bytesOfChunk({ slot: 0, origin: null, items, marks: [] })], timeMs);
  }
}

/** A step that is over at once copies 128. */
const rowsBeyondStep = 130;
/** A compaction that cannot follow takes a thousand steps until it gives up. */
const givesUpWithinMs = 55_000;

/** Writes rows once more as they are. */
function rewrite(count: number): void {
  const { environment } = slot;
  environment.transact(() => {
    const { rows } = slot.state;
    for (const { key, value } of [...rows.scan({ start, end, limit: count })]) rows.put(key, value);
  });
}

function compactorOf(begins: 'asked' | 'itself'): SlotCompactor {
  return new SlotCompactor({
    clock: clockOfSteps(),
    quietMs: begins === 'itself' ? quietMs : 0,
    onReplaced: () => replacedCount++,
    note: (message, fields) => notes.push({ message, fields }),
  });
}

function phaseOf(compactor: SlotCompactor): string | undefined {
  const { phase } = compactor.compactionOf(slot);
  return phase === 'waiting' || phase === 'copying' ? undefined : phase;
}

beforeEach(() => {
  [msPerLook, rests, onRest, replacedCount, notes] = [0, 0, () => {}, 0, []];
  const opening = { session: 1, generation: 1, condition: 'complete', cluster: 'a' } as const;
  slot = Slot.open({ index: 0, slots: 1, path: join(folder, String(++opened)), mapBytes: 2 ** 28, opening });
  fill();
});

afterEach(async () => slot[Symbol.asyncDispose]());
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('copies in steps what was written while the copy was brought to disk', async () => {
  const digest = slot.digest();
  const compactor = compactorOf('asked');
  compactor.take([slot]);
  compactor.begin(slot);
  // All rows are copied in the first step, and the disk is waited for.
  rewrite(1_000);
  msPerLook = 10;
  expect(await until(() => phaseOf(compactor))).toBe('done');
  expect(rests).toBeGreaterThan(5);
  expect(replacedCount).toBe(1);
  const { bytesBefore, bytes } = compactor.compactionOf(slot);
  expect(bytes).toBeLessThan(bytesBefore);
  expect(notes).toEqual([{ message: 'a slot is compacted', fields: { slot: 0, bytesBefore, bytes } }]);
  expect(slot.digest()).toBe(digest);
  await compactor.close();
});

it('gives up when more is written than it can copy, and leaves the slot as it is', async () => {
  const compactor = compactorOf('asked');
  msPerLook = 10;
  onRest = () => rewrite(rowsBeyondStep);
  compactor.take([slot]);
  compactor.begin(slot);
  expect(await until(() => phaseOf(compactor), givesUpWithinMs)).toBe('failed');
  expect(compactor.compactionOf(slot).problem).toContain('more is written to');
  expect(replacedCount).toBe(0);
  expect(slot.environment.isInPlace).toBe(true);
  await compactor.close();
}, 60_000);

it('is abandoned when it is stopped while the disk is waited for', async () => {
  const compactor = compactorOf('asked');
  compactor.take([slot]);
  compactor.begin(slot);
  expect(compactor.compactionOf(slot)).toMatchObject({ phase: 'copying' });
  await compactor.close();
  expect(replacedCount).toBe(0);
  expect(slot.environment.isInPlace).toBe(true);
  expect(existsSync(join(slot.path, 'compacting'))).toBe(false);
});

it('is tried again at the next look after it failed', async () => {
  const compactor = compactorOf('itself');
  msPerLook = 10;
  onRest = () => {
    if (notes.length === 0) rewrite(rowsBeyondStep);
  };
  compactor.take([slot]);
  await until(() => replacedCount === 1, givesUpWithinMs);
  expect(notes.map(({ message }) => message)).toEqual(['a slot is not compacted', 'a slot is compacted']);
  await compactor.close();
}, 60_000);

it('ends where a node has no slots', async () => {
  const clock: Clock = { ...systemClock, sleep: () => new Promise((resolve) => setImmediate(resolve)) };
  const compactor = new SlotCompactor({ clock, quietMs: 1, onReplaced: () => {}, note: () => {} });
  compactor.take([]);
  await compactor.close();
}, 5_000);

it('is abandoned when its slot is given up', async () => {
  const compactor = compactorOf('asked');
  compactor.take([slot]);
  compactor.begin(slot);
  await compactor.leave(slot);
  expect(replacedCount).toBe(0);
  expect(existsSync(join(slot.path, 'compacting'))).toBe(false);
  compactor.take([slot]);
  compactor.begin(slot);
  expect(await until(() => phaseOf(compactor))).toBe('done');
  await compactor.close();
});

it('can be asked for again though it was asked for while its slot was left alone', async () => {
  const compactor = compactorOf('asked');
  compactor.take([slot]);
  await compactor.leave(slot);
  compactor.begin(slot);
  expect(await until(() => phaseOf(compactor))).toBe('none');
  compactor.take([slot]);
  compactor.begin(slot);
  expect(await until(() => phaseOf(compactor))).toBe('done');
  await compactor.close();
}, 10_000);
