/** Hostile commits and repos cost their own account something, and nobody else. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ByteString, type DagMap } from '../../src/atproto/dag-value.ts';
import { inputLimits } from '../../src/atproto/input-limits.ts';
import type { Entry } from '../../src/entry/entry.ts';
import { EntriesRefused } from '../../src/log/entries-refused.ts';
import { authorHarness } from '../support/author-harness.ts';
import { HandMadeCar, treeEntry } from '../support/hand-made-car.ts';
import { type IngestHarness, verifyOff } from '../support/ingest-harness.ts';
import { MemoryLog } from '../support/memory-log.ts';
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
  SignedRepo,
} from '../unit/atproto/signed-repo.ts';

let harness: IngestHarness;
let repo: SignedRepo;
beforeEach(async () => {
  [harness, repo] = await authorHarness([create('app.bsky.feed.like', 'first', likeRecord())]);
  harness.network.register(otherDid, 'other.test');
  harness.network.serveRepos(async () => ({ body: await repo.car() }));
});
afterEach(() => harness.close());

const fat = { ...postRecord(), extra: 'x'.repeat(990_000) };

async function commit(seq: number, change: (body: DagMap) => DagMap): Promise<void> {
  const body = await repo.commit(
    seq,
    create('app.bsky.feed.like', `a-${seq}`, likeRecord()),
    create('app.bsky.feed.post', `b-${seq}`, postRecord(`${seq}`)),
  );
  harness.network.publish(seq, commitFrame(change(body)));
}

const outcomeOf = async (did: string): Promise<unknown> => (await harness.get(`/v1/backfill?did=${did}`)).body['state'];

/** A body whose ops all name one record of a megabyte, under paths of their own. */
function ofSharedRecord(body: DagMap): DagMap {
  const car = new HandMadeCar();
  const cid = car.add(fat as unknown as DagMap);
  const ops = Array.from({ length: 40 }, (_unused, index) => ({
    cid,
    path: `app.bsky.feed.post/shared-${index}`,
    action: 'create',
  }));
  return { ...body, ops, blocks: new ByteString(car.finish(body['commit']!)) };
}

/** A body whose second op repeats the path of the first. */
function ofOnePath(body: DagMap): DagMap {
  const [first] = body['ops'] as DagMap[];
  return { ...body, ops: [first!, { ...first!, action: 'update' }] };
}

/** A body whose CAR lacks the block of its post. */
function withoutBlock(body: DagMap): DagMap {
  const car = new HandMadeCar();
  car.add(likeRecord() as DagMap);
  return { ...body, blocks: new ByteString(car.finish(body['commit']!)) };
}

describe('a commit', () => {
  it.each<[string, (body: DagMap) => DagMap]>([
    ['records-too-large', ofSharedRecord],
    ['path-duplicate', ofOnePath],
    ['car-truncated', (body) => ({ ...body, blocks: new ByteString(Buffer.from([50, 1])) })],
  ])('that cannot be taken is passed, and its repo is fetched: %s', async (reason, change) => {
    await harness.start({ verify: verifyOff });
    await commit(1, (body) => body);
    await commit(2, change);
    const { rev } = repo;
    await commit(3, (body) => body);
    expect((await harness.settle()).status).toBe(200);
    await until(() => harness.status.durableSeq === 3);
    expect(harness.log.of('commit').map(({ ops }) => ops.length)).toEqual([2, 2]);
    await until(() => harness.log.of('resync-end', authorDid).length === 1);
    expect(harness.log.of('resync-end', authorDid)[0]!.rev >= rev).toBe(true);
    const { body: metrics } = await harness.get('/metrics');
    expect(metrics['text']).toContain(`source="${harness.network.url}",reason="${reason}"} 1`);
  });

  it('that lacks the block of an op brings the others, and its repo is fetched', async () => {
    await harness.start({ verify: verifyOff });
    await commit(1, withoutBlock);
    await harness.settle();
    expect(harness.log.of('commit').map(({ ops }) => ops.map(({ rkey }) => rkey))).toEqual([['a-1']]);
    await until(() => harness.log.of('resync-end', authorDid).length === 1);
    const fetched = harness.log.of('resync-chunk', authorDid).flatMap(({ ops }) => ops.map(({ rkey }) => rkey));
    expect(fetched).toEqual(['a-1', 'first', 'b-1']);
  });
});

describe('a repo', () => {
  it('whose keys share large records fails at once with its reason, and is not fetched again', async () => {
    const car = new HandMadeCar();
    const cid = car.add(fat as unknown as DagMap);
    const entries = Array.from({ length: 1000 }, (_unused, index) =>
      treeEntry(0, `app.bsky.feed.post/${String(index).padStart(4, '0')}`, cid),
    );
    const body = car.signedCommit(authorDid, '3kbd6l2y3gk2z', car.node(null, ...entries));
    harness.network.serveRepos((did) =>
      did === authorDid ? { body } : { status: 400, body: '{"error":"RepoNotFound"}' },
    );
    await harness.start({ verify: verifyOff });
    await harness.post('/v1/backfill', { did: authorDid });
    await until(async () => (await outcomeOf(authorDid)) === 'failed');
    const { body: row } = await harness.get(`/v1/backfill?did=${authorDid}`);
    expect(row).toMatchObject({ state: 'failed', attempts: 1, lastFailure: { reason: 'records-too-large' } });
    const bytes = harness.log
      .of('resync-chunk', authorDid)
      .reduce((sum, { ops }) => sum + ops.reduce((all, { block }) => all + block.length, 0), 0);
    expect(bytes).toBeLessThan(9_000_000);
    expect(
      harness.log
        .storyOf(authorDid)
        .filter((each) => each.startsWith('resync-begin'))
        .at(-1),
    ).toBe('resync-begin ');
    expect(harness.log.of('resync-end')).toEqual([]);
    await harness.post('/v1/backfill', { did: otherDid });
    await until(async () => (await outcomeOf(otherDid)) === 'gone');
  });
});

/** Refuses what names `poison`; what others append is durable, though in a refused chunk. */
class RefusingLog extends MemoryLog {
  override async append(key: string, entry: Entry): Promise<void> {
    const isPoison = 'ops' in entry && entry.ops.some(({ rkey }) => rkey.includes('poison'));
    if (isPoison) throw new EntriesRefused('entry-malformed', new Set([key]), 'of no known kind');
    await super.append(key, entry);
    if (key === otherDid) throw new EntriesRefused('entry-malformed', new Set([authorDid]), 'of no known kind');
  }
}

describe('an entry that the log refuses for good', () => {
  it('is passed, and its repo is fetched; one of the same chunk is taken', async () => {
    harness.log = new RefusingLog();
    await harness.start({ verify: verifyOff });
    const body = await repo.commit(1, create('app.bsky.feed.like', 'poison', likeRecord()));
    harness.network.publish(1, commitFrame(body));
    const other = await SignedRepo.start(otherDid);
    harness.network.publish(2, commitFrame(await other.commit(2, create('app.bsky.feed.like', 'a', likeRecord()))));
    await until(() => harness.status.durableSeq === 2);
    expect(harness.status.dropped).toEqual({ 'entry-malformed': 1 });
    expect(harness.log.of('commit', otherDid)).toHaveLength(1);
    await until(async () => (await outcomeOf(authorDid)) === 'failed');
    const { body: row } = await harness.get(`/v1/backfill?did=${authorDid}`);
    expect(row).toMatchObject({ attempts: 1, lastFailure: { reason: 'entry-refused' } });
  });
});

describe('a host that says nothing', () => {
  it('holds up no live commits of a repo whose turn to be fetched has not come', async () => {
    const asked: string[] = [];
    harness.network.serveRepos((did) => {
      asked.push(did);
      return new Promise(() => {});
    });
    await harness.start({ backfill: { hostConcurrencyMax: 1 } });
    await harness.post('/v1/backfill', { did: otherDid });
    await until(() => asked.length === 1);
    await harness.post('/v1/backfill', { did: authorDid });
    await until(async () => (await harness.get('/v1/backfill')).body['reposRunning'] === 2);
    await commit(1, (body) => body);
    expect((await harness.settle()).status).toBe(200);
    expect(harness.log.of('commit', authorDid).length).toBe(1);
    expect(asked).toEqual([otherDid]);
  });
});

describe('a source', () => {
  it('whose messages are far larger than their entries is paused while these wait', async () => {
    await harness.start({ verify: verifyOff });
    await until(() => harness.network.openCount === 1);
    harness.log.isHeld = true;
    const junk = new ByteString(Buffer.alloc(4_000_000));
    const count = 40;
    for (let seq = 1; seq <= count; seq++) await commit(seq, (body) => ({ ...body, junk }));
    await until(() => harness.log.waitingCount >= inputLimits.messagesHeldBytesMax / 4_100_000);
    const { receivedSeq } = harness.status;
    expect(receivedSeq).toBeLessThan(count);
    harness.log.acknowledgeAll();
    await harness.settle();
    expect(harness.log.of('commit')).toHaveLength(count);
  });

  it('is not paused by an account whose messages are large while its host is slow to send its repo', async () => {
    let answer = (): void => {};
    const asked = new Promise<void>((resolve) => {
      answer = resolve;
    });
    harness.network.serveRepos(async () => {
      await asked;
      return { body: await repo.car() };
    });
    await harness.start({ verify: verifyOff });
    await until(() => harness.network.openCount === 1);
    await harness.post('/v1/backfill', { did: authorDid });
    await until(() => harness.network.requestCount('/xrpc/com.atproto.sync.getRepo') === 1);
    const junk = new ByteString(Buffer.alloc(4_000_000));
    const other = await SignedRepo.start(otherDid);
    const count = 40;
    for (let seq = 1; seq < count; seq++) await commit(seq, (body) => ({ ...body, junk }));
    harness.network.publish(
      count,
      commitFrame(await other.commit(count, create('app.bsky.feed.like', 'a', likeRecord()))),
    );
    await until(() => harness.log.of('commit', otherDid).length === 1);
    answer();
    await until(async () => (await outcomeOf(authorDid)) === 'done');
  });

  it('cannot fill memory or the log with the texts of its notices', async () => {
    await harness.start({ verify: verifyOff });
    await until(() => harness.network.openCount === 1);
    const long = 'x'.repeat(1_000_000);
    harness.network.send(frameOf({ op: 1, t: '#info' }, { name: long, message: long }));
    await until(() => Object.keys(harness.status.notices).length === 1);
    expect(Object.keys(harness.status.notices)).toEqual(['x'.repeat(64)]);
    expect(harness.notes.find((note) => note.startsWith('source says'))!.length).toBeLessThan(1_000);
  });
});

describe("a host's list of repos", () => {
  it.each([
    ['too many repos', { repos: new Array(10_001).fill({ did: otherDid }) }],
    ['too long a token', { repos: [{ did: otherDid }], cursor: 'x'.repeat(3_000) }],
  ])('with %s is refused, and nothing of it is stored', async (_name, page) => {
    const path = '/xrpc/com.atproto.sync.listRepos';
    harness.network.responders.set(path, () => json(page));
    await harness.start({ verify: verifyOff });
    await harness.post('/v1/backfill', { host: harness.network.url });
    await until(() => harness.network.requestCount(path) >= 2);
    expect(harness.ingest.backfill.progress.reposQueued).toBe(0);
    harness.network.responders.set(path, () => json({ repos: [{ did: authorDid }], cursor: 5 }));
    await until(async () => (await outcomeOf(authorDid)) === 'done');
  });
});

describe('a DID document', () => {
  it('that is too large counts as absent', async () => {
    await harness.start({ verify: verifyOff });
    const padding = ['at://a.test', ...new Array(100).fill('x'.repeat(1_000))];
    const document = harness.network.documents.get(otherDid) as object;
    harness.network.documents.set(otherDid, { ...document, alsoKnownAs: padding });
    expect(await harness.ingest.resolver.resolveDid(otherDid, { fresh: true })).toEqual({
      ok: false,
      reason: 'not-found',
    });
  });
});
