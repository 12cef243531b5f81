/**
 * Commits are proven by the keys of their accounts before they are applied, or when a key comes.
 */
import { Secp256k1Keypair } from '@atproto/crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ByteString } from '../../src/atproto/dag-value.ts';
import { systemClock } from '../../src/base/clock.ts';
import { authorHarness, likeBody, publishLike } from '../support/author-harness.ts';
import { type IngestHarness, verifyAll, verifyOff } from '../support/ingest-harness.ts';
import { type Answer, didDocument, json, signingKey } from '../support/scripted-network.ts';
import { until } from '../support/until.ts';
import { authorDid, commitFrame, frameOf, otherDid, SignedRepo } from '../unit/atproto/signed-repo.ts';

const time = '2024-05-06T07:08:10.000Z';

let harness: IngestHarness;
let repo: SignedRepo;
beforeEach(async () => {
  [harness, repo] = await authorHarness();
  harness.network.serveRepos(async () => ({ body: await repo.car() }));
});
afterEach(() => harness.close());

/** Resolves the author, whose key is then known. */
async function learnKey(): Promise<void> {
  await harness.ingest.resolver.resolveDid(authorDid, { fresh: true });
}

const commits = (): string[] => harness.log.of('commit').map(({ rev }) => rev);
const keyOf = (keypair: Secp256k1Keypair): string => keypair.did().slice('did:key:'.length);

describe('a commit of a relay', () => {
  it('is applied when it is proven, in the order of its account', async () => {
    await harness.start();
    await learnKey();
    const revs: string[] = [];
    for (let seq = 1; seq <= 30; seq++) {
      await publishLike(harness, repo, seq);
      revs.push(repo.rev);
    }
    harness.network.publish(31, frameOf({ op: 1, t: '#account' }, { seq: 31, did: authorDid, time, active: true }));
    await harness.settle();
    expect(commits()).toEqual(revs);
    const story = harness.log.storyOf(authorDid).filter((text) => !text.startsWith('identity'));
    expect(story.at(-1)).toBe('account');
    expect(harness.status.trust).toMatchObject({ mode: 'all', modeNow: 'all', verified: 30, unverified: 0, failed: 0 });
  });

  it('is dropped when another key signed it, counted by host, and the repo is fetched', async () => {
    const stranger = await SignedRepo.start(authorDid, [], { keypair: await Secp256k1Keypair.create() });
    await harness.start();
    await learnKey();
    await publishLike(harness, stranger, 1);
    await until(() => harness.status.durableSeq === 1);
    expect(commits()).toEqual([]);
    expect(harness.status.trust).toMatchObject({ verified: 0, failed: 1 });
    await until(() => harness.log.of('resync-end').length === 1);
    expect(harness.log.of('resync-end')).toMatchObject([{ rev: repo.rev }]);
    expect((await harness.get('/metrics')).body['text']).toContain(
      `skyshard_claims_refused_total{host="${harness.network.url}",reason="signature-wrong"} 1`,
    );
  });

  it('is proven by the new key after one fresh look-up when the key has changed', async () => {
    await harness.start();
    await publishLike(harness, repo, 1);
    await until(() => harness.log.of('identity').length === 1);
    const asked = harness.network.requestCount(`/${encodeURIComponent(authorDid)}`);
    const keypair = await Secp256k1Keypair.create();
    const rotated = await SignedRepo.start(authorDid, [], { keypair });
    harness.network.register(authorDid, 'author.test', keyOf(keypair));
    await publishLike(harness, rotated, 2);
    await publishLike(harness, rotated, 3);
    await harness.settle();
    expect(commits()).toHaveLength(3);
    expect(harness.status.trust).toMatchObject({ failed: 0 });
    expect(harness.network.requestCount(`/${encodeURIComponent(authorDid)}`)).toBeLessThanOrEqual(asked + 1);
  });

  it('asks for the document once, however many false commits come', async () => {
    const stranger = await SignedRepo.start(authorDid, [], { keypair: await Secp256k1Keypair.create() });
    await harness.start();
    await publishLike(harness, repo, 1);
    await until(() => harness.log.of('identity').length === 1);
    harness.network.serveRepos(() => ({ status: 500, body: '' }));
    const path = `/${encodeURIComponent(authorDid)}`;
    for (let seq = 2; seq <= 41; seq++) await publishLike(harness, stranger, seq);
    await until(() => harness.status.trust.failed === 40);
    await until(() => harness.status.durableSeq === 41);
    expect(commits()).toHaveLength(1);
    // Each attempt to fetch the repo reads the document too.
    const fetches = harness.network.requestCount('/xrpc/com.atproto.sync.getRepo');
    expect(harness.network.requestCount(path)).toBeLessThanOrEqual(4 + fetches);
  });

  it('is dropped when undoing its ops does not lead to the root that it names', async () => {
    await harness.start();
    await learnKey();
    const body = await likeBody(repo, 1);
    harness.network.publish(1, commitFrame({ ...body, prevData: body['commit']! }));
    await until(() => harness.log.of('resync-end').length === 1);
    expect(commits()).toEqual([]);
    expect(harness.status.trust.failed).toBe(1);
  });

  it('is applied without the root before it, as older hosts send it', async () => {
    await harness.start();
    await learnKey();
    const { prevData: _unused, ...older } = await likeBody(repo, 1);
    harness.network.publish(1, commitFrame(older));
    await harness.settle();
    expect(commits()).toEqual([repo.rev]);
    expect(harness.status.trust.verified).toBe(1);
  });

  it('is applied and its repo fetched when it names another root than the commit before left', async () => {
    await harness.start();
    await learnKey();
    await publishLike(harness, repo, 1);
    await harness.settle();
    const since = repo.rev;
    // Its host left a commit out and hides that.
    await likeBody(repo, 2);
    harness.network.publish(3, commitFrame({ ...(await likeBody(repo, 3)), since }));
    await until(() => harness.log.of('resync-end').length === 1);
    expect(commits()).toHaveLength(2);
    expect(harness.log.of('resync-end')).toMatchObject([{ rev: repo.rev }]);
  });
});

describe('a commit whose key is not known yet', () => {
  const path = `/${encodeURIComponent(authorDid)}`;
  let document: PromiseWithResolvers<Answer>;
  beforeEach(() => {
    document = Promise.withResolvers();
    harness.network.responders.set(path, () => document.promise);
  });

  async function answer(): Promise<void> {
    await until(() => harness.network.requestCount(path) > 0);
    document.resolve(json(didDocument(authorDid, 'author.test', harness.network.url)));
  }

  it('is applied at once, and proven when the key comes', async () => {
    await harness.start();
    await publishLike(harness, repo, 1);
    await until(() => commits().length === 1);
    await until(() => harness.status.durableSeq === 1);
    expect(harness.status.trust).toMatchObject({ verified: 0, unverified: 1 });
    await answer();
    await until(() => harness.status.trust.verified === 1);
    expect(harness.status.trust).toMatchObject({ unverified: 0, failed: 0 });
  });

  it('is fetched again when the key shows that it was false', async () => {
    const stranger = await SignedRepo.start(authorDid, [], { keypair: await Secp256k1Keypair.create() });
    await harness.start();
    await publishLike(harness, stranger, 1);
    await until(() => commits().length === 1);
    await answer();
    await until(() => harness.log.of('resync-end').length === 1);
    expect(harness.status.trust).toMatchObject({ failed: 1, unverified: 0 });
  });
});

describe('a sync', () => {
  const sync = (seq: number, car: Uint8Array): Buffer => {
    const { did, rev } = repo;
    return frameOf({ op: 1, t: '#sync' }, { seq, did, rev, time, blocks: new ByteString(car) });
  };

  it('of content that we have moves the rev and fetches nothing', async () => {
    await harness.start();
    await learnKey();
    await publishLike(harness, repo, 1);
    const since = repo.rev;
    await repo.resign();
    harness.network.publish(2, sync(2, await repo.car()));
    await harness.settle();
    expect(harness.log.of('sync')).toEqual([]);
    expect(harness.log.of('commit').at(-1)).toMatchObject({ rev: repo.rev, since, ops: [] });
  });

  it('of other content goes to the slot, and one that another key signed does not', async () => {
    await harness.start();
    await learnKey();
    await publishLike(harness, repo, 1);
    await likeBody(repo, 2);
    harness.network.publish(2, sync(2, await repo.car()));
    await harness.settle();
    expect(harness.log.of('sync')).toMatchObject([{ rev: repo.rev }]);
    repo = await SignedRepo.start(authorDid, [], { keypair: await Secp256k1Keypair.create() });
    harness.network.publish(3, sync(3, await repo.car()));
    await until(() => harness.status.trust.failed === 1);
    expect(harness.log.of('sync')).toHaveLength(1);
  });
});

describe('what is proven', () => {
  it('falls to a sample while the source lags, says so, and comes back', async () => {
    await harness.start({ verify: { ...verifyAll, lagMsMax: 60_000 } });
    await learnKey();
    await publishLike(harness, repo, 1);
    await until(() => harness.status.trust.modeNow === 'sample');
    expect(harness.status.trust.mode).toBe('all');
    let seq = 1;
    await until(async () => {
      const body = await likeBody(repo, ++seq);
      harness.network.publish(seq, commitFrame({ ...body, time: new Date(systemClock.nowMs()).toISOString() }));
      return harness.status.trust.modeNow === 'all';
    });
  });

  it('of a sample is the same accounts always, and nothing when it is off', async () => {
    for (const verify of [{ ...verifyAll, mode: 'sample' } as const, verifyOff]) {
      await harness.start({ verify });
      const { trust } = harness.status;
      expect(trust.modeNow).toBe(verify.mode);
      await harness.stop();
    }
    const stranger = await SignedRepo.start(authorDid, [], { keypair: await Secp256k1Keypair.create() });
    await harness.start({ verify: verifyOff });
    await learnKey();
    await publishLike(harness, stranger, 1);
    await harness.settle();
    expect(commits()).toHaveLength(1);
    expect(harness.status.trust).toMatchObject({ verified: 0, unverified: 1, failed: 0 });
  });

  it('is shared by several threads, each account in one of them', async () => {
    harness.network.register(otherDid, 'other.test', signingKey);
    const other = await SignedRepo.start(otherDid);
    await harness.start({ verify: { ...verifyAll, threads: 3 } });
    await learnKey();
    await harness.ingest.resolver.resolveDid(otherDid, { fresh: true });
    for (let seq = 1; seq <= 20; seq++) await publishLike(harness, seq % 2 === 0 ? other : repo, seq);
    await harness.settle();
    expect(harness.status.trust.verified).toBe(20);
    for (const did of [authorDid, otherDid]) {
      const revs = harness.log.of('commit', did).map(({ rev }) => rev);
      expect(revs).toEqual([...revs].sort());
      expect(revs).toHaveLength(10);
    }
  });
});
