/** A PDS speaks only for the accounts whose documents name it; a migration follows the document. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { IngestHarness } from '../support/ingest-harness.ts';
import { type Answer, didDocument, json } from '../support/scripted-network.ts';
import { until } from '../support/until.ts';
import {
  authorDid,
  commitFrame,
  create,
  frameOf,
  likeRecord,
  otherDid,
  SignedRepo,
} from '../unit/atproto/signed-repo.ts';

const elsewhere = 'https://pds.elsewhere.test';
const time = '2024-05-06T07:08:10.000Z';

let harness: IngestHarness;
beforeEach(async () => {
  harness = await IngestHarness.create();
  harness.network.register(authorDid, 'author.test');
});
afterEach(() => harness.close());

function register(did: string, pds: string): void {
  harness.network.documents.set(did, didDocument(did, 'author.test', pds));
}

async function publishLike(repo: SignedRepo, seq: number): Promise<void> {
  harness.network.publish(
    seq,
    commitFrame(await repo.commit(seq, create('app.bsky.feed.like', `l${seq}`, likeRecord()))),
  );
}

function startPds(pds = harness.network.url, clock?: Clock) {
  const sources = [{ url: harness.network.url, startSeq: 0, pds }];
  return harness.start({ sources, ...(clock === undefined ? {} : { clock }) });
}

const didsInLog = (): string[] => harness.log.of('commit').map(({ did }) => did);

describe('a PDS source', () => {
  it('is refused commits and deletions of accounts whose document names another PDS', async () => {
    register(otherDid, elsewhere);
    await startPds();
    await publishLike(await SignedRepo.start(otherDid), 1);
    await publishLike(await SignedRepo.start(authorDid), 2);
    const deleted = { did: otherDid, time, active: false, status: 'deleted' };
    harness.network.publish(3, frameOf({ op: 1, t: '#account' }, { ...deleted, seq: 3 }));
    harness.network.publish(4, frameOf({ op: 1, t: '#account' }, { ...deleted, seq: 4, status: 'takendown' }));
    expect((await harness.settle()).status).toBe(200);
    expect(didsInLog()).toEqual([authorDid]);
    expect(harness.log.of('account')).toEqual([]);
    expect(harness.status.trust).toMatchObject({ pds: harness.network.url, verified: 1, refused: 3 });
    expect((await harness.get('/metrics')).body['text']).toMatch(
      /skyshard_claims_refused_total\{host="[^"]+",reason="speaker-other-host"\} 3/,
    );
  });

  it('speaks under the URL that documents have for it', async () => {
    register(authorDid, elsewhere);
    await startPds(elsewhere);
    await publishLike(await SignedRepo.start(authorDid), 1);
    await harness.settle();
    expect(didsInLog()).toEqual([authorDid]);
  });

  it('is refused an account that the directory does not know, in events that come again and again', async () => {
    await startPds();
    const stranger = await SignedRepo.start(otherDid);
    for (let seq = 1; seq <= 20; seq++) await publishLike(stranger, seq);
    await harness.settle();
    expect(didsInLog()).toEqual([]);
    expect(harness.status.trust.refused).toBe(20);
    // One look-up for the identity, and at most two for the decision.
    expect(harness.network.requestCount(`/${encodeURIComponent(otherDid)}`)).toBeLessThanOrEqual(4);
  });

  it('is not believed the status of an account of another PDS in its list of repos', async () => {
    register(otherDid, elsewhere);
    const inactive = { head: 'x', rev: 'x', active: false, status: 'takendown' };
    const repos = [authorDid, otherDid].map((did) => ({ did, ...inactive }));
    harness.network.responders.set('/xrpc/com.atproto.sync.listRepos', () => json({ repos }));
    const sources = [{ url: harness.network.url, startSeq: 0, pds: harness.network.url }];
    await harness.start({ sources, backfillSources: true });
    await until(async () => (await harness.get('/v1/backfill')).body['isListing'] === false);
    expect(harness.log.of('account').map(({ did }) => did)).toEqual([authorDid]);
    expect((await harness.get('/metrics')).body['text']).toContain('reason="listed-status"} 1');
  });

  it('follows an account that moves to it, and no longer one that moved away', async () => {
    register(authorDid, elsewhere);
    await startPds();
    const repo = await SignedRepo.start(authorDid);
    await publishLike(repo, 1);
    await harness.settle();
    expect(didsInLog()).toEqual([]);
    register(authorDid, harness.network.url);
    const identity = { did: authorDid, time, handle: 'author.test' };
    harness.network.publish(2, frameOf({ op: 1, t: '#identity' }, { ...identity, seq: 2 }));
    await until(async () => {
      await harness.settle();
      return harness.log.of('identity').at(-1)?.servicesJson.includes(harness.network.url);
    });
    await publishLike(repo, 3);
    await harness.settle();
    expect(didsInLog()).toEqual([authorDid]);
    register(authorDid, elsewhere);
    harness.network.publish(4, frameOf({ op: 1, t: '#identity' }, { ...identity, seq: 4 }));
    await until(() => harness.log.of('identity').at(-1)?.servicesJson.includes(elsewhere));
    await publishLike(repo, 5);
    await harness.settle();
    expect(didsInLog()).toEqual([authorDid]);
  });

  it('waits a bounded time for a document, holds up no other account, and fetches what it dropped', async () => {
    const path = `/${encodeURIComponent(otherDid)}`;
    const answer = Promise.withResolvers<Answer>();
    harness.network.responders.set(path, () => answer.promise);
    const clock: Clock = {
      nowMs: () => systemClock.nowMs(),
      monotonicMs: () => systemClock.monotonicMs(),
      sleep: (durationMs, signal) => systemClock.sleep(Math.min(durationMs, 500), signal),
    };
    await startPds(harness.network.url, clock);
    const late = await SignedRepo.start(otherDid);
    harness.network.serveRepos(async () => ({ body: await late.car() }));
    for (let seq = 1; seq <= 100; seq++) await publishLike(late, seq);
    await publishLike(await SignedRepo.start(authorDid), 101);
    await until(() => didsInLog().length === 1);
    expect(didsInLog()).toEqual([authorDid]);
    await until(() => harness.status.durableSeq === 101);
    expect(harness.status.trust.refused).toBe(100);

    harness.network.register(otherDid, 'other.test');
    harness.network.responders.delete(path);
    answer.resolve(json(didDocument(otherDid, 'other.test', harness.network.url)));
    await until(() => harness.log.of('resync-end', otherDid).length === 1, 60_000);
  });
});
