/** Revs and times ahead of our clock leave nothing durable; a clock that is behind pauses. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { tidOf } from '../../src/atproto/tid.ts';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { authorHarness, likeBody } from '../support/author-harness.ts';
import type { IngestHarness } from '../support/ingest-harness.ts';
import { until } from '../support/until.ts';
import { authorDid, commitFrame, frameOf, otherDid, SignedRepo } from '../unit/atproto/signed-repo.ts';

const farRev = 'jzzzzzzzzzzzz';

let harness: IngestHarness;
let repo: SignedRepo;
beforeEach(async () => {
  [harness, repo] = await authorHarness();
});
afterEach(() => harness.close());

/** The system's clock with a wrong time; its pauses are short, so that a window ends soon. */
function clockBehindBy(offset: { ms: number }, sleepMsMax = 20): Clock {
  return {
    nowMs: () => systemClock.nowMs() - offset.ms,
    monotonicMs: () => systemClock.monotonicMs(),
    sleep: (durationMs, signal) => systemClock.sleep(Math.min(durationMs, sleepMsMax), signal),
  };
}

describe('a rev or a time ahead of our clock', () => {
  it('is refused by its reason in commits, syncs, identities and accounts, and the cursor passes it', async () => {
    await harness.start({ clock: clockBehindBy({ ms: 0 }) });
    await until(() => harness.network.openCount === 1);
    const far = '2199-01-01T00:00:00.000Z';
    const near = new Date(systemClock.nowMs() + 60_000).toISOString();
    harness.network.publish(1, commitFrame({ ...(await likeBody(repo, 1)), rev: farRev }));
    harness.network.publish(2, commitFrame({ ...(await likeBody(repo, 2)), time: far }));
    const body = { did: authorDid, time: near };
    harness.network.publish(3, frameOf({ op: 1, t: '#sync' }, { ...body, seq: 3, rev: farRev, blocks: null }));
    harness.network.publish(4, frameOf({ op: 1, t: '#account' }, { ...body, seq: 4, time: far, active: true }));
    harness.network.publish(5, frameOf({ op: 1, t: '#identity' }, { ...body, seq: 5, time: far }));
    harness.network.publish(6, commitFrame({ ...(await likeBody(repo, 6)), time: near }));
    await until(() => harness.status.durableSeq === 6);
    expect(harness.status.dropped).toEqual({ 'rev-ahead': 2, 'time-ahead': 3 });
    expect(harness.log.of('commit').map(({ rev }) => rev)).toEqual([repo.rev]);
    expect(harness.log.of('sync')).toEqual([]);
    expect(harness.log.of('account')).toEqual([]);
  });

  it('of a commit that is too big leaves no rev that later fetches must reach', async () => {
    harness.network.serveRepos(async () => ({ body: await repo.car() }));
    await harness.start({ clock: clockBehindBy({ ms: 0 }) });
    harness.network.publish(1, commitFrame({ ...(await likeBody(repo, 1)), rev: farRev, tooBig: true }));
    await until(() => harness.status.durableSeq === 1);
    expect(harness.ingest.backfill.repo(authorDid)).toBeUndefined();
    await harness.post('/v1/resync', { repos: [{ did: authorDid, rev: farRev }] });
    await until(() => harness.ingest.backfill.repo(authorDid)?.state === 'done');
  });

  it('of a fetched repo fails the attempt, and nothing of it is appended', async () => {
    const aheadMs = systemClock.nowMs() + 3_600_000;
    const ahead = await SignedRepo.start(authorDid, [], { rev: tidOf(aheadMs * 1000, 0) });
    harness.network.serveRepos(async () => ({ body: await ahead.car() }));
    await harness.start();
    await harness.post('/v1/backfill', { did: authorDid });
    await until(() => harness.ingest.backfill.repo(authorDid)?.lastFailure?.reason === 'rev-ahead');
    expect(harness.log.of('resync-begin')).toEqual([]);
  });
});

describe('a request of an operator', () => {
  it('fetches a repo whatever rev was wanted before', async () => {
    harness.network.serveRepos(async () => ({ body: await repo.car() }));
    await harness.start({ clock: clockBehindBy({ ms: 0 }) });
    const soon = tidOf((systemClock.nowMs() + 200_000) * 1000, 0);
    await harness.post('/v1/resync', { repos: [{ did: authorDid, rev: soon }] });
    await until(() => harness.ingest.backfill.repo(authorDid)?.lastFailure?.reason === 'stale');
    await harness.post('/v1/backfill', { did: authorDid });
    await until(() => harness.ingest.backfill.repo(authorDid)?.state === 'done');
    expect(harness.ingest.backfill.repo(authorDid)?.revMin).toBe('');
  });
});

describe('a clock of ours that is behind', () => {
  const accounts = 12;

  function publishAccounts(firstSeq: number): void {
    for (let index = 0; index < accounts; index++) {
      const seq = firstSeq + index;
      const did = `did:plc:${'abcdefghijkl'[index]!.repeat(24)}`;
      const time = new Date(systemClock.nowMs()).toISOString();
      harness.network.publish(seq, frameOf({ op: 1, t: '#account' }, { seq, did, time, active: true }));
    }
  }

  it('pauses the source, which says so; no cursor passes, and nothing is lost once it is right', async () => {
    const offset = { ms: 3_600_000 };
    await harness.start({ clock: clockBehindBy(offset, 500) });
    await until(() => harness.network.openCount === 1);
    publishAccounts(1);
    await until(() => harness.status.problem !== null);
    expect(harness.status.problem).toMatchObject({ code: 'ClockBehind' });
    await until(() => harness.network.openCount === 0);
    expect(harness.status.doneSeq).toBe(0);
    expect(harness.log.of('account')).toEqual([]);
    expect(harness.notes.some((note) => note.includes('clock'))).toBe(true);

    offset.ms = 0;
    await until(() => harness.log.of('account').length === accounts);
    await until(() => harness.status.durableSeq === accounts);
    expect(harness.status.problem).toBeNull();
    expect(harness.network.connections.map(({ cursor }) => cursor)).toEqual([0, 0]);
  });

  it('is not believed for a burst of accounts, before those that are in time', async () => {
    await harness.start({ clock: clockBehindBy({ ms: 0 }, 1000) });
    await until(() => harness.network.openCount === 1);
    const time = '2199-01-01T00:00:00.000Z';
    for (let seq = 1; seq <= accounts; seq++) {
      const did = `did:plc:${'mnopqrstuvwx'[seq - 1]!.repeat(24)}`;
      harness.network.publish(seq, frameOf({ op: 1, t: '#account' }, { seq, did, time, active: true }));
    }
    publishAccounts(100);
    await until(() => harness.status.doneSeq === 100 + accounts - 1);
    expect(harness.status).toMatchObject({ problem: null, connected: true });
    expect(harness.network.connections).toHaveLength(1);
    expect(harness.log.of('account')).toHaveLength(accounts);
  });

  it('is not believed while most accounts are in time', async () => {
    await harness.start({ clock: clockBehindBy({ ms: 0 }, 1000) });
    await until(() => harness.network.openCount === 1);
    const far = '2199-01-01T00:00:00.000Z';
    harness.network.publish(1, frameOf({ op: 1, t: '#account' }, { seq: 1, did: otherDid, time: far, active: true }));
    publishAccounts(2);
    for (let index = 0; index < accounts - 1; index++) {
      const seq = 100 + index;
      const did = `did:plc:${'mnopqrstuvw'[index]!.repeat(24)}`;
      harness.network.publish(seq, frameOf({ op: 1, t: '#account' }, { seq, did, time: far, active: true }));
    }
    await until(() => harness.status.receivedSeq === 110);
    expect(harness.status).toMatchObject({ problem: null, connected: true });
    await until(() => harness.status.doneSeq === 110);
    expect(harness.log.of('account')).toHaveLength(accounts);
  });
});
