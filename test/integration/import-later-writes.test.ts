/** What came to a slot by itself is newer than what an import brings, also when it comes twice. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Cid } from '../../src/atproto/cid.ts';
import { parseRecordUri } from '../../src/atproto/compact-key.ts';
import { type ErasedKind, privateNamespace } from '../../src/atproto/private-namespace.ts';
import { systemClock } from '../../src/base/clock.ts';
import type { Entry, PrivateWrite } from '../../src/entry/entry.ts';
import { suggestionsKey } from '../../src/entry/suggestion.ts';
import { PostgresImport } from '../../src/migrate/postgres-import.ts';
import { reposToResync } from '../../src/slot/apply/repo-apply.ts';
import { isImporting, removedPrefix } from '../../src/slot/table/import-note.ts';
import { prefixEnd } from '../../src/storage/environment.ts';
import { ImportTables } from '../support/import-tables.ts';
import { recordOp } from '../support/record-op.ts';
import { RoutedNetwork } from '../support/routed-network.ts';
import type { OwnedEntry } from '../support/slot-cluster.ts';
import { didOf, ReadsNetwork } from './reads-network.ts';

const [alice, bob, carol] = [didOf('alice'), didOf('bob'), didOf('carol')];
const at = '2025-01-02T03:04:05.678Z';
const [post, list, feed] = ['app.bsky.feed.post', 'app.bsky.graph.list', 'app.bsky.feed.generator'];
const rkey = '3k2aaaaaaaaaa';
const uri = `at://${alice}/${post}/${rkey}`;
const listUri = `at://${bob}/${list}/${rkey}`;
const slots = 2;

let reads: RoutedNetwork;
let tables: ImportTables;
let folder: string;
let purged: string[];
let erased: Map<string, Set<ErasedKind>>;

beforeEach(() => {
  reads = new RoutedNetwork(new ReadsNetwork({ slots }));
  tables = new ImportTables();
  folder = mkdtempSync(join(tmpdir(), 'skyshard-import-'));
  purged = [];
  erased = new Map();
});
afterEach(async () => {
  rmSync(folder, { recursive: true });
  await reads[Symbol.asyncDispose]();
});

async function run(): Promise<Readonly<Record<string, number>>> {
  const job = new PostgresImport({
    source: tables,
    appender: {
      append: async (_key: string, entry: Entry) => {
        reads.network.cluster.append(entry as OwnedEntry);
      },
      hasCapacity: true,
      waitForCapacity: async () => {},
      pendingBytes: 0,
    },
    clock: systemClock,
    statePath: join(folder, 'state.json'),
    slots,
    parallel: 1,
    refusedRepos: new Set(purged),
    erasures: erased,
    onProgress: () => {},
  });
  try {
    await job.run();
  } finally {
    reads.network.settle();
  }
  return job.counts;
}

/** The database as it is before the last of its tables can be read. */
async function runUnfinished(): Promise<void> {
  tables.broken = 'tagged_suggestion';
  await expect(run()).rejects.toMatchObject({ code: 'Unavailable' });
  tables.broken = '';
  // As if it had been killed before any of that was noted.
  rmSync(join(folder, 'state.json'));
}

function write(did: string, change: PrivateWrite): void {
  reads.network.cluster.append({ kind: 'private', did, write: change });
}

const item = (namespace: string): PrivateWrite => ({
  type: 'private-data',
  method: 'delete',
  namespace,
  key: rkey,
  payload: '',
});
const actor = (more: Record<number, string>) => (): void => tables.actor(alice, 'alice.test', more);
const add =
  (table: string, ...row: (string | null)[]) =>
  (): void => {
    tables.actor(alice, 'alice.test');
    tables.add(table, ...row);
  };
const actorAnswer = async (): Promise<unknown> => {
  const request = { dids: [alice], returnAgeAssuranceForDids: [alice] };
  const [found] = (await reads.ask('GetActors', request)).actors;
  return { ...found!, sortedAt: undefined };
};
const record = (more: { ref?: string; tags?: string }) => (): void => {
  tables.actor(alice, 'alice.test');
  tables.record(alice, post, rkey, { text: 'x', createdAt: at }, more);
};
const recordAnswer = (): Promise<unknown> => reads.ask('GetPostRecords', { uris: [uri] });
const subject = { src: carol, subject: { did: alice, record: { collection: post, rkey } }, cid: '', val: 'spam' };
const ageless = { access: null, countryCode: null, regionCode: null, lastInitiatedMs: null };

type Case = readonly [what: string, fill: () => void, later: () => void, answer: () => Promise<unknown>];

const cases: readonly Case[] = [
  ['a lifted takedown', actor({ 3: 'T' }), () => write(alice, { type: 'actor-takedown', ref: null }), actorAnswer],
  ['another takedown', actor({ 3: 'T' }), () => write(alice, { type: 'actor-takedown', ref: 'U' }), actorAnswer],
  [
    'a cleared status',
    actor({ 4: 'suspended' }),
    () => write(alice, { type: 'upstream-status', status: '' }),
    actorAnswer,
  ],
  [
    'an account that is active again',
    actor({ 4: 'deactivated' }),
    () => reads.network.cluster.append({ kind: 'account', did: alice, active: true, status: '', eventMs: Date.now() }),
    actorAnswer,
  ],
  [
    'a verifier trusted no more',
    actor({ 5: 'true' }),
    () => write(alice, { type: 'trusted-verifier', isTrusted: false }),
    actorAnswer,
  ],
  ['a cleared age', actor({ 6: 'assured' }), () => write(alice, { type: 'age-assurance', change: null }), actorAnswer],
  [
    'another age',
    actor({ 6: 'pending', 7: at }),
    () => write(alice, { type: 'age-assurance', change: { ...ageless, status: 'blocked' } }),
    actorAnswer,
  ],
  [
    'a priority given up',
    actor({ 12: at, 13: 'true' }),
    () => write(alice, { type: 'notification-priority', isPriority: false }),
    actorAnswer,
  ],
  [
    'an unmute',
    add('mute', alice, bob, 'false', 'false'),
    () => write(alice, { type: 'unmute', subject: bob }),
    () => reads.ask('GetMutes', { actorDid: alice, limit: 10 }),
  ],
  [
    'cleared mutes',
    add('mute', alice, bob, 'false', 'false'),
    () => write(alice, { type: 'clear-mutes' }),
    () => reads.ask('GetMutes', { actorDid: alice, limit: 10 }),
  ],
  [
    'an ended subscription to a list',
    add('list_mute', alice, listUri),
    () => write(alice, { type: 'list-unmute', list: parseRecordUri(listUri)! }),
    () => reads.ask('GetMutelistSubscription', { actorDid: alice, listUri }),
  ],
  [
    'an unmuted thread',
    add('thread_mute', uri, alice),
    () => write(alice, { type: 'thread-unmute', root: parseRecordUri(uri)! }),
    () => reads.ask('GetThreadMutesOnSubjects', { actorDid: alice, threadRoots: [uri] }),
  ],
  [
    'a blob shown again',
    add('blob_takedown', alice, 'bafkreia', 'T'),
    () => write(alice, { type: 'blob-takedown', cid: 'bafkreia', ref: null }),
    () => reads.ask('GetBlobTakedown', { did: alice, cid: 'bafkreia' }),
  ],
  [
    'a removed bookmark',
    add('bookmark', alice, rkey, uri, 'bafkreia'),
    () => write(alice, item(privateNamespace.bookmark)),
    () => reads.ask('GetActorBookmarks', { actorDid: alice, limit: 10 }),
  ],
  [
    'an erased draft',
    add('draft', alice, rkey, '{"id":"1"}'),
    () => write(alice, { type: 'erase', kind: 'drafts' }),
    () => reads.ask('GetActorDrafts', { actorDid: alice, limit: 10 }),
  ],
  [
    'other preferences',
    add('private_data', alice, privateNamespace.preferences, 'self', '{"like":{"list":false}}'),
    () =>
      write(alice, {
        type: 'private-data',
        method: 'update',
        namespace: privateNamespace.preferences,
        key: 'self',
        payload: '{"like":{"list":true}}',
      }),
    () => reads.ask('GetNotificationPreferences', { dids: [alice] }),
  ],
  [
    'a record shown again',
    record({ ref: 'T' }),
    () => write(alice, { type: 'record-takedown', collection: post, rkey, ref: null }),
    recordAnswer,
  ],
  [
    'other tags',
    record({ tags: '["a"]' }),
    () => write(alice, { type: 'record-tags', collection: post, rkey, tags: ['b'] }),
    recordAnswer,
  ],
  [
    'a record deleted by hand',
    record({}),
    () => write(alice, { type: 'record-delete', collection: post, rkey }),
    recordAnswer,
  ],
  [
    'a removed label',
    add('label', carol, uri, '', 'spam', 'false', at, null),
    () => reads.network.cluster.append({ kind: 'label-removal', did: alice, id: subject }),
    () => reads.ask('GetLabels', { subjects: [uri], issuers: [carol] }),
  ],
  [
    'a suggestion that is gone',
    add('suggested_feed', `at://${alice}/${feed}/a`, '5', '', ''),
    () => {
      const gone = { tag: '', subject: `at://${alice}/${feed}/a`, subjectType: '', order: 'gone' } as const;
      write(suggestionsKey, { type: 'suggestions', list: 'feeds', changes: [gone] });
    },
    () => reads.ask('GetSuggestedFeeds', {}),
  ],
];

describe('an import that is run again', () => {
  it.each(cases)('leaves %s as it is', async (_what, fill, later, answer) => {
    fill();
    await runUnfinished();
    const imported = await answer();
    later();
    reads.network.settle();
    const changed = await answer();
    // The priority alone has no answer of its own here.
    if (_what !== 'a priority given up') expect(changed).not.toEqual(imported);
    await run();
    expect(await answer()).toEqual(changed);
  });

  it('drops what its slots noted once it has ended', async () => {
    tables.actor(alice, 'alice.test');
    await runUnfinished();
    write(alice, { type: 'unmute', subject: bob });
    reads.network.settle();
    const notes = (): number[] => {
      const range = { start: removedPrefix(), end: prefixEnd(removedPrefix()) };
      return reads.network.cluster.slots.map(({ state }) => [...state.rows.scanKeys(range)].length);
    };
    expect(notes().sort()).toEqual([0, 1]);
    await run();
    expect(notes()).toEqual([0, 0]);
    expect(reads.network.cluster.slots.map(({ state }) => isImporting(state))).toEqual([false, false]);
  });
});

describe('a repo that is past the database', () => {
  const other = `at://${alice}/${post}/3k2aaaaaaaaab`;
  const newer = recordOp({ collection: post, rkey }, { $type: post, text: 'newer', createdAt: at });
  const head = { did: alice, eventMs: Date.parse('2025-03-02T00:00:00.000Z'), rev: '3ljaaaaaaaaaa' } as const;
  const fill = (): void => {
    tables.actor(alice, 'alice.test');
    tables.record(alice, post, rkey, { text: 'older', createdAt: at }, { ref: 'T', tags: '["a"]' });
    tables.record(alice, post, '3k2aaaaaaaaab', { text: 'x', createdAt: at }, { ref: 'U' });
    tables.record(alice, post, '3k2aaaaaaaaac', { text: 'y', createdAt: at });
  };
  const found = async () =>
    (await reads.ask('GetPostRecords', { uris: [uri, other, `${other.slice(0, -1)}c`] })).records;

  it('takes takedowns and tags of records all the same, and the records from the resync', async () => {
    reads.network.cluster.append({ kind: 'commit', ...head, since: null, ops: [newer] });
    reads.network.settle();
    fill();
    await run();
    expect(await found()).toMatchObject([
      { cid: new Cid(newer.cid).text, takedownRef: 'T', tags: ['a'] },
      { takedownRef: 'U' },
      { cid: '' },
    ]);
    expect(reposToResync(reads.network.cluster.stateOf(alice), '', 10)).toEqual([alice]);
  });

  it('keeps what a snapshot under way has brought', async () => {
    reads.network.cluster.append({ kind: 'resync-begin', ...head }, { kind: 'resync-chunk', ...head, ops: [newer] });
    reads.network.settle();
    fill();
    await run();
    reads.network.cluster.append({ kind: 'resync-end', ...head });
    reads.network.settle();
    expect(await found()).toMatchObject([{ cid: new Cid(newer.cid).text, takedownRef: 'T' }, { cid: '' }, { cid: '' }]);
    expect((await reads.ask('GetLatestRev', { actorDid: alice })).rev).toBe(head.rev);
  });
});

describe('an account that was deleted', () => {
  const deleteAlice = (): void => {
    const eventMs = Date.parse('2025-03-01T00:00:00.000Z');
    reads.network.cluster.append({ kind: 'account', did: alice, active: false, status: 'deleted', eventMs });
    reads.network.settle();
  };
  const fill = (rev: string): void => {
    tables.actor(alice, 'alice.test', { 11: rev });
    tables.record(alice, post, rkey, { text: 'x', createdAt: at });
    tables.add('mute', alice, bob, 'false', 'false');
  };
  const exists = async (): Promise<unknown> => (await reads.ask('GetActors', { dids: [alice] })).actors[0]!.exists;

  it('is not revived by an older database, whether it was known before or not', async () => {
    deleteAlice();
    fill('3kzzzzzzzzzzz');
    await run();
    expect(await exists()).toBe(false);
    expect((await reads.ask('GetPostRecords', { uris: [uri] })).records[0]!.cid).toBe('');
    expect((await reads.ask('GetMutes', { actorDid: alice, limit: 10 })).mutes).toEqual([]);
    expect(reposToResync(reads.network.cluster.stateOf(alice), '', 10)).toEqual([]);
  });

  it('is fetched when the database has a later rev of its repo', async () => {
    deleteAlice();
    fill('3mzzzzzzzzzzz');
    await run();
    expect(await exists()).toBe(false);
    expect(reposToResync(reads.network.cluster.stateOf(alice), '', 10)).toEqual([alice]);
  });

  it('takes records again once its repo has returned', async () => {
    deleteAlice();
    const op = recordOp({ collection: post, rkey: '3k2aaaaaaaaab' }, { $type: post, text: 'new', createdAt: at });
    const commit = {
      kind: 'commit',
      did: alice,
      since: null,
      eventMs: Date.parse('2025-03-02T00:00:00.000Z'),
    } as const;
    reads.network.cluster.append({ ...commit, rev: '3ljaaaaaaaaaa', ops: [op] });
    reads.network.settle();
    fill('3mzzzzzzzzzzz');
    await run();
    const { records } = await reads.ask('GetPostRecords', { uris: [uri, `at://${alice}/${post}/3k2aaaaaaaaab`] });
    expect(records[0]!.cid).not.toBe('');
    expect(records[1]!.cid).toBe(new Cid(op.cid).text);
  });
});

it('brings nothing of a repo that was purged, and counts it', async () => {
  purged = [alice];
  tables.actor(alice, 'alice.test');
  tables.actor(bob, 'bob.test');
  tables.record(alice, post, rkey, { text: 'x', createdAt: at });
  tables.add('mute', alice, bob, 'false', 'false');
  tables.add('label', carol, uri, '', 'spam', 'false', at, null);
  expect(await run()).toMatchObject({ actors: 1, 'refused repo-purged': 4 });
  const { actors } = await reads.ask('GetActors', { dids: [alice, bob] });
  expect(actors.map(({ exists }) => exists)).toEqual([false, true]);
  expect((await reads.ask('GetLabels', { subjects: [uri], issuers: [carol] })).labels).toEqual([]);
});

it('brings nothing back that a privacy request erased, and counts it', async () => {
  erased.set(alice, new Set(['bookmarks', 'mutes']));
  tables.actor(alice, 'alice.test');
  tables.add('mute', alice, bob, 'false', 'false', at, at);
  tables.add('bookmark', alice, rkey, uri, 'bafkreia', at, at);
  tables.add('draft', alice, rkey, '{"id":"1"}', at, at);
  expect(await run()).toMatchObject({ 'refused erased': 2 });
  expect((await reads.ask('GetMutes', { actorDid: alice, limit: 10 })).mutes).toEqual([]);
  expect((await reads.ask('GetActorBookmarks', { actorDid: alice, limit: 10 })).bookmarks).toEqual([]);
  expect((await reads.ask('GetActorDrafts', { actorDid: alice, limit: 10 })).drafts).toHaveLength(1);
});

it('keeps the times of mutes and private data, whatever the order in which they come', async () => {
  const hour = (index: number): string => `2025-01-02T0${index}:00:00.000Z`;
  tables.actor(alice, 'alice.test');
  tables.add('mute', alice, bob, 'false', 'false', hour(1), hour(1));
  tables.add('mute', alice, carol, 'false', 'false', hour(2), hour(2));
  tables.add('draft', alice, '3k2aaaaaaaaaa', '{"id":"1"}', hour(1), hour(4));
  tables.add('draft', alice, '3k2aaaaaaaaab', '{"id":"2"}', hour(2), hour(3));
  tables.add('draft', alice, '3k2aaaaaaaaac', '{"id":"3"}', hour(5), '2099-01-01T00:00:00.000Z');
  const appendMs = reads.network.cluster.nowMs;
  await run();
  const { mutes } = await reads.ask('GetMutes', { actorDid: alice, limit: 10 });
  expect(mutes.map(({ did }) => did)).toEqual([carol, bob]);
  const { drafts } = await reads.ask('GetActorDrafts', { actorDid: alice, limit: 10 });
  expect(drafts).toMatchObject([
    { createdAt: Date.parse(hour(5)), updatedAt: appendMs },
    { createdAt: Date.parse(hour(1)), updatedAt: Date.parse(hour(4)) },
    { createdAt: Date.parse(hour(2)), updatedAt: Date.parse(hour(3)) },
  ]);
});

it('leaves out what is ahead of our clock, so that nothing later is hidden', async () => {
  tables.actor(alice, 'alice.test', { 11: '7zzzzzzzzzzzz' });
  tables.record(alice, post, rkey, { text: 'x', createdAt: at });
  tables.add('label', carol, uri, '', 'spam', 'false', '2099-01-01T00:00:00.000Z', null);
  expect(await run()).toMatchObject({ 'refused label-ahead': 1, 'refused rev-ahead': 1 });
  expect((await reads.ask('GetLabels', { subjects: [uri], issuers: [carol] })).labels).toEqual([]);
  expect((await reads.ask('GetLatestRev', { actorDid: alice })).rev).toBe('');
  expect((await reads.ask('GetPostRecords', { uris: [uri] })).records[0]!.cid).not.toBe('');
});

it('leaves out private data that bsync could not have sent', async () => {
  tables.actor(alice, 'alice.test');
  tables.add('private_data', alice, privateNamespace.preferences, 'self', 'no json');
  tables.add('private_data', alice, 'not a namespace', 'self', '{}');
  tables.add('bookmark', alice, 'not/a key', uri, 'bafkreia');
  tables.add('draft', alice, rkey, null);
  expect(await run()).toMatchObject({
    'refused payload-malformed': 1,
    'refused namespace-malformed': 1,
    'refused key-malformed': 1,
    'refused payload-too-large': 1,
  });
});
