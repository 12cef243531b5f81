/** A fetched repo enters the log without gap or duplicate; hosts are fetched within limits. */
import { Secp256k1Keypair } from '@atproto/crypto';
import { WriteOpAction } from '@atproto/repo';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readVarint, varintEnd } from '../../src/base/varint.ts';
import type { CommitEntry } from '../../src/entry/entry.ts';
import { authorHarness, publishLike } from '../support/author-harness.ts';
import { type IngestHarness, verifyOff } from '../support/ingest-harness.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { type Answer, json } from '../support/scripted-network.ts';
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

const time = '2024-05-06T07:08:10.000Z';
const getRepoPath = '/xrpc/com.atproto.sync.getRepo';
const listReposPath = '/xrpc/com.atproto.sync.listRepos';

let harness: IngestHarness;
let repo: SignedRepo;
let seq: number;
beforeEach(async () => {
  seq = 0;
  [harness, repo] = await authorHarness([create('app.bsky.feed.like', 'first', likeRecord())]);
  harness.network.register(otherDid, 'other.test');
});
afterEach(() => harness.close());

const commitLike = (rkey: string): Promise<string> => publishLike(harness, repo, ++seq, rkey);

async function carAnswer(): Promise<Answer> {
  return { body: await repo.car() };
}

/** Where the first block of a CAR ends, which is its commit. */
function firstBlockEnd(car: Buffer): number {
  const header = readVarint(car, 0, 4);
  const commitAt = varintEnd() + header;
  const commit = readVarint(car, commitAt, commitAt + 4);
  return varintEnd() + commit;
}

const backfilled = (did: string) => async (): Promise<boolean> =>
  (await harness.get(`/v1/backfill?did=${did}`)).body['state'] === 'done';

/** The records that a slot would hold after all entries, by the rules of revs. */
function recordsOf(log: MemoryLog, did: string): string[] {
  const revByPath = new Map<string, string>();
  let rev = '';
  let snapshot = new Set<string>();
  for (const { key, entry } of log.entries) {
    if (key !== did) continue;
    if (entry.kind === 'resync-begin') snapshot = new Set();
    if (entry.kind === 'resync-chunk') {
      for (const op of entry.ops) {
        snapshot.add(`${op.collection}/${op.rkey}`);
        revByPath.set(`${op.collection}/${op.rkey}`, entry.rev);
      }
    }
    if (entry.kind === 'resync-end') {
      for (const [path, pathRev] of revByPath) if (!snapshot.has(path) && pathRev <= entry.rev) revByPath.delete(path);
      if (entry.rev > rev) rev = entry.rev;
    }
    if (entry.kind === 'commit' && entry.rev > rev) {
      rev = entry.rev;
      for (const op of entry.ops) {
        if (op.action === 'delete') revByPath.delete(`${op.collection}/${op.rkey}`);
        else revByPath.set(`${op.collection}/${op.rkey}`, entry.rev);
      }
    }
  }
  return [...revByPath.keys()].sort();
}

describe('fetching one repo', () => {
  it('appends a whole snapshot to the log and resolves the identity', async () => {
    harness.network.serveRepos(carAnswer);
    await harness.start();
    expect((await harness.post('/v1/backfill', { did: authorDid })).status).toBe(200);
    await until(backfilled(authorDid));
    expect(harness.log.storyOf(authorDid).filter((text) => text.startsWith('resync'))).toEqual([
      `resync-begin ${repo.rev}`,
      `resync-chunk ${repo.rev}`,
      `resync-end ${repo.rev}`,
    ]);
    expect(recordsOf(harness.log, authorDid)).toEqual(['app.bsky.feed.like/first']);
    await until(() => harness.log.of('identity', authorDid).length === 1);
  });

  it('leaves neither gap nor duplicate between the snapshot and live commits', async () => {
    let openGate = (): void => {};
    const gate = new Promise<void>((resolve) => {
      openGate = resolve;
    });
    harness.network.serveRepos(async () => {
      // Taken in the middle of the live commits, and received after all of them.
      const answer = await carAnswer();
      await commitLike('after-snapshot');
      const removal = await repo.commit(++seq, {
        action: WriteOpAction.Delete,
        collection: 'app.bsky.feed.like',
        rkey: 'first',
      });
      harness.network.publish(seq, commitFrame(removal));
      await gate;
      return answer;
    });
    await harness.start();
    const before = await commitLike('before-request');
    await harness.settle();
    await harness.post('/v1/backfill', { did: authorDid });
    await until(() => harness.status.receivedSeq === 3);
    // Held, so not in the log, and the cursor stays before them.
    expect(harness.log.of('commit', authorDid).map(({ rev }) => rev)).toEqual([before]);
    expect(harness.status.doneSeq).toBe(1);
    openGate();
    await until(backfilled(authorDid));
    await harness.settle();
    const story = harness.log.storyOf(authorDid).filter((text) => !text.startsWith('identity'));
    expect(story.map((text) => text.split(' ')[0])).toEqual([
      'commit',
      'resync-begin',
      'resync-chunk',
      'resync-end',
      'commit',
      'commit',
    ]);
    expect(recordsOf(harness.log, authorDid)).toEqual([
      'app.bsky.feed.like/after-snapshot',
      'app.bsky.feed.like/before-request',
    ]);
    expect(harness.status).toMatchObject({ doneSeq: 3, pendingEvents: 0 });
  });

  it('drops held commits that the snapshot contains, and keeps the order of a later account event', async () => {
    let asked = false;
    harness.network.serveRepos(async () => {
      asked = true;
      const contained = await commitLike('contained');
      harness.network.publish(
        ++seq,
        frameOf({ op: 1, t: '#account' }, { seq, did: authorDid, time, active: false, status: 'deactivated' }),
      );
      await until(() => harness.status.receivedSeq === 2);
      expect(contained).toBe(repo.rev);
      return carAnswer();
    });
    await harness.start({ verify: verifyOff });
    await harness.post('/v1/backfill', { did: authorDid });
    await until(backfilled(authorDid));
    await harness.settle();
    expect(asked).toBe(true);
    expect(harness.log.of('commit', authorDid)).toEqual([]);
    const kinds = harness.log.storyOf(authorDid).map((text) => text.split(' ')[0]);
    expect(kinds.indexOf('account')).toBeGreaterThan(kinds.indexOf('resync-end'));
    expect(harness.status.doneSeq).toBe(2);
  });

  it('starts over when more live commits arrive than can be held', async () => {
    let attempts = 0;
    harness.network.serveRepos(async () => {
      attempts++;
      const answer = await carAnswer();
      if (attempts > 1) return answer;
      for (let index = 0; index < 5; index++) await commitLike(`burst-${index}`);
      await until(() => harness.status.receivedSeq === 5);
      return answer;
    });
    await harness.start({ verify: verifyOff, backfill: { heldEntriesMax: 3 } });
    await harness.post('/v1/backfill', { did: authorDid });
    await until(backfilled(authorDid));
    await harness.settle();
    expect(attempts).toBe(2);
    expect(harness.log.of('commit', authorDid)).toHaveLength(5);
    expect(harness.log.of('resync-end', authorDid)).toMatchObject([{ rev: repo.rev }]);
    expect(recordsOf(harness.log, authorDid)).toHaveLength(6);
  });

  it('appends held commits when the fetch fails, and retries', async () => {
    let attempts = 0;
    harness.network.serveRepos(async () => {
      attempts++;
      if (attempts > 1) return carAnswer();
      await commitLike('meanwhile');
      await until(() => harness.status.receivedSeq === 1);
      return { status: 500, body: 'broken' };
    });
    await harness.start();
    await harness.post('/v1/backfill', { did: authorDid });
    await until(() => harness.log.of('commit', authorDid).length === 1);
    await until(backfilled(authorDid));
    expect(attempts).toBe(2);
  });

  it('never completes a resync whose CAR is damaged or of another repo', async () => {
    const whole = await repo.car();
    const answers = [
      whole.subarray(0, whole.length - 30),
      Buffer.from('no car'),
      await (await SignedRepo.start(otherDid)).car(),
    ];
    harness.network.serveRepos(() => ({ body: answers.shift() ?? whole }));
    await harness.start();
    await harness.post('/v1/backfill', { did: authorDid });
    await until(backfilled(authorDid), 30_000);
    expect(harness.log.of('resync-end')).toHaveLength(1);
    expect((await harness.get('/metrics')).body['text']).toMatch(
      /skyshard_repos_fetched_total\{outcome="repo-of-another-did"\} 1/,
    );
  });

  it('refuses a repo that the key of its document did not sign, by host, until the key is the one', async () => {
    const keypair = await Secp256k1Keypair.create();
    const foreign = await SignedRepo.start(authorDid, [create('app.bsky.feed.like', 'a', likeRecord())], { keypair });
    harness.network.serveRepos(async () => ({ body: await foreign.car() }));
    await harness.start();
    await harness.post('/v1/backfill', { did: authorDid });
    await until(() => harness.ingest.backfill.repo(authorDid)?.lastFailure?.reason === 'signature-wrong');
    expect(harness.log.of('resync-begin')).toEqual([]);
    expect((await harness.get('/metrics')).body['text']).toMatch(
      /skyshard_claims_refused_total\{host="http[^"]+",reason="signature-wrong"\} 1/,
    );
    harness.network.register(authorDid, 'author.test', keypair.did().slice('did:key:'.length));
    await harness.ingest.resolver.resolveDid(authorDid, { fresh: true });
    await harness.post('/v1/backfill', { did: authorDid });
    await until(backfilled(authorDid));
  });

  it('appends nothing of a repo whose tree is not whole', async () => {
    const whole = await repo.car();
    harness.network.serveRepos(() => ({ body: whole.subarray(0, firstBlockEnd(whole)) }));
    await harness.start();
    await harness.post('/v1/backfill', { did: authorDid });
    await until(() => harness.ingest.backfill.repo(authorDid)?.lastFailure?.message.includes('tree-block-missing'));
    expect(harness.log.of('resync-begin')).toEqual([]);
  });

  it('retries until the snapshot has the rev that a slot needs, and coalesces requests', async () => {
    const stale = await repo.car();
    const wanted = await commitLike('newer');
    let attempts = 0;
    harness.network.serveRepos(async () => (++attempts === 1 ? { body: stale } : carAnswer()));
    await harness.start({ sources: [] });
    const repos = Array.from({ length: 5 }, () => ({ did: authorDid, rev: wanted }));
    await Promise.all([harness.post('/v1/resync', { repos }), harness.post('/v1/resync', { repos })]);
    await until(backfilled(authorDid));
    expect(attempts).toBe(2);
    expect(harness.log.of('resync-end')).toMatchObject([{ rev: wanted }]);
  });

  it('marks a repo as gone that its host withholds', async () => {
    harness.network.serveRepos(() => json({ error: 'RepoTakendown', message: 'x' }, 400));
    await harness.start();
    await harness.post('/v1/backfill', { did: authorDid });
    await until(async () => (await harness.get(`/v1/backfill?did=${authorDid}`)).body['state'] === 'gone');
    // Its slot need not ask for the repo any more.
    await until(() => harness.log.of('resync-given-up', authorDid).length === 1);
    expect(harness.log.of('resync-begin')).toEqual([]);
  });
});

describe('fetching all repos of a host', () => {
  async function manyRepos(count: number): Promise<Map<string, Buffer>> {
    const cars = new Map<string, Buffer>();
    for (let index = 0; index < count; index++) {
      const did = `did:plc:${String(index)
        .replace(/[018-9]/g, (digit) => 'abcdefghij'[Number(digit)]!)
        .padStart(24, 'a')}`;
      harness.network.register(did, `user${index}.test`);
      cars.set(did, await (await SignedRepo.start(did, [create('app.bsky.feed.like', 'one', likeRecord())])).car());
    }
    return cars;
  }

  function serveList(dids: readonly string[], pageRepos: number): void {
    harness.network.responders.set(listReposPath, (query) => {
      const from = Number(query.get('cursor') ?? 0);
      const page = dids.slice(from, from + pageRepos);
      const cursor = from + pageRepos < dids.length ? { cursor: String(from + pageRepos) } : {};
      return json({ ...cursor, repos: page.map((did) => ({ did, head: 'x', rev: 'x', active: true })) });
    });
  }

  it('rereads a page of the list whose statuses could not be written', async () => {
    const repos = [{ did: otherDid, head: 'x', rev: 'x', active: false, status: 'suspended' }];
    harness.network.responders.set(listReposPath, () => json({ repos }));
    harness.log.isHeld = true;
    await harness.start({ backfillSources: true });
    await until(() => harness.log.waitingCount > 0);
    harness.log.isHeld = false;
    harness.log.fail();
    await until(async () => (await harness.get('/v1/backfill')).body['isListing'] === false);
    expect(harness.log.of('account')).toHaveLength(2);
    expect(harness.ingest.backfill.isListed(harness.network.url)).toBe(true);
    expect(harness.network.requestCount(listReposPath)).toBe(2);
  });

  it('reads the list page by page, obeys 429, stores inactive accounts, and reports progress', async () => {
    const cars = await manyRepos(12);
    serveList([...cars.keys()], 5);
    const original = harness.network.responders.get(listReposPath)!;
    harness.network.responders.set(listReposPath, async (query) => {
      const page = JSON.parse(String((await original(query)).body)) as { repos: unknown[] };
      if (query.get('cursor') === null)
        page.repos.push({ did: otherDid, head: 'x', rev: 'x', active: false, status: 'suspended' });
      return json(page);
    });
    let limited = 0;
    harness.network.serveRepos((did) => {
      if (limited++ === 3) return { status: 429, headers: { 'retry-after': '1' }, body: '' };
      return { body: cars.get(did)! };
    });
    await harness.start({ backfillSources: true });
    await until(async () => {
      const { body } = await harness.get('/v1/backfill');
      return body['reposDone'] === 12 && body['reposQueued'] === 0;
    });
    expect(harness.network.requestCount(getRepoPath)).toBe(13);
    expect(harness.log.of('resync-end')).toHaveLength(12);
    expect(harness.log.of('account')).toMatchObject([{ did: otherDid, active: false, status: 'suspended' }]);
    const { body } = await harness.get('/v1/backfill');
    expect(body).toMatchObject({ reposTotal: 12, recordsTotal: 12, isListing: false, reposFailed: 0 });
    expect(body['recordsPerS']).toBeGreaterThan(0);
  });

  it('never exceeds the limit of concurrent requests to a host', async () => {
    const cars = await manyRepos(20);
    serveList([...cars.keys()], 100);
    let running = 0;
    let most = 0;
    harness.network.serveRepos(async (did) => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setImmediate(resolve));
      running--;
      return { body: cars.get(did)! };
    });
    await harness.start({ backfillSources: true, backfill: { hostConcurrencyMax: 3, hostRequestsPerSecond: 1000 } });
    await until(async () => (await harness.get('/v1/backfill')).body['reposDone'] === 20);
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(3);
  });

  it('fetches other repos while many large ones wait for memory', async () => {
    const large = Array.from({ length: 40 }, (_, index) => `did:web:large${index}.test`);
    for (const did of large) harness.network.documents.set(did, {});
    harness.network.serveRepos((did) => {
      if (did === authorDid) return carAnswer();
      const headers = { 'content-length': String(400 * 2 ** 20) };
      return { headers, body: '', stream: (response) => response.flushHeaders() };
    });
    const host = harness.network.url;
    await harness.start({ backfill: { hostRequestsPerSecond: 1000 } });
    for (const did of large) await harness.post('/v1/backfill', { did, host });
    const isCrowded = async (did: string): Promise<boolean> =>
      JSON.stringify((await harness.get(`/v1/backfill?did=${did}`)).body).includes('"crowded"');
    await until(async () => (await Promise.all(large.map(isCrowded))).filter(Boolean).length >= 24);
    await harness.post('/v1/backfill', { did: authorDid });
    await until(backfilled(authorDid));
  });

  it('continues after a restart without refetching finished repos', async () => {
    const cars = await manyRepos(10);
    serveList([...cars.keys()], 4);
    let served = 0;
    // The first process gets four repos, then silence.
    harness.network.serveRepos((did) => (served++ < 4 ? { body: cars.get(did)! } : new Promise<Answer>(() => {})));
    await harness.start({ backfillSources: true });
    await until(async () => (await harness.get('/v1/backfill')).body['reposDone'] === 4);
    await until(async () => (await harness.get('/v1/backfill')).body['isListing'] === false);
    const first = new Set(harness.log.of('resync-end').map(({ did }) => did));
    await harness.stop();

    harness.log = new MemoryLog();
    harness.network.serveRepos((did) => ({ body: cars.get(did)! }));
    await harness.start({ backfillSources: true });
    await until(async () => (await harness.get('/v1/backfill')).body['reposDone'] === 10);
    const second = harness.log.of('resync-end').map(({ did }) => did);
    expect(second).toHaveLength(6);
    expect(second.some((did) => first.has(did))).toBe(false);
  });

  it('fetches finished repos once more only when it is asked to', async () => {
    const cars = await manyRepos(6);
    serveList([...cars.keys()], 4);
    harness.network.serveRepos((did) => ({ body: cars.get(did)! }));
    await harness.start({ backfillSources: true });
    const fetched = (): number => harness.log.of('resync-end').length;
    await until(() => fetched() === 6);
    await until(async () => (await harness.get('/v1/backfill')).body['isListing'] === false);
    await harness.post('/v1/backfill', {});
    await until(async () => (await harness.get('/v1/backfill')).body['isListing'] === false);
    expect(harness.network.requestCount(getRepoPath)).toBe(6);
    await harness.post('/v1/backfill', { again: true });
    await until(() => fetched() === 12);
    await until(async () => (await harness.get('/v1/backfill')).body['reposQueued'] === 0);
    expect(harness.network.requestCount(getRepoPath)).toBe(12);
  });
});

describe('live commits of a repo', () => {
  it('are not held while other repos are fetched', async () => {
    harness.network.serveRepos(() => new Promise<Answer>(() => {}));
    await harness.start();
    await harness.post('/v1/backfill', { did: otherDid });
    await until(() => harness.network.requestCount(getRepoPath) === 1);
    await commitLike('a');
    await harness.settle();
    const commits: readonly CommitEntry[] = harness.log.of('commit', authorDid);
    expect(commits).toHaveLength(1);
  });
});
