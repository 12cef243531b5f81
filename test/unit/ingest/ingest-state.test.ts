import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { IngestState, type RepoRequest } from '../../../src/storage/ingest-state.ts';

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

async function reopen(): Promise<void> {
  await state[Symbol.asyncDispose]();
  state = new IngestState(folder);
}

const wish = (did: string, fields: Partial<RepoRequest> = {}): RepoRequest => ({
  did,
  host: null,
  revMin: '',
  urgency: 'missing',
  ...fields,
});
const nobody = (): boolean => false;
const dueDids = (nowSec: number): string[] => state.dueRepos(nowSec, 100, nobody).map(({ did }) => did);

describe('the state of ingest', () => {
  it('keeps cursors, identity checks, listings and totals over a restart', async () => {
    await state.storeCursor('https://relay.test', { seq: 2 ** 40, timeMs: 1_700_000_000_000 });
    await state.noteIdentityCheck('did:web:a.test', { checkedAtSec: 1_700_000_000, hasHandle: true });
    const listing = { state: 'listing', pageToken: 'page two', repos: 2 } as const;
    await state.enqueueRepos([wish('did:web:a.test', { host: 'https://pds.test' }), wish('did:web:b.test')], 100, {
      host: 'https://pds.test',
      state: listing,
    });
    await reopen();
    expect(state.cursor('https://relay.test')).toEqual({ seq: 2 ** 40, timeMs: 1_700_000_000_000 });
    expect(state.cursor('https://other.test')).toBeUndefined();
    expect(state.identityCheck('did:web:a.test')).toEqual({ checkedAtSec: 1_700_000_000, hasHandle: true });
    expect(state.listing('https://pds.test')).toEqual(listing);
    expect(state.unfinishedListings()).toEqual(['https://pds.test']);
    expect(state.totals).toEqual({ queued: 2, done: 0, failed: 0, gone: 0, records: 0 });
    expect(state.repo('did:web:a.test')).toMatchObject({ host: 'https://pds.test', state: 'queued' });
    expect(state.repo('did:web:b.test')).toMatchObject({ host: null });
  });

  it('gives due repos earliest first, once each, without those that are skipped', async () => {
    await state.enqueueRepos([wish('did:web:late.test')], 200);
    await state.enqueueRepos([wish('did:web:b.test'), wish('did:web:a.test')], 100);
    await state.enqueueRepos([wish('did:web:a.test')], 100);
    expect(dueDids(99)).toEqual([]);
    expect(dueDids(100).sort()).toEqual(['did:web:a.test', 'did:web:b.test']);
    expect(dueDids(200).at(-1)).toBe('did:web:late.test');
    expect(state.dueRepos(100, 1, (did) => did === 'did:web:a.test')).toMatchObject([{ did: 'did:web:b.test' }]);
  });

  it('moves a repo through its outcomes with the totals', async () => {
    const did = 'did:web:a.test';
    expect(await state.enqueueRepos([wish(did)], 100)).toBe(1);
    await state.settleRepo(did, (row) => ({ ...row, attempts: 1, dueSec: 150 }));
    expect(dueDids(149)).toEqual([]);
    expect(dueDids(150)).toEqual([did]);
    await state.settleRepo(did, (row) => ({ ...row, state: 'done', rev: '3kabc', dueSec: 160 }), 42);
    expect(dueDids(1000)).toEqual([]);
    expect(state.totals).toEqual({ queued: 0, done: 1, failed: 0, gone: 0, records: 42 });
    // Already known, so a listing does not bring it back; a slot that misses something does, after a rest.
    expect(await state.enqueueRepos([wish(did)], 161)).toBe(0);
    expect(await state.enqueueRepos([wish(did, { urgency: 'again', revMin: '3kabd' })], 161)).toBe(1);
    expect(dueDids(169)).toEqual([]);
    expect(state.repo(did)).toMatchObject({ state: 'queued', rev: '3kabc', revMin: '3kabd', dueSec: 170 });
    // Wishing again neither hurries it nor lowers what is wanted; an operator hurries it.
    await state.enqueueRepos([wish(did, { urgency: 'again', revMin: '3kabb' })], 162);
    expect(state.repo(did)).toMatchObject({ revMin: '3kabd', dueSec: 170 });
    await state.enqueueRepos([wish(did, { urgency: 'now' })], 162);
    expect(dueDids(162)).toEqual([did]);
    expect(state.totals).toMatchObject({ queued: 1, done: 0 });
  });
});
