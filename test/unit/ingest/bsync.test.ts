/** One bsync beyond what ingest's endpoints show: its silence, and its second scan for a repair. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { seededRandom } from '../../../src/base/seeded-random.ts';
import { Bsync } from '../../../src/ingest/bsync.ts';
import { BsyncClient } from '../../../src/ingest/bsync-client.ts';
import { BsyncPages } from '../../../src/ingest/bsync-pages.ts';
import { createIngestCounters } from '../../../src/ingest/ingest-counters.ts';
import { RescanPositions, type StoredPositions } from '../../../src/ingest/rescan-positions.ts';
import { IngestState } from '../../../src/ingest/state/ingest-state.ts';
import { FakeBsync } from '../../support/fake-bsync.ts';
import { MemoryLog } from '../../support/memory-log.ts';
import { until } from '../../support/until.ts';

const [alice, bob] = [`did:plc:${'a'.repeat(24)}`, `did:plc:${'b'.repeat(24)}`];
/** Smaller than in production. */
const answerBytesMax = 2 ** 18;
let server: FakeBsync;
beforeEach(async () => {
  server = await FakeBsync.start();
});
afterEach(() => server.close());

it('gives a scan up that is not answered in time, or that nobody waits for any more', async () => {
  server.misanswer = () => 'silence';
  const client = new BsyncClient(`${server.url}/`, server.key, { timeoutMs: 50 });
  const answer = await client.scan('op', 0, 10, new AbortController().signal);
  expect(answer).toMatchObject({ ok: false, reason: 'deadline' });
  const stop = new AbortController();
  const { length } = server.scans;
  const scan = new BsyncClient(server.url, server.key).scan('op', 0, 10, stop.signal);
  await until(() => server.scans.length > length);
  stop.abort();
  expect(await scan).toMatchObject({ ok: false, reason: 'unreachable' });
});

it('asks for less when an answer is not there in time', async () => {
  for (let index = 0; index < 500; index++) server.put(alice, 'UPDATE', 'com.example.n', `k${index}`, {});
  server.misanswer = ({ limit }) => (limit > 125 ? 'silence' : null);
  const client = new BsyncClient(server.url, server.key, { timeoutMs: 500 });
  const counters = createIngestCounters(new Registry(), systemClock);
  const pages = new BsyncPages({ stream: 'op', client, appender: new MemoryLog(), counters });
  const { signal } = new AbortController();
  expect(await pages.read(0, signal)).toBe('failed');
  expect(await pages.read(0, signal)).toBe('failed');
  expect(await pages.read(0, signal)).toMatchObject({ upTo: 125 });
  expect(server.scans.map(({ limit }) => limit)).toEqual([500, 250, 125]);
});

describe('a bsync that is followed', () => {
  let folder: string;
  let state: IngestState;
  let log: MemoryLog;
  let stop: AbortController;
  let scanning: AbortController;
  let bsync: Bsync;
  let running: Promise<void>;
  const wants = (did: string) => did === alice;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'skyshard-bsync-'));
    state = new IngestState(folder, 2 ** 28);
    log = new MemoryLog();
    start();
  });
  afterEach(async () => {
    await end();
    await state[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  function start(): void {
    stop = new AbortController();
    scanning = new AbortController();
    const counters = createIngestCounters(new Registry(), systemClock);
    const client = new BsyncClient(server.url, server.key, { answerBytesMax });
    const { cursors, erasures } = state;
    const parts = { client, cursors, erasures, appender: log, clock: systemClock, random: seededRandom(1), counters };
    bsync = new Bsync({ ...parts, note: () => {} }, stop.signal);
    running = bsync.run();
  }
  async function end(): Promise<void> {
    stop.abort();
    await running;
  }
  const positionsFrom = (stored: StoredPositions, store = async (_stored: StoredPositions) => {}) =>
    new RescanPositions(stored, store, systemClock);
  const scanAgain = (positions = positionsFrom({ positions: {}, done: [] })): Promise<void> =>
    bsync.rescan({ isWanted: wants, positions, signal: scanning.signal });
  const reached = async (targets: object): Promise<void> =>
    expect(await bsync.waitFor(targets, AbortSignal.timeout(30_000))).toEqual([]);
  const writesOf = (did: string) => log.of('private', did).map(({ write }) => write);
  const keysOf = (did: string) => writesOf(did).flatMap((write) => (write.type === 'private-data' ? [write.key] : []));

  function putMany(count: number): void {
    for (let index = 0; index < count; index++)
      server.put(index % 2 === 0 ? alice : bob, 'UPDATE', 'com.example.n', `k${index}`, {});
  }

  describe('at another URL than the one by whose ids something was erased', () => {
    beforeEach(async () => {
      await end();
      await state.erasures.put(alice, 'private-data', new Map([['bsync http://earlier.test op', 100]]));
      server.put(alice, 'CREATE', 'com.example.n', 'first', {});
      server.put(bob, 'CREATE', 'com.example.n', 'of-bob', {});
      start();
      await until(() => bsync.status.problems.op !== undefined);
    });

    it('is not read until the operator says what its ids are', async () => {
      const scanned = scanAgain();
      expect(bsync.status.problems.op).toContain('skyshard source begin bsync:op');
      expect(server.scans.filter(({ stream }) => stream === 'op')).toEqual([]);
      await bsync.beginAgain('op', 0);
      await scanned;
      await reached({ op: 2 });
      expect(bsync.status.problems.op).toBeUndefined();
    });

    it('brings what is new when its ids begin anew', async () => {
      await bsync.beginAgain('op', 0);
      await reached({ op: 2 });
      expect([keysOf(alice), keysOf(bob)]).toEqual([['first'], ['of-bob']]);
    });

    it('brings nothing back when it has the same ids', async () => {
      await bsync.beginAgain('op', 1);
      await reached({ op: 2 });
      await scanAgain();
      // After a restart neither.
      await end();
      start();
      await scanAgain();
      expect([keysOf(alice), keysOf(bob)]).toEqual([[], ['of-bob']]);
    });
  });

  it('appends once more all of the actors that are asked for, before what is new of them', async () => {
    putMany(1_200);
    server.add('mute', { type: 'TYPE_ADD', actorDid: alice, subject: bob });
    await reached({ op: 1_200, mute: 1 });
    const before = writesOf(alice);
    expect(before).toHaveLength(601);
    log.entries.length = 0;
    log.isHeld = true;
    const rescan = scanAgain();
    await until(() => log.waitingCount > 0);
    const last = server.put(alice, 'DELETE', 'com.example.n', 'k0');
    log.acknowledgeAll();
    await rescan;
    await reached({ op: last });
    const items = (writes: typeof before) => writes.filter(({ type }) => type === 'private-data');
    const again = items(writesOf(alice));
    expect(again.slice(0, 600)).toEqual(items(before));
    // The newer operation follows the older ones of its actor, once.
    expect(again.slice(600)).toEqual([expect.objectContaining({ method: 'delete', key: 'k0' })]);
    expect(writesOf(bob)).toEqual([]);
    expect(bsync.status.cursors).toEqual({ mute: 1, notif: 0, op: last });
  });

  it('takes what is new of all others while it is scanned again', async () => {
    putMany(600);
    await reached({ op: 600 });
    log.entries.length = 0;
    // The scan from the beginning waits; what follows the cursor does not.
    server.misanswer = ({ stream, cursor }) => (stream === 'op' && cursor === '' ? { status: 503, body: '' } : null);
    const rescan = scanAgain();
    await until(() => bsync.status.problems.op !== undefined);
    server.put(alice, 'UPDATE', 'com.example.n', 'newer-of-alice', {});
    server.put(alice, 'UPDATE', 'com.example.n', 'new-of-alice', {});
    server.put(bob, 'UPDATE', 'com.example.n', 'new-of-bob', {});
    await until(() => keysOf(bob).length === 1);
    expect(keysOf(bob)).toEqual(['new-of-bob']);
    expect(keysOf(alice)).toEqual([]);
    // It is not settled what waits for its turn.
    expect(await bsync.waitFor({ op: 603 }, AbortSignal.timeout(50))).toEqual(['op']);
    server.misanswer = () => null;
    await rescan;
    await reached({ op: 603 });
    expect(keysOf(alice)).toHaveLength(302);
    expect(keysOf(alice).at(-1)).toBe('new-of-alice');
    expect(keysOf(bob)).toEqual(['new-of-bob']);
  });

  it('takes an actor in again when a scan is stopped, and all of them once it goes on', async () => {
    putMany(600);
    await reached({ op: 600 });
    log.entries.length = 0;
    server.misanswer = ({ stream, cursor }) => (stream === 'op' && cursor === '500' ? 'drop' : null);
    const positions = positionsFrom({ positions: {}, done: [] });
    const scan = scanAgain(positions);
    await until(() => bsync.status.problems.op !== undefined);
    const held = server.put(alice, 'UPDATE', 'com.example.n', 'held', {});
    await until(() => bsync.status.cursors.op === held);
    scanning.abort();
    await scan;
    expect(keysOf(alice)).toHaveLength(250);
    const next = server.put(alice, 'UPDATE', 'com.example.n', 'next', {});
    await reached({ op: next });
    expect(keysOf(alice).slice(250)).toEqual(['next']);
    server.misanswer = () => null;
    scanning = new AbortController();
    await scanAgain(positions);
    const rest = Array.from({ length: 50 }, (_key, index) => `k${500 + 2 * index}`);
    expect(keysOf(alice).slice(251)).toEqual([...rest, 'held', 'next']);
  });

  it('goes on with a scan after pages that fail, and after a restart, where it was', async () => {
    putMany(2_000);
    await reached({ op: 2_000 });
    log.entries.length = 0;
    const name = `bsync ${server.url} op`;
    const isLate = ({ stream, cursor }: { stream: string; cursor: string }) => stream === 'op' && cursor === '1000';
    server.misanswer = (scan) => (isLate(scan) ? 'drop' : null);
    let stored: StoredPositions = { positions: {}, done: [] };
    const positions = positionsFrom(stored, async (now) => {
      stored = now;
    });
    void scanAgain(positions);
    await until(() => server.scans.filter(isLate).length >= 3);
    expect(positions.waitsFor).toEqual([`${name}, read to 1000 of 2000`]);
    await positions.finish('bsync of before');
    expect(keysOf(alice)).toHaveLength(500);
    await end();
    server.misanswer = () => null;
    server.scans.length = 0;
    start();
    expect(stored.positions[name]).toBe(1_000);
    await scanAgain(positionsFrom(stored));
    expect(keysOf(alice)).toEqual(Array.from({ length: 1_000 }, (_key, index) => `k${2 * index}`));
    expect(server.scans.filter(({ stream, cursor }) => stream === 'op' && cursor === '')).toEqual([]);
    // What is over is not read once more.
    server.scans.length = 0;
    await scanAgain(positionsFrom({ ...stored, done: [name] }));
    expect(server.scans.filter(({ cursor }) => cursor === '1000')).toEqual([]);
  }, 20_000);

  it('asks for half as much after an answer that is too large, and for twice as much after others', async () => {
    putMany(2_000);
    const isLarge = ({ stream, cursor, limit }: { stream: string; cursor: string; limit: number }) =>
      stream === 'op' && Number(cursor) < 500 && limit > 62;
    server.misanswer = (scan) => (isLarge(scan) ? { body: 'x'.repeat(answerBytesMax + 1) } : null);
    await reached({ op: 2_000 });
    const limits = server.scans.filter(({ stream }) => stream === 'op').map(({ limit }) => limit);
    expect(limits.slice(0, 7)).toEqual([500, 250, 125, 62, 124, 62, 124]);
    expect(limits).toContain(500);
    expect(keysOf(alice)).toHaveLength(1_000);
  }, 60_000);

  it('leaves out an operation that no answer can hold, and names it', async () => {
    putMany(3);
    const large = server.put(alice, 'UPDATE', 'com.example.n', 'large', { text: 'x'.repeat(answerBytesMax) });
    server.put(alice, 'UPDATE', 'com.example.n', 'after', {});
    await reached({ op: large + 1 });
    expect(keysOf(alice)).toEqual(['k0', 'k2', 'after']);
    expect(bsync.status.oversized).toEqual({ op: { count: 1, lastId: large } });
    expect(bsync.status.problems).toEqual({});
    log.entries.length = 0;
    await scanAgain();
    expect(keysOf(alice)).toEqual(['k0', 'k2', 'after']);
  }, 60_000);

  it('leaves out nothing for a bsync that gives more than it is asked for', async () => {
    putMany(2);
    const [first, second] = server.operations.op;
    const padding = 'x'.repeat(answerBytesMax + 1);
    const operations = [first, second, { ...second, id: '3', payload: padding }];
    server.misanswer = ({ stream }) => (stream === 'op' ? { body: JSON.stringify({ operations }) } : null);
    await until(() => bsync.status.problems.op?.includes('more than'));
    expect(bsync.status).toMatchObject({ oversized: {}, cursors: { op: 0 } });
    server.misanswer = () => null;
    await reached({ op: 2 });
    expect(keysOf(bob)).toEqual(['k1']);
  }, 60_000);
});
