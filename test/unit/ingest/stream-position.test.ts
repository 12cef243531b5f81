/** How far a stream has come, and that waiting for it leaves no listener. */
import { getEventListeners } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { IngestState } from '../../../src/ingest/state/ingest-state.ts';
import { StreamPosition } from '../../../src/ingest/stream-position.ts';

const source = 'https://relay.test';

let folder: string;
let state: IngestState;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'skyshard-position-'));
  state = new IngestState(folder);
});
afterEach(async () => {
  await state[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

it('skips no further than seqs go, however often a source asks for it', async () => {
  const position = new StreamPosition(source, state.cursors, 0);
  for (let times = 0; times < 100; times++) position.skip(2 ** times);
  expect(position.receivedSeq).toBe(Number.MAX_SAFE_INTEGER);
  await position.storeCursor(0);
  expect(new StreamPosition(source, state.cursors, 0).receivedSeq).toBe(Number.MAX_SAFE_INTEGER);
});

describe('waiting for a seq', () => {
  it('leaves one listener on the signal however many events arrive, and none afterwards', async () => {
    const position = new StreamPosition(source, state.cursors, 0);
    const { signal } = new AbortController();
    const listenerCount = (): number => getEventListeners(signal, 'abort').length;
    const waiting = position.waitDurable(100, signal);
    let listenersMax = 0;
    for (let seq = 1; seq <= 100; seq++) {
      position.admit(seq, false);
      position.begin(seq).finish(seq);
      await nextTurn();
      listenersMax = Math.max(listenersMax, listenerCount());
    }
    expect(await waiting).toBe(true);
    expect(listenersMax).toBe(1);
    expect(listenerCount()).toBe(0);
  });

  it('ends when the signal aborts, and leaves no listener', async () => {
    const position = new StreamPosition(source, state.cursors, 0);
    const stop = new AbortController();
    const waiting = position.waitDurable(5, stop.signal);
    stop.abort();
    expect(await waiting).toBe(false);
    expect(getEventListeners(stop.signal, 'abort')).toHaveLength(0);
  });
});

describe('the cursor', () => {
  it('is stored only up to where every event is done, and not while an earlier run is unfinished', async () => {
    const position = new StreamPosition(source, state.cursors, 10);
    position.admit(11, true);
    const first = position.begin(11);
    position.admit(12, false);
    position.begin(12).finish(12);
    await position.storeCursor(1);
    expect(state.cursors.get(source)).toMatchObject({ seq: 10 });
    expect(position.admit(3, true)).toBe('restarted');
    position.begin(3).finish(3);
    await position.storeCursor(1);
    expect(state.cursors.get(source)).toMatchObject({ seq: 10 });
    first.finish(11);
    await position.storeCursor(1);
    expect(state.cursors.get(source)).toMatchObject({ seq: 3 });
    expect(position.durableSeq).toBe(3);
    expect(position.admit(3, false)).toBe('out-of-order');
  });
});
