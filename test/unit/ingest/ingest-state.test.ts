/** What ingest keeps on disk: across restarts, through outcomes, and when a write fails. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from 'lmdb';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FetchRequest } from '../../../src/ingest/state/fetch-queue.ts';
import { IngestState } from '../../../src/ingest/state/ingest-state.ts';
import { freeBytesMin } from '../../../src/storage/disk-room.ts';
import { Environment } from '../../../src/storage/environment.ts';

let folder: string;
let state: IngestState;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'skyshard-state-'));
  state = new IngestState(folder);
});
afterEach(async () => {
  await state[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

async function reopen(mapBytes?: number): Promise<void> {
  await state[Symbol.asyncDispose]();
  state = new IngestState(folder, mapBytes);
}

const request = (did: string, fields: Partial<FetchRequest> = {}): FetchRequest => ({
  did,
  host: null,
  revMin: '',
  urgency: 'missing',
  ...fields,
});
const nobody = (): boolean => false;
const dueDids = (nowSec: number): string[] => state.fetches.due(nowSec, 100, nobody).map(({ did }) => did);

describe('the state of ingest', () => {
  it('keeps every seq that a source or a bsync can give', async () => {
    const timeMs = 1_700_000_000_000;
    const seqs = [0, 2 ** 48 - 1, 2 ** 48, 1_700_000_000_000_000, Number.MAX_SAFE_INTEGER];
    for (const seq of seqs) await state.cursors.store(`source at ${seq}`, { seq, timeMs });
    await state.gaps.add('a source', { afterSeq: 2 ** 48 + 1, beforeSeq: Number.MAX_SAFE_INTEGER });
    await state.erasures.put('did:web:a.test', 'mutes', new Map([['one', Number.MAX_SAFE_INTEGER]]));
    await state.erasures.put(
      'did:web:a.test',
      'drafts',
      new Map([
        ['one', 7],
        ['other', 9],
      ]),
    );
    await state.erasures.put('did:web:a.test', 'drafts', new Map([['one', 6]]));
    await state.erasures.put('did:web:a.test', 'bookmarks', new Map());
    await reopen();
    for (const seq of seqs) expect(state.cursors.get(`source at ${seq}`)).toEqual({ seq, timeMs });
    expect(state.gaps.get('a source')).toEqual({ afterSeq: 2 ** 48 + 1, beforeSeq: Number.MAX_SAFE_INTEGER });
    expect(state.erasures.of('did:web:a.test')).toEqual([
      { kind: 'mutes', stream: 'one', upTo: Number.MAX_SAFE_INTEGER },
      { kind: 'drafts', stream: 'one', upTo: 7 },
      { kind: 'drafts', stream: 'other', upTo: 9 },
      { kind: 'bookmarks', stream: '', upTo: 0 },
    ]);
  });

  it('keeps cursors, identity checks, listings and totals across a restart', async () => {
    await state.cursors.store('https://relay.test', { seq: 2 ** 40, timeMs: 1_700_000_000_000 });
    const facts = { pds: 'https://pds.test', signingKey: 'zQ3sh', checkedAtSec: 1_700_000_000 };
    await state.identities.storeCheck('did:web:a.test', { ...facts, hasHandle: true });
    await state.identities.storeCheck('did:web:b.test', { ...facts, pds: null, signingKey: null, hasHandle: false });
    const listing = { state: 'listing', pageToken: 'page two', repos: 2 } as const;
    await state.fetches.request(
      [request('did:web:a.test', { host: 'https://pds.test' }), request('did:web:b.test')],
      100,
      {
        host: 'https://pds.test',
        state: listing,
      },
    );
    await reopen();
    expect(state.cursors.get('https://relay.test')).toEqual({ seq: 2 ** 40, timeMs: 1_700_000_000_000 });
    expect(state.cursors.get('https://other.test')).toBeUndefined();
    expect(state.identities.check('did:web:a.test')).toEqual({ ...facts, hasHandle: true });
    expect(state.identities.check('did:web:b.test')).toMatchObject({ pds: null, signingKey: null });
    expect(state.identities.check('did:web:c.test')).toBeUndefined();
    expect(state.hosts.get('https://pds.test')).toEqual(listing);
    expect(state.hosts.unfinished()).toEqual(['https://pds.test']);
    expect(state.fetches.totals).toEqual({ queued: 2, done: 0, failed: 0, gone: 0, records: 0 });
    expect(state.fetches.get('did:web:a.test')).toMatchObject({ host: 'https://pds.test', state: 'queued' });
    expect(state.fetches.get('did:web:b.test')).toMatchObject({ host: null });
  });

  it('returns due repos earliest first, once each, without skipped ones', async () => {
    await state.fetches.request([request('did:web:late.test')], 200);
    await state.fetches.request([request('did:web:b.test'), request('did:web:a.test')], 100);
    await state.fetches.request([request('did:web:a.test')], 100);
    expect(dueDids(99)).toEqual([]);
    expect(dueDids(100).sort()).toEqual(['did:web:a.test', 'did:web:b.test']);
    expect(dueDids(200).at(-1)).toBe('did:web:late.test');
    expect(state.fetches.due(100, 1, (did) => did === 'did:web:a.test')).toMatchObject([{ did: 'did:web:b.test' }]);
  });

  it('updates the totals with each outcome of a repo', async () => {
    const did = 'did:web:a.test';
    expect(await state.fetches.request([request(did)], 100)).toBe(1);
    await state.fetches.storeOutcome(did, (row) => ({ ...row, attempts: 1, dueSec: 150 }));
    expect(dueDids(149)).toEqual([]);
    expect(dueDids(150)).toEqual([did]);
    await state.fetches.storeOutcome(did, (row) => ({ ...row, state: 'done', rev: '3kabc', dueSec: 160 }), 42);
    expect(dueDids(1000)).toEqual([]);
    expect(state.fetches.totals).toEqual({ queued: 0, done: 1, failed: 0, gone: 0, records: 42 });
    // Known, so a listing does not queue it; a slot that misses something does, after a delay.
    expect(await state.fetches.request([request(did)], 161)).toBe(0);
    expect(await state.fetches.request([request(did, { urgency: 'again', revMin: '3kabd' })], 161)).toBe(1);
    expect(dueDids(169)).toEqual([]);
    expect(state.fetches.get(did)).toMatchObject({ state: 'queued', rev: '3kabc', revMin: '3kabd', dueSec: 170 });
    // A repeat neither hastens it nor lowers `revMin`; an operator hastens it.
    await state.fetches.request([request(did, { urgency: 'again', revMin: '3kabb' })], 162);
    expect(state.fetches.get(did)).toMatchObject({ revMin: '3kabd', dueSec: 170 });
    await state.fetches.request([request(did, { urgency: 'now' })], 162);
    expect(dueDids(162)).toEqual([did]);
    expect(state.fetches.totals).toMatchObject({ queued: 1, done: 0 });
  });
});

describe('a write that fails', () => {
  it('leaves disk and memory unchanged, and its whole batch fails', async () => {
    await state.fetches.request([request('did:web:a.test')], 100);
    const before = state.fetches.totals;
    const results = await Promise.allSettled([
      state.fetches.request([request('did:web:b.test', { host: 'https://pds.test' })], 100),
      state.fetches.storeOutcome('did:web:a.test', (row) => ({ ...row, state: 'done' }), 42),
      state.fetches.storeOutcome('did:web:a.test', () => {
        throw new Error('no outcome');
      }),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    const expectBefore = (): void => {
      expect(state.fetches.totals).toEqual(before);
      expect(state.fetches.get('did:web:a.test')).toMatchObject({ state: 'queued' });
      expect(state.fetches.get('did:web:b.test')).toBeUndefined();
      expect(state.hosts.get('https://pds.test')).toBeUndefined();
    };
    expectBefore();
    await reopen();
    expectBefore();
    // The number that the new host briefly had is reused.
    await state.fetches.request([request('did:web:c.test', { host: 'https://other.test' })], 100);
    await reopen();
    expect(state.fetches.get('did:web:c.test')).toMatchObject({ host: 'https://other.test' });
    expect(state.fetches.totals).toEqual({ ...before, queued: 2 });
  });

  it('because the map is full says so; reads work, and writes work again with a larger map', async () => {
    await reopen(freeBytesMin + 2 ** 18);
    await state.cursors.store('https://relay.test', { seq: 7, timeMs: 1 });
    let known = 0;
    const fill = async (): Promise<void> => {
      for (;;) {
        const dids = Array.from({ length: 500 }, (_unused, index) => `did:web:repo-${known + index}.test`);
        await state.fetches.request(
          dids.map((did) => request(did)),
          100,
        );
        known += dids.length;
      }
    };
    await expect(fill()).rejects.toMatchObject({ code: 'StorageFull' });
    expect(known).toBeGreaterThan(0);
    expect(state.fetches.totals.queued).toBe(known);
    await expect(state.cursors.store('https://relay.test', { seq: 8, timeMs: 1 })).rejects.toMatchObject({
      code: 'StorageFull',
    });
    expect(state.cursors.get('https://relay.test')).toEqual({ seq: 7, timeMs: 1 });
    expect(state.fetches.due(100, 3, nobody)).toHaveLength(3);
    await reopen();
    expect(state.fetches.totals.queued).toBe(known);
    await state.cursors.store('https://relay.test', { seq: 8, timeMs: 1 });
    expect(state.cursors.get('https://relay.test')).toEqual({ seq: 8, timeMs: 1 });
  });

  it('because the state is closed says so', async () => {
    await state[Symbol.asyncDispose]();
    await expect(state.cursors.store('https://relay.test', { seq: 8, timeMs: 1 })).rejects.toMatchObject({
      code: 'Unavailable',
    });
    state = new IngestState(folder);
  });
});

it('refuses a folder of another format by name, and says what to do', async () => {
  await state.cursors.store('https://relay.test', { seq: 8, timeMs: 1 });
  await state[Symbol.asyncDispose]();
  const environment = Environment.open({ path: folder, mapBytes: 2 ** 28, tables: ['cursors'] });
  environment.transact(() => environment.table('cursors').put(Buffer.from('https://relay.test'), Buffer.alloc(13, 1)));
  await environment.close();
  expect(() => new IngestState(folder)).toThrow('holds ingest state of format 1, not 2');
  rmSync(join(folder, 'data.mdb'));
  state = new IngestState(folder);
});

it('opens a folder that was written with other flags of LMDB', async () => {
  await state[Symbol.asyncDispose]();
  rmSync(join(folder, 'data.mdb'));
  // Asynchronous commits that overlap with their flush.
  const root = open({ path: folder, mapSize: 2 ** 36, maxDbs: 8, keyEncoding: 'binary', encoding: 'binary' });
  const cursors = root.openDB<Buffer, Buffer>({ name: 'cursors', keyEncoding: 'binary', encoding: 'binary' });
  const value = Buffer.alloc(13);
  value.writeUInt8(2, 0);
  value.writeUIntBE(2 ** 40, 1, 6);
  value.writeUIntBE(5, 7, 6);
  await cursors.put(Buffer.from('https://relay.test'), value);
  await root.close();
  state = new IngestState(folder);
  expect(state.cursors.get('https://relay.test')).toEqual({ seq: 2 ** 40, timeMs: 5 });
  await state.cursors.store('https://relay.test', { seq: 2 ** 41, timeMs: 6 });
  await reopen();
  expect(state.cursors.get('https://relay.test')).toEqual({ seq: 2 ** 41, timeMs: 6 });
});
