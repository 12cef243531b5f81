/** How long effects may wait in the queue of an apply thread, and slots that come and go. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { ByteWriter } from '../../../src/base/bytes.ts';
import { type Clock, systemClock } from '../../../src/base/clock.ts';
import { encodeEntry } from '../../../src/entry/entry-codec.ts';
import { type ChunkOutcome, encodeEntryChunk, writeChunk } from '../../../src/log/chunk.ts';
import { ApplyQueue } from '../../../src/node/apply-queue.ts';
import { slotOf } from '../../../src/shardmap/slot-of.ts';
import { makeChild } from '../../../src/slot/child-slot.ts';
import { Slot } from '../../../src/slot/slot.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';
import { until } from '../../support/until.ts';

const did = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa';
const lingerMs = 4;
const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A clock that each reading advances by `stepMs`. */
class SlowClock implements Clock {
  stepMs = 0;
  #timeMs = 0;
  readonly nowMs = (): number => Date.UTC(2025, 0, 1);
  readonly sleep = systemClock.sleep;

  monotonicMs(): number {
    this.#timeMs += this.stepMs;
    return this.#timeMs;
  }
}

function chunkOf(rev: string, slot = 0): Buffer {
  const writer = new ByteWriter(256);
  writeChunk(writer, {
    slot,
    origin: null,
    items: [encodeEntry({ kind: 'sync', did, rev, eventMs: 0 })],
    marks: [],
  });
  return writer.finish();
}

describe('the queue of a slot', () => {
  it('lets effects linger in proportion to recent transactions', async () => {
    const folder = makeMemoryFolder('skyshard-queue-');
    folders.push(folder);
    const clock = new SlowClock();
    const slot = Slot.open({ index: 0, slots: 1, path: join(folder, 'slot'), mapBytes: 2 ** 28 });
    const queue = new ApplyQueue([slot], { clock, lingerMs, onBatches: () => {}, onCommit: () => {} });
    const run = (rev: string): Promise<ChunkOutcome> =>
      new Promise((onOutcome) => queue.add(0, { bytes: chunkOf(rev), entryCount: 1, onOutcome }, 0));
    expect(queue.effectsLingerMs(0)).toBe(lingerMs);
    clock.stepMs = 50;
    expect(await run('r1')).toEqual({ status: 'durable', batchBytes: slot.batchBytes });
    expect(queue.effectsLingerMs(0)).toBe(400);
    clock.stepMs = 0;
    await run('r2');
    expect(queue.effectsLingerMs(0)).toBe(300);
    for (let index = 3; queue.effectsLingerMs(0) > lingerMs; index++) {
      expect(index).toBeLessThan(30);
      await run(`r${index}`);
    }
    await queue.close();
  });

  it('is refused once the slot is given up, while others go on, and begins again where it was', async () => {
    const folder = makeMemoryFolder('skyshard-queue-');
    folders.push(folder);
    const open = (index: number): Slot =>
      Slot.open({ index, slots: 2, path: join(folder, String(index)), mapBytes: 2 ** 28 });
    const options = { clock: systemClock, lingerMs: 1, onBatches: () => {}, onCommit: () => {} };
    const queue = new ApplyQueue([open(0)], options);
    const run = (slot: number, rev: string): Promise<ChunkOutcome> =>
      new Promise((onOutcome) => queue.add(slot, { bytes: chunkOf(rev, slot), entryCount: 1, onOutcome }));
    const refused = { status: 'refused', code: 'WrongEpoch', message: 'slot 1 is not applied here' };
    expect(await run(1, 'r1')).toEqual(refused);
    queue.take(open(1));
    expect(await run(1, 'r1')).toMatchObject({ status: 'durable' });
    const waiting = run(1, 'r2');
    await queue.leave(1);
    expect([await waiting, await run(1, 'r2')]).toEqual([refused, refused]);
    expect(await run(0, 'r1')).toMatchObject({ status: 'durable' });
    expect(queue.slots.map(({ index }) => index)).toEqual([0]);
    const again = open(1);
    queue.take(again);
    expect(await run(1, 'r2')).toMatchObject({ status: 'durable' });
    expect(again.cursor).toBe(2);
    await queue.close();
  });

  it('says that what comes with a split is there once it is applied, and not before', async () => {
    const folder = makeMemoryFolder('skyshard-queue-');
    folders.push(folder);
    const slot = Slot.open({ index: 0, slots: 1, path: join(folder, 'slot'), mapBytes: 2 ** 28, canSplit: true });
    const queue = new ApplyQueue([slot], { clock: systemClock, lingerMs, onBatches: () => {}, onCommit: () => {} });
    const said: string[] = [];
    const add = (name: string, bytes: Uint8Array): void =>
      queue.add(0, { bytes, entryCount: 1, onOutcome: ({ status }) => void said.push(`${name} ${status}`) }, 5);
    const stays = [0, 1, 2, 3].map((number) => `did:web:n${number}.example`).find((did) => slotOf(did, 2) === 0)!;
    add('before', encodeEntryChunk(0, [{ kind: 'sync', did: stays, rev: 'r1', eventMs: 0 }]));
    add('split', encodeEntryChunk(0, [{ kind: 'split', slots: 2 }]));
    add('after', encodeEntryChunk(0, [{ kind: 'sync', did: stays, rev: 'r2', eventMs: 0 }]));
    await until(() => said.length > 0);
    expect([said, slot.awaitsChild, slot.log.readableEntries]).toEqual([['before durable', 'split durable'], true, 1]);
    await makeChild(slot, join(folder, 'child'));
    slot.childIsMade();
    queue.wake(0);
    await until(() => said.length > 2);
    expect(said.at(-1)).toBe('after durable');
    expect(slot.cursor).toBe(slot.head);
    await queue.close();
  });
});
