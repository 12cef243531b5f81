/** Threads that wait for their next task, and copies of slots that they make. */
import { rmSync } from 'node:fs';
import { constants, getPriority } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { encodeEntry } from '../../../src/entry/entry-codec.ts';
import { CopyThreads } from '../../../src/node/copy-task.ts';
import { slotPath } from '../../../src/node/data-folder.ts';
import { SpareThreads } from '../../../src/node/spare-threads.ts';
import { Slot } from '../../../src/slot/slot.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';
import { bytesOfChunk } from '../../support/slot-cluster.ts';
import type { FromSpareTask, SpareTask } from '../../support/spare-thread-child.ts';

type Threads = SpareThreads<SpareTask, FromSpareTask>;

function startThreads(): Threads {
  return new SpareThreads(new URL('../../support/spare-thread-child.ts', import.meta.url), 'spare');
}

/** Returns what a task says. Errors: that of its thread. */
function ask(threads: Threads, problem: string | null = null): Promise<FromSpareTask> {
  return new Promise((resolve, reject) => {
    let said: FromSpareTask | null = null;
    threads.begin(
      { problem },
      {
        onMessage: (message) => {
          said = message;
        },
        onEnd: (failure) => (failure === null ? resolve(said!) : reject(failure)),
      },
    );
  });
}

it('one thread does one task after the other, behind all others, and two do two at once', async () => {
  await using threads = startThreads();
  const before = getPriority();
  const first = await ask(threads);
  expect(await ask(threads)).toEqual(first);
  expect(first.priority).toBeGreaterThanOrEqual(constants.priority.PRIORITY_BELOW_NORMAL);
  expect(getPriority()).toBe(before);
  const both = await Promise.all([ask(threads), ask(threads)]);
  const ids = both.map(({ threadId }) => threadId);
  expect(ids).toContain(first.threadId);
  expect(new Set(ids).size).toBe(2);
});

it('a thread that throws fails its task, and the next task gets another one', async () => {
  await using threads = startThreads();
  const first = await ask(threads);
  await expect(ask(threads, 'a damaged page')).rejects.toThrow('a damaged page');
  const next = await ask(threads);
  expect(next.threadId).not.toBe(first.threadId);
});

it('copies of slots are made and read by one thread, also after one was given up', async () => {
  const folder = makeMemoryFolder('skyshard-copies-');
  const mapBytes = 2 ** 28;
  const opening = { session: 1, generation: 1, condition: 'complete', cluster: 'a' } as const;
  await using slot = Slot.open({ index: 0, slots: 1, path: slotPath(folder, 0), mapBytes, opening });
  const items = [encodeEntry({ kind: 'sync', did: 'did:web:a.example', rev: 'r1', eventMs: 0 })];
  slot.run([bytesOfChunk({ slot: 0, origin: null, items, marks: [] })], 1);
  const started: Worker[] = [];
  const note = (worker: Worker): void => void started.push(worker);
  process.on('worker', note);
  try {
    await using copies = new CopyThreads();
    const { signal } = new AbortController();
    const copy = { folder: join(folder, 'copy'), slot: 0, mapBytes, fileDigest: null };
    const made = await copies.run({ ...copy, from: slotPath(folder, 0) }, signal);
    expect(made).toMatchObject({ cluster: 'a', slot: 0, slots: 1, stateDigest: slot.digest() });
    const { fileDigest } = made;
    const isGivenUp = { code: 'Aborted', message: 'the copy of a slot was given up' };
    await expect(copies.run({ ...copy, from: null, fileDigest }, AbortSignal.abort())).rejects.toMatchObject(isGivenUp);
    expect(await copies.run({ ...copy, from: null, fileDigest }, signal)).toEqual(made);
    expect(started).toHaveLength(1);
  } finally {
    process.off('worker', note);
    rmSync(folder, { recursive: true, force: true });
  }
  expect(started.map(({ threadId }) => threadId)).toEqual([-1]);
});
