/** What an operator asks about one account, over a node, a directory and a PDS. */
import { WriteOpAction } from '@atproto/repo';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock as clock } from '../../src/base/clock.ts';
import { encodeEntry } from '../../src/entry/entry-codec.ts';
import type { WhyAnswer } from '../../src/ingest/why.ts';
import type { WhyFacts } from '../../src/ingest/why-findings.ts';
import { RemoteLog } from '../../src/log/remote-log.ts';
import { slotOf } from '../../src/shardmap/slot-of.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import { storedAccountAnswer, storedAccountRequest } from '../../src/wire/stored-repo.ts';
import { authorHarness, publishLike } from '../support/author-harness.ts';
import type { Answered, IngestHarness } from '../support/ingest-harness.ts';
import { type LoneNode, startLoneNode } from '../support/lone-node.ts';
import { json } from '../support/scripted-network.ts';
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

const slots = 4;
const like = 'app.bsky.feed.like';

let node: LoneNode;
let log: RemoteLog;
let harness: IngestHarness;
let repo: SignedRepo;
let seq: number;

beforeEach(async () => {
  seq = 0;
  node = await startLoneNode({ slots, applyThreads: 1 });
  log = new RemoteLog({ caller: node.client, map: () => node.map, clock, lingerMs: 1 });
  [harness, repo] = await authorHarness([create(like, 'first', likeRecord())]);
  const { network } = harness;
  network.serveRepos(async () => ({ body: await repo.car() }));
  network.responders.set('/xrpc/com.atproto.sync.getRecord', async () => ({ body: await repo.car() }));
  network.responders.set('/xrpc/com.atproto.sync.getLatestCommit', () => json({ cid: repo.commitCid, rev: repo.rev }));
  await harness.start({ appender: log, cluster: { caller: node.client, map: () => node.map } });
  await until(() => network.openCount === 1);
});

afterEach(async () => {
  await harness.close();
  await log[Symbol.asyncDispose]();
  await node[Symbol.asyncDispose]();
});

async function stored(rkey = 'first') {
  const payload = storedAccountRequest.encode({ did: authorDid, record: { collection: like, rkey } });
  const call = { node: 'n0', method: nodeCalls.storedAccount, payload, timeoutMs: 10_000 };
  return storedAccountAnswer.decode(await node.client.call(call));
}

const isApplied = async (): Promise<boolean> => (await stored()).repo?.rev === repo.rev;

/** Publishes a like, and waits until it and the identity are applied. */
async function follow(): Promise<void> {
  await publishLike(harness, repo, ++seq);
  await until(async () => (await isApplied()) && (await stored()).actor?.handle === 'author.test');
}

async function resync(): Promise<void> {
  await harness.post('/v1/backfill', { did: authorDid });
  await until(async () => {
    const { body } = await harness.get(`/v1/backfill?did=${authorDid}`);
    return body['state'] === 'done' && (await isApplied());
  });
}

async function why(about: string): Promise<WhyAnswer> {
  const answer = await harness.get(`/v1/why?about=${encodeURIComponent(about)}`);
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  return answer.body as unknown as WhyAnswer;
}

const codes = async (about = authorDid): Promise<string[]> => (await why(about)).findings.map(({ code }) => code);
const uriOf = (rkey: string, collection = like): string => `at://${authorDid}/${collection}/${rkey}`;
const diff = (): Promise<Answered> => harness.get(`/v1/repo/diff?did=${authorDid}`);

async function takeDown(ref: string | null): Promise<void> {
  const payload = encodeEntry({ kind: 'private', did: authorDid, write: { type: 'actor-takedown', ref } });
  await node.client.call({ node: 'n0', method: nodeCalls.write, payload, timeoutMs: 10_000 });
}

describe('why', () => {
  it('finds nothing where all is as at the host, by DID, handle and record', async () => {
    await follow();
    await resync();
    expect(await codes()).toEqual([]);
    expect(await codes('author.test')).toEqual([]);
    expect(await codes(uriOf('first'))).toEqual([]);
    expect(await codes('at://author.test/app.bsky.feed.like/first')).toEqual([]);
  });

  it('asks the slots in which a record shows, too', async () => {
    await follow();
    await resync();
    const { others } = (await why(uriOf('first'))).facts as Pick<WhyFacts, 'others'>;
    expect(others).toMatchObject([{ of: otherDid, account: { slot: slotOf(otherDid, slots), condition: 'complete' } }]);
    expect(slotOf(otherDid, slots)).not.toBe(slotOf(authorDid, slots));
  });

  it('says of an account that nothing was read of it, and what brings it', async () => {
    const { findings } = await why(authorDid);
    expect(findings).toContainEqual({
      code: 'unknown',
      text: 'nothing of it was ever read',
      next: `skyshard repo resync ${authorDid}`,
    });
  });

  it('says that a commit was not read yet, and that a source is paused', async () => {
    await follow();
    await harness.post('/v1/source/pause', { source: harness.network.url });
    await publishLike(harness, repo, ++seq);
    const found = (await why(authorDid)).findings.find(({ code }) => code === 'not-read');
    expect(found?.text).toContain(repo.rev);
    expect(found?.text).toContain('is paused');
    await harness.post('/v1/source/resume', { source: harness.network.url });
    await until(isApplied);
    expect(await codes()).not.toContain('not-read');
  });

  it('says why a record was dropped, by its path, also when only its host has it', async () => {
    await follow();
    const bad = { ...postRecord(), text: 'x'.repeat(100_000) };
    const body = await repo.commit(++seq, create('app.bsky.feed.post', 'bad', bad as never));
    harness.network.publish(seq, commitFrame(body));
    await until(isApplied);
    const { findings } = await why(uriOf('bad', 'app.bsky.feed.post'));
    expect(findings.map(({ code }) => code)).toEqual(['record-refused', 'dropped']);
    expect(findings[0]!.text).toContain('lexicon-');
    expect(await codes(uriOf('other'))).toEqual(['record-absent']);
  });

  it('says that a record differs from that of its host, or is only here', async () => {
    await follow();
    await repo.commit(++seq, create(like, 'gone', likeRecord('2024-05-06T07:08:10.123Z')));
    await resync();
    await repo.commit(++seq, { action: WriteOpAction.Delete, collection: like, rkey: 'gone' });
    expect(await codes(uriOf('gone'))).toEqual(['not-read', 'record-extra']);
    await repo.commit(++seq, create(like, 'second', likeRecord()));
    expect(await codes(uriOf('second'))).toEqual(['not-read', 'record-differs']);
    await resync();
    expect(await codes(uriOf('gone'))).toEqual(['record-absent']);
    expect(await codes(uriOf('second'))).toEqual([]);
  });

  it('names takedowns, statuses, purges, blocked hosts, each with what ends it', async () => {
    await follow();
    await takeDown('because');
    expect((await why(authorDid)).findings).toEqual([
      {
        code: 'account-taken-down',
        text: 'it is taken down (because)',
        next: `skyshard repo takedown ${authorDid} --undo`,
      },
    ]);
    await takeDown(null);
    const time = new Date(clock.nowMs()).toISOString();
    const account = { seq: ++seq, did: authorDid, time, active: false, status: 'deactivated' };
    harness.network.publish(seq, frameOf({ op: 1, t: '#account' }, account));
    await until(async () => (await stored()).actor?.upstreamStatus === 'deactivated');
    expect(await codes()).toEqual(['inactive']);
    await harness.post('/v1/host/block', { host: harness.network.url });
    expect(await codes()).toContain('host-blocked');
    await harness.post('/v1/host/unblock', { host: harness.network.url });
    await harness.post('/v1/repo/purge', { did: authorDid });
    expect(await codes()).toContain('purged');
  });

  it('names the labels in force that hide, and no others', async () => {
    await follow();
    const subject = { did: authorDid, record: null };
    const label = { subject, src: otherDid, cid: '', neg: false, cts: '2024-01-01T00:00:00.000Z', exp: null };
    const labels = [
      { ...label, val: '!hide' },
      { ...label, val: 'spam' },
      { ...label, val: '!takedown', neg: true },
      { ...label, val: '!suspend', exp: '2024-01-02T00:00:00.000Z' },
    ];
    for (const each of labels) await log.append(authorDid, { kind: 'label', did: authorDid, label: each });
    await until(async () => (await stored()).hidingLabels.length > 0);
    const text = `${otherDid} labels the account !hide`;
    await until(async () => (await why(authorDid)).findings.length === 1);
    expect((await why(authorDid)).findings).toEqual([{ code: 'labelled', text, next: '' }]);
  });

  it('sees a changed key and host, a handle that another DID holds; a refresh mends them', async () => {
    await follow();
    const { network } = harness;
    network.documents.set(otherDid, { ...(network.documents.get(authorDid) as object), id: otherDid });
    network.didByHandle.set('author.test', otherDid);
    await harness.post('/v1/identity/refresh', { did: otherDid });
    network.register(authorDid, 'author.test', 'zQ3shunBKsXixLxKtC5qeSG9E4J5RkGN57im31pcTzbNQnm5w');
    await until(async () => (await stored()).actor?.handle === null);
    expect(await codes()).toEqual(['key-changed', 'handle-held']);
    const refreshed = await harness.post('/v1/identity/refresh', { did: authorDid });
    expect(refreshed.body).toMatchObject({ isDone: true, hasHandle: true, pds: network.url });
    await until(async () => (await stored()).actor?.handle === 'author.test');
    expect(await codes()).toEqual([]);
  });

  it('refuses what names nothing', async () => {
    for (const about of ['', 'x', 'did:', 'at://', `at://${authorDid}/not a path`, 'a b.test']) {
      expect((await harness.get(`/v1/why?about=${encodeURIComponent(about)}`)).status, about).toBe(400);
    }
    expect((await harness.get('/v1/why?about=nobody.test')).status).toBe(404);
  });
});

describe('the comparison of a repo with its host', () => {
  it('counts what is the same, missing, extra, other and never taken', async () => {
    await follow();
    await resync();
    expect((await diff()).body).toMatchObject({ same: 2, differences: { missing: 0, extra: 0, other: 0 }, shown: [] });
    await repo.commit(
      ++seq,
      { action: WriteOpAction.Delete, collection: like, rkey: 'first' },
      create(like, 'second', likeRecord()),
      create('app.bsky.feed.post', 'bad', { $type: 'app.bsky.feed.post' } as never),
      create('com.example.thing' as never, 'a', { $type: 'com.example.thing' } as never),
    );
    expect((await diff()).body).toMatchObject({
      rev: repo.rev,
      pds: harness.network.url,
      same: 1,
      differences: { missing: 1, extra: 1, other: 0 },
      unindexed: 1,
      shown: [
        { path: `${like}/first`, kind: 'extra', pdsCid: null },
        { path: `${like}/second`, kind: 'missing', storedCid: null },
      ],
    });
    await resync();
    expect((await diff()).body).toMatchObject({ same: 2, differences: { missing: 0, extra: 0, other: 0 } });
  });

  it('fails with the reason when the repo cannot be had', async () => {
    harness.network.serveRepos(() => json({ error: 'RepoDeactivated' }, 400));
    const { status, body } = await diff();
    expect([status, body['message']]).toEqual([503, expect.stringContaining('RepoDeactivated')]);
  });
});

describe('a paused source', () => {
  it('stays paused after a restart, and goes on where it was', async () => {
    await follow();
    await harness.post('/v1/source/pause', { source: harness.network.url });
    await harness.stop();
    await harness.start({ appender: log, cluster: { caller: node.client, map: () => node.map } });
    await publishLike(harness, repo, ++seq);
    expect(harness.status).toMatchObject({ connected: false, pausedMs: expect.any(Number), receivedSeq: seq - 1 });
    await harness.post('/v1/source/resume', { source: harness.network.url });
    await until(isApplied);
    expect(harness.status).toMatchObject({ connected: true, pausedMs: null });
  });
});
