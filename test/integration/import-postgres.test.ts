/** An import of an official plane's tables answers as the network they were made of does. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { Entry } from '../../src/entry/entry.ts';
import type { LogAppender } from '../../src/log/log-appender.ts';
import type { ImportProgress } from '../../src/migrate/import-progress.ts';
import { PostgresImport } from '../../src/migrate/postgres-import.ts';
import { type Cell, ImportTables } from '../support/import-tables.ts';
import { recordOp } from '../support/record-op.ts';
import { RoutedNetwork } from '../support/routed-network.ts';
import type { OwnedEntry } from '../support/slot-cluster.ts';
import { didOf, ReadsNetwork } from './reads-network.ts';

const [alice, bob, carol] = [didOf('alice'), didOf('bob'), didOf('carol')];
const at = '2025-01-02T03:04:05.678Z';
describe.each([{ slots: 1 }, { slots: 8 }])('an import into $slots slots', ({ slots }) => {
  let reads: RoutedNetwork;
  let tables: ImportTables;
  let folder: string;
  let progress: ImportProgress[];
  let purged: string[];
  beforeEach(() => {
    reads = new RoutedNetwork(new ReadsNetwork({ slots }));
    tables = new ImportTables();
    folder = mkdtempSync(join(tmpdir(), 'skyshard-import-'));
    progress = [];
    purged = [];
  });
  afterEach(async () => {
    rmSync(folder, { recursive: true });
    await reads[Symbol.asyncDispose]();
  });

  async function run(): Promise<Readonly<Record<string, number>>> {
    const appender: LogAppender = {
      append: async (_key: string, entry: Entry) => {
        reads.network.cluster.append(entry as OwnedEntry);
      },
      hasCapacity: true,
      waitForCapacity: async () => {},
      pendingBytes: 0,
    };
    const job = new PostgresImport({
      source: tables,
      appender,
      clock: systemClock,
      statePath: join(folder, 'state.json'),
      slots,
      parallel: 3,
      refusedRepos: new Set(purged),
      erasures: new Map(),
      onProgress: (each) => progress.push(each),
    });
    try {
      await job.run();
    } finally {
      reads.network.settle();
    }
    return job.counts;
  }

  function fill(): { post: { uri: string; cid: string }; hidden: { uri: string; cid: string } } {
    tables.actor(alice, 'Alice.test', { 6: 'assured', 8: 'safe' });
    tables.actor(bob, 'bob.test', { 3: 'TAKEN', 4: 'suspended', 12: at, 13: 'true' });
    tables.actor(carol, null);
    tables.record(alice, 'app.bsky.actor.profile', 'self', { displayName: 'A', createdAt: at });
    const post = tables.record(alice, 'app.bsky.feed.post', '3k2aaaaaaaaaa', { text: 'x', createdAt: at });
    const hidden = tables.record(
      alice,
      'app.bsky.feed.post',
      '3k2aaaaaaaaab',
      { text: 'y', createdAt: at },
      { ref: 'T', tags: '["hide", "rank:1"]' },
    );
    tables.record(bob, 'app.bsky.feed.like', '3k2aaaaaaaaac', { subject: post, createdAt: at });
    tables.record(bob, 'app.bsky.graph.follow', '3k2aaaaaaaaad', { subject: alice, createdAt: at });
    tables.add('mute', alice, bob, 'true', 'false');
    tables.add('bookmark', alice, '3k2aaaaaaaaae', post.uri, post.cid);
    tables.add('label', carol, post.uri, '', 'spam', 'false', at, null);
    tables.add('suggested_feed', `at://${alice}/app.bsky.feed.generator/a`, '5', '', '');
    tables.add('tagged_suggestion', bob, null, 'art', 'actor');
    return { post, hidden };
  }

  it('brings records, actors, edges, counts, tags, takedowns, private data and suggestions', async () => {
    const { post, hidden } = fill();
    const counts = await run();
    expect(counts).toMatchObject({ actors: 3, records: 5, mute: 1, bookmark: 1, label: 1, suggested_feed: 1 });
    expect(Object.keys(counts).filter((name) => name.startsWith('refused'))).toEqual([]);
    const { records } = await reads.ask('GetPostRecords', { uris: [post.uri, hidden.uri] });
    expect(records).toMatchObject([
      { cid: post.cid, indexedAt: Date.parse(at), takenDown: false, tags: [] },
      { cid: hidden.cid, takenDown: true, takedownRef: 'T', tags: ['hide', 'rank:1'] },
    ]);
    const { actors } = await reads.ask('GetActors', {
      dids: [alice, bob, carol],
      returnAgeAssuranceForDids: [alice],
    });
    expect(actors).toMatchObject([
      { exists: true, handle: 'alice.test', ageAssuranceStatus: { status: 'assured', access: 'safe' } },
      { exists: true, handle: 'bob.test', takedownRef: 'TAKEN', upstreamStatus: 'suspended' },
      { exists: true, handle: '' },
    ]);
    expect(JSON.parse(Buffer.from(actors[0]!.profile!.record).toString())).toMatchObject({ displayName: 'A' });
    expect(await reads.ask('GetLatestRev', { actorDid: alice })).toEqual({ rev: '3kzzzzzzzzzzz' });
    expect((await reads.ask('GetLatestRev', { actorDid: carol })).rev).toBe('3kzzzzzzzzzzz');
    expect((await reads.ask('GetLikesBySubject', { subject: post, limit: 10 })).uris).toHaveLength(1);
    expect((await reads.ask('GetCountsForUsers', { dids: [alice] })).followers).toEqual([1]);
    expect((await reads.ask('GetNotificationSeen', { actorDid: bob })).timestamp).toBe(Date.parse(at));
    expect((await reads.ask('GetMutes', { actorDid: alice, limit: 10 })).mutes).toMatchObject([
      { did: bob, onlyReposts: true },
    ]);
    expect((await reads.ask('GetActorBookmarks', { actorDid: alice, limit: 10 })).bookmarks).toHaveLength(1);
    expect((await reads.ask('GetLabels', { subjects: [post.uri], issuers: [carol] })).labels).toHaveLength(1);
    expect((await reads.ask('GetSuggestedFeeds', {})).uris).toHaveLength(1);
    expect((await reads.ask('GetSuggestedEntities', {})).entities).toMatchObject([{ tag: 'art', subject: bob }]);
    expect(progress.at(-1)).toMatchObject({ rangesDone: progress[0]!.ranges, records: 5, actors: 3 });
  });

  it('drops what cannot be kept, with a reason, and goes on', async () => {
    fill();
    const good = tables.byName.get('record')![1]!;
    const bad = (change: Record<number, Cell>): void => {
      const row = [...good];
      for (const [column, cell] of Object.entries(change)) row[Number(column)] = cell;
      tables.add('record', ...row);
    };
    bad({ 3: '{"text": 1.5}' });
    bad({ 3: 'no json' });
    bad({ 3: `{"a":${'['.repeat(100)}${']'.repeat(100)}}` });
    bad({ 2: 'bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm' });
    bad({ 1: 'at://nobody/a/b' });
    tables.record(alice, 'app.bsky.feed.nothing', 'self', { a: 1 });
    tables.record(alice, 'app.bsky.feed.post', '3k2aaaaaaaaaz', { text: 5, createdAt: at });
    tables.actor('not a did', 'x.test');
    tables.add('list_mute', alice, 'no uri');
    expect(await run()).toMatchObject({
      'refused number-not-whole': 1,
      'refused json-malformed': 1,
      'refused json-too-deep': 1,
      'refused cid-differs': 1,
      'refused uri-bad': 2,
      'refused collection-not-indexed': 1,
      'refused lexicon-kind-wrong': 1,
      'refused did-bad': 1,
    });
    expect((await reads.ask('GetCountsForUsers', { dids: [alice] })).posts).toEqual([2]);
  });

  it('goes on where it ended, and what comes twice changes nothing', async () => {
    const { post } = fill();
    tables.broken = 'mute';
    await expect(run()).rejects.toMatchObject({ code: 'Unavailable' });
    tables.broken = '';
    await run();
    expect((await reads.ask('GetLikesBySubject', { subject: post, limit: 10 })).uris).toHaveLength(1);
    expect((await reads.ask('GetCountsForUsers', { dids: [alice] })).posts).toEqual([2]);
    tables.reads.length = 0;
    const counts = await run();
    expect([tables.reads, counts['records']]).toEqual([[], 5]);
  });

  it('leaves a repo that live commits have moved on, and has it fetched', async () => {
    fill();
    const rkey = '3k2aaaaaaaaaa';
    const collection = 'app.bsky.feed.post';
    const op = recordOp({ collection, rkey }, { $type: collection, text: 'newer', createdAt: at });
    const live = { kind: 'commit', did: alice, rev: '3lzzzzzzzzzzz', since: null, eventMs: Date.parse(at) } as const;
    reads.network.cluster.append({ ...live, ops: [op] });
    await run();
    const { records } = await reads.ask('GetPostRecords', { uris: [`at://${alice}/${collection}/${rkey}`] });
    expect(JSON.parse(Buffer.from(records[0]!.record).toString())).toMatchObject({ text: 'newer' });
    expect((await reads.ask('GetLatestRev', { actorDid: alice })).rev).toBe('3lzzzzzzzzzzz');
    const { reposToResync } = await import('../../src/slot/apply/repo-apply.ts');
    expect(reposToResync(reads.network.cluster.stateOf(alice), '', 10)).toEqual([alice]);
  });
});
