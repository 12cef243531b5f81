/** Events of a source reach the log once and in order; the cursor never passes unfinished ones. */
import { WriteOpAction } from '@atproto/repo';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { DataPlaneError } from '../../src/base/data-plane-error.ts';
import { authorHarness, publishLike } from '../support/author-harness.ts';
import { encodeDagCbor } from '../support/dag-cbor.ts';
import { IngestHarness } from '../support/ingest-harness.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { ScriptedNetwork } from '../support/scripted-network.ts';
import { until } from '../support/until.ts';
import {
  authorDid,
  commitFrame,
  create,
  frameOf,
  likeRecord,
  otherDid,
  postRecord,
  type SignedRepo,
} from '../unit/atproto/signed-repo.ts';

let harness: IngestHarness;
let repo: SignedRepo;
beforeEach(async () => {
  [harness, repo] = await authorHarness();
});
afterEach(() => harness.close());

const time = '2024-05-06T07:08:10.000Z';

const revsInLog = (): string[] => harness.log.of('commit').map(({ rev }) => rev);

describe('following a source', () => {
  it('turns commit, sync, account and identity events into ordered entries with their own time', async () => {
    await harness.start();
    const body = await repo.commit(
      1,
      create('app.bsky.feed.post', '3kbd6l2y3gk2z', postRecord()),
      create('app.bsky.feed.like', '3kbd6l2y3gk2a', likeRecord()),
    );
    harness.network.publish(1, commitFrame(body));
    const removal = await repo.commit(2, {
      action: WriteOpAction.Delete,
      collection: 'app.bsky.feed.like',
      rkey: '3kbd6l2y3gk2a',
    });
    harness.network.publish(2, commitFrame(removal));
    harness.network.publish(
      3,
      frameOf({ op: 1, t: '#account' }, { seq: 3, did: authorDid, time, active: false, status: 'deactivated' }),
    );
    harness.network.publish(
      4,
      frameOf({ op: 1, t: '#identity' }, { seq: 4, did: authorDid, time, handle: 'author.test' }),
    );
    expect((await harness.settle()).status).toBe(200);
    const commits = harness.log.of('commit', authorDid);
    expect(
      commits.map(({ ops }) => ops.map(({ action, collection, rkey }) => `${action} ${collection} ${rkey}`)),
    ).toEqual([
      ['create app.bsky.feed.post 3kbd6l2y3gk2z', 'create app.bsky.feed.like 3kbd6l2y3gk2a'],
      ['delete app.bsky.feed.like 3kbd6l2y3gk2a'],
    ]);
    expect(commits[1]).toMatchObject({ since: commits[0]!.rev, eventMs: Date.parse(time) });
    expect(harness.log.of('account')).toEqual([
      { kind: 'account', did: authorDid, active: false, status: 'deactivated', eventMs: Date.parse(time) },
    ]);
    const identities = harness.log.of('identity', authorDid);
    expect(identities.at(-1)).toMatchObject({ handle: 'author.test' });
    expect(JSON.parse(identities.at(-1)!.servicesJson)).toEqual({
      atproto_pds: { Type: 'AtprotoPersonalDataServer', URL: harness.network.url },
    });
  });

  it('clamps the time of an event that is a little ahead to now', async () => {
    const nowMs = systemClock.nowMs();
    await harness.start({ clock: { ...systemClock, nowMs: () => nowMs } });
    const body = await repo.commit(1, create('app.bsky.feed.like', '3kbd6l2y3gk2a', likeRecord()));
    harness.network.publish(1, commitFrame({ ...body, time: new Date(nowMs + 60_000).toISOString() }));
    await harness.settle();
    expect(harness.log.of('commit')).toMatchObject([{ eventMs: nowMs }]);
  });

  it('drops records that break their lexicon; commits without indexed collections advance the rev', async () => {
    await harness.start();
    const broken = { $type: 'app.bsky.feed.post', text: 'x'.repeat(5000), createdAt: time };
    const body = await repo.commit(
      1,
      create('app.bsky.feed.post', '3kbd6l2y3gk2z', broken),
      create('com.example.thing', 'a', { $type: 'com.example.thing' }),
    );
    harness.network.publish(1, commitFrame(body));
    await harness.settle();
    expect(harness.log.of('commit')).toMatchObject([{ rev: repo.rev, ops: [] }]);
    const { body: metrics } = await harness.get('/metrics');
    expect(metrics['text']).toMatch(
      /skyshard_records_dropped_total\{collection="app.bsky.feed.post",reason="lexicon-[a-z-]+"\} 1/,
    );
    expect(metrics['text']).toMatch(/skyshard_records_unindexed_total 1/);
  });

  it('makes an actor known by a commit that leaves something out, and by a status of no meaning', async () => {
    await harness.start();
    const body = await repo.commit(1, create('app.bsky.feed.like', '3kbd6l2y3gk2a', likeRecord()));
    harness.network.publish(1, commitFrame({ ...body, ops: [], tooBig: true }));
    const account = { seq: 2, did: otherDid, time, active: false, status: 'throttled' };
    harness.network.publish(2, frameOf({ op: 1, t: '#account' }, account));
    await until(() => harness.log.of('sync').length > 0 && harness.log.of('account').length > 0);
    const unread = 'did:plc:dddddddddddddddddddddddd';
    harness.network.register(unread, 'unread.test');
    const unreadable = await repo.commit(3, create('app.bsky.feed.like', '3kbd6l2y3gk2b', likeRecord()));
    harness.network.publish(3, commitFrame({ ...unreadable, rev: 'none', repo: unread }));
    await until(() => harness.log.of('identity', unread).length > 0);
    expect(harness.log.of('sync')[0]).toMatchObject({ did: authorDid, rev: body['rev'] });
    expect(harness.log.of('account')).toMatchObject([{ did: otherDid, active: false, status: '' }]);
  });

  it('continues after unreadable frames, counts them by reason, and the cursor passes them', async () => {
    await harness.start();
    await until(() => harness.network.openCount === 1);
    await publishLike(harness, repo, 1);
    const whole = commitFrame(await repo.commit(2, create('app.bsky.feed.like', '3kbd6l2y3gk2b', likeRecord())));
    harness.network.publish(2, whole.subarray(0, whole.length - 40));
    harness.network.send(Buffer.from('not cbor at all'));
    harness.network.send('text is not binary');
    harness.network.send(Buffer.alloc(40_000, 0x81));
    harness.network.publish(3, frameOf({ op: 1, t: '#novelty' }, { seq: 3, did: authorDid }));
    harness.network.publish(4, Buffer.concat([encodeDagCbor({ op: 1, t: '#commit' }), Buffer.alloc(6_000_000, 1)]));
    await publishLike(harness, repo, 5);
    await harness.settle();
    await until(() => harness.status.durableSeq === 5);
    expect(harness.log.of('commit')).toHaveLength(2);
    const { dropped, connected } = harness.status;
    expect(connected).toBe(true);
    expect(dropped).toMatchObject({ 'not-binary': 1, 'kind-unknown': 1, 'frame-too-large': 1 });
    expect(Object.values(dropped).reduce((sum, count) => sum + count, 0)).toBe(6);
    expect(harness.network.connections).toHaveLength(1);
  });

  it('skips a frame that is too large for the socket, and loses nothing after it', async () => {
    await harness.start();
    await publishLike(harness, repo, 1);
    harness.network.publish(2, Buffer.alloc(17_000_000, 1));
    await publishLike(harness, repo, 3);
    await harness.settle();
    expect(harness.log.of('commit')).toHaveLength(2);
    expect(harness.status.dropped).toMatchObject({ 'frame-too-large': 1 });
    expect(harness.network.connections.map(({ cursor }) => cursor)).toEqual([0, 2]);
  });

  it('pauses the socket while the log has no room and loses nothing', async () => {
    await harness.start();
    await publishLike(harness, repo, 1);
    await harness.settle();
    harness.log.pendingBytes = 100_000_000;
    await publishLike(harness, repo, 2);
    await until(() => harness.log.capacityWaits > 0);
    const taken = harness.log.entries.length;
    for (let seq = 3; seq <= 20; seq++) await publishLike(harness, repo, seq);
    expect(harness.log.entries.length).toBe(taken);
    harness.log.addCapacity();
    await harness.settle();
    expect(harness.log.of('commit')).toHaveLength(20);
  });
});

describe('the cursor', () => {
  it('is stored only after everything up to it is acknowledged', async () => {
    harness.log.isHeld = true;
    await harness.start();
    for (let seq = 1; seq <= 5; seq++) await publishLike(harness, repo, seq);
    await until(() => harness.log.of('commit').length === 5);
    // All but the first: the cursor must stay before it.
    const others = harness.log.waitingCount - 1;
    for (let index = 0; index < others; index++) harness.log.acknowledge(1);
    expect(harness.status).toMatchObject({ receivedSeq: 5, doneSeq: 0 });
    await harness.stop();

    harness.log = new MemoryLog();
    await harness.start();
    await harness.settle();
    expect(harness.log.of('commit')).toHaveLength(5);
    await until(() => harness.status.durableSeq === 5);
    await harness.stop();

    harness.log = new MemoryLog();
    await harness.start();
    await until(() => harness.network.connections.length === 3);
    await publishLike(harness, repo, 6);
    await harness.settle();
    expect(harness.network.connections.map(({ cursor }) => cursor)).toEqual([0, 0, 5]);
    expect(harness.log.of('commit')).toHaveLength(1);
  });

  it('stays before an event whose append failed', async () => {
    harness.log.isHeld = true;
    await harness.start();
    await publishLike(harness, repo, 1);
    await until(() => harness.log.waitingCount > 0);
    harness.log.fail();
    harness.log.isHeld = false;
    await publishLike(harness, repo, 2);
    await until(() => harness.status.receivedSeq === 2);
    expect(harness.status.doneSeq).toBe(0);
    expect(harness.status.dropped).toMatchObject({ 'append-failed': 1 });
  });

  it('waits for an event that is retried after storage was full', async () => {
    harness.log.isHeld = true;
    await harness.start();
    await publishLike(harness, repo, 1);
    await until(() => harness.log.waitingCount > 0);
    harness.log.isHeld = false;
    harness.log.fail(new DataPlaneError('StorageFull', 'no room'));
    await until(() => harness.status.doneSeq === 1);
    expect(harness.status.notices).toMatchObject({ 'state-full': 1 });
    expect(harness.status.dropped).toEqual({});
  });

  it('makes a cut connection resume from the last received event, without a duplicate', async () => {
    await harness.start();
    for (let seq = 1; seq <= 3; seq++) await publishLike(harness, repo, seq);
    await harness.settle();
    harness.network.cut();
    for (let seq = 4; seq <= 6; seq++) await publishLike(harness, repo, seq);
    await harness.settle();
    expect(new Set(revsInLog()).size).toBe(6);
    expect(revsInLog()).toHaveLength(6);
    expect(harness.network.connections.map(({ cursor }) => cursor)).toEqual([0, 3]);
  });

  it('does not move for an event whose seq does not ascend, which is still counted', async () => {
    await harness.start();
    await publishLike(harness, repo, 7);
    await publishLike(harness, repo, 3);
    await publishLike(harness, repo, 8);
    await until(() => harness.log.of('commit').length === 3);
    await harness.settle();
    expect(harness.status).toMatchObject({ receivedSeq: 8, doneSeq: 8, dropped: { 'seq-not-ascending': 1 } });
  });
});

describe('a source that is not up yet', () => {
  it('is retried fast until it comes up', async () => {
    const port = harness.network.port;
    const url = harness.network.url;
    await harness.network.close();
    await harness.start({ sources: [{ url, startSeq: 0 }] });
    await until(() => harness.status.attempts >= 3);
    expect(harness.status.connected).toBe(false);
    const late = await ScriptedNetwork.start(port);
    try {
      await until(() => harness.status.connected, 5000);
      late.publish(1, frameOf({ op: 1, t: '#account' }, { seq: 1, did: otherDid, time, active: true }));
      await until(() => harness.log.of('account').length === 1);
    } finally {
      await harness.stop();
      await late.close();
      harness = await IngestHarness.create();
    }
  });
});

describe('the HTTP endpoints', () => {
  it('answer health, status and unknown paths', async () => {
    await harness.start();
    expect((await harness.get('/healthz')).status).toBe(200);
    expect((await harness.get('/readyz')).status).toBe(200);
    expect(await harness.get('/nothing')).toMatchObject({ status: 404, body: { error: 'NotFound' } });
    await publishLike(harness, repo, 1);
    await harness.settle();
    const { body } = await harness.get('/v1/status');
    expect(body['sources']).toMatchObject([
      { name: harness.network.url, receivedSeq: 1, doneSeq: 1, events: { commit: 1 } },
    ]);
  });

  it('settle fails at its deadline and names what is unfinished', async () => {
    harness.log.isHeld = true;
    await harness.start();
    await publishLike(harness, repo, 1);
    await until(() => harness.status.receivedSeq === 1);
    const answer = await harness.post('/v1/settle', { timeoutMs: 50 });
    expect(answer).toMatchObject({ status: 504, body: { error: 'DeadlineExceeded' } });
    expect(answer.body['message']).toContain('received 1, done 0, 1 pending');
    harness.log.acknowledgeAll();
    expect((await harness.post('/v1/settle', {})).status).toBe(200);
  });

  it('do not start beyond loopback without a token, nor with a source that is no URL', async () => {
    await expect(harness.start({ host: '0.0.0.0' })).rejects.toMatchObject({ code: 'ConfigInvalid' });
    const sources = [{ url: 'gopher://relay.test', startSeq: null }];
    await expect(harness.start({ sources })).rejects.toMatchObject({ code: 'ConfigInvalid' });
  });

  it('refuse web pages on the same machine', async () => {
    await harness.start();
    const foreign = { origin: 'https://example.com' };
    const form = { 'content-type': 'text/plain' };
    const body = { did: authorDid };
    expect(await harness.post('/v1/backfill', body, foreign)).toMatchObject({ status: 403 });
    expect(await harness.post('/v1/backfill', body, form)).toMatchObject({ status: 400 });
    const image = { 'sec-fetch-site': 'cross-site' };
    expect(await harness.get(`/v1/identity?did=${authorDid}`, image)).toMatchObject({ status: 403 });
    expect(await harness.get(`/v1/backfill?did=${authorDid}`)).toMatchObject({ status: 404 });
  });

  it('refuse unknown fields, bad values and a missing token', async () => {
    await harness.start({ adminToken: 'secret', viewToken: 'only to look' });
    expect(await harness.post('/v1/settle', {})).toMatchObject({ status: 401, body: { error: 'Unauthenticated' } });
    const token = { authorization: 'Bearer secret' };
    expect((await harness.post('/v1/settle', {}, token)).status).toBe(200);
    for (const path of ['/v1/status', '/metrics', '/v1/identity?did=did:plc:aaaaaaaaaaaaaaaaaaaaaaaa']) {
      expect((await harness.get(path)).status, path).toBe(401);
    }
    expect((await harness.get('/v1/status', token)).status).toBe(200);
    const view = { authorization: 'Bearer only to look' };
    expect((await harness.get('/metrics', view)).status).toBe(200);
    expect((await harness.get('/v1/status', view)).status).toBe(401);
    expect((await harness.get('/readyz')).status).toBe(200);
    for (const [path, body] of [
      ['/v1/settle', { until: 3 }],
      ['/v1/settle', { cursors: { nowhere: 3 } }],
      ['/v1/settle', { timeoutMs: -1 }],
      ['/v1/backfill', { did: 'nobody' }],
      ['/v1/backfill', { host: 'ftp://x' }],
      ['/v1/resync', { repos: [{ did: 5 }] }],
      ['/v1/resync', [1]],
    ] as const) {
      expect(await harness.post(path, body, token), path).toMatchObject({
        status: 400,
        body: { error: 'InvalidArgument' },
      });
    }
  });
});
