/** A thread of search that dies is there again, and what was asked of it fails by name. */
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { RestartingWorker } from '../../../src/search/restarting-worker.ts';
import { until } from '../../support/until.ts';

/** Answers an `ask` with its own number, and dies of `die`. */
const code = `
  const { parentPort, workerData } = require('node:worker_threads');
  parentPort.on('message', ({ type, id }) => {
    if (type === 'die') throw new Error('planted');
    if (type === 'close') return parentPort.close();
    if (type === 'refuse') return parentPort.postMessage({ type: 'failed', id, code: 'InvalidArgument', message: 'no' });
    if (type === 'ask') parentPort.postMessage({ type: 'answered', id, value: workerData });
  });`;

type Message = { readonly type: 'ask' | 'refuse' | 'ignore' | 'die' | 'close'; readonly id?: number };

let started: number;
let notes: string[];
let worker: RestartingWorker<Message>;
beforeEach(() => {
  started = 0;
  notes = [];
  worker = new RestartingWorker({
    name: 'a thread',
    start: () => new Worker(code, { eval: true, workerData: ++started }),
    onMessage: () => {},
    note: (message, { because }) => notes.push(`${message}: ${because}`),
    clock: systemClock,
  });
});
afterEach(() => worker.close({ type: 'close' }));

const ask = (type: 'ask' | 'refuse' | 'ignore'): Promise<unknown> => worker.ask((id) => ({ type, id }));

it('answers, and passes errors on', async () => {
  await expect(ask('ask')).resolves.toBe(1);
  await expect(ask('refuse')).rejects.toMatchObject({ code: 'InvalidArgument', message: 'no' });
  expect(notes).toEqual([]);
});

it('fails what waits when it dies, says why, and answers again', async () => {
  const waiting = ask('ignore');
  const failed = expect(waiting).rejects.toMatchObject({ code: 'Unavailable' });
  worker.send({ type: 'die' });
  await failed;
  const answer = await until(() => ask('ask').catch(() => null));
  expect(answer).toBe(2);
  expect(notes).toEqual(['a thread has failed, and is started again: planted']);
});

it('is not started again once it is closed', async () => {
  await worker.close({ type: 'close' });
  await expect(ask('ask')).rejects.toMatchObject({ code: 'Unavailable' });
  expect(started).toBe(1);
});
