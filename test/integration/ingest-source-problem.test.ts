/** A cursor that a source refuses, or no longer has all events after, is shown until decided on. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { IngestHarness } from '../support/ingest-harness.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { until } from '../support/until.ts';
import { authorDid, commitFrame, create, frameOf, likeRecord, SignedRepo } from '../unit/atproto/signed-repo.ts';

let harness: IngestHarness;
let repo: SignedRepo;
beforeEach(async () => {
  harness = await IngestHarness.create();
  harness.network.register(authorDid, 'author.test');
  repo = await SignedRepo.start();
});
afterEach(() => harness.close());

async function publishLike(seq: number): Promise<void> {
  const body = await repo.commit(seq, create('app.bsky.feed.like', `like-${seq}`, likeRecord()));
  harness.network.publish(seq, commitFrame(body));
}

const metricsText = async (): Promise<unknown> => (await harness.get('/metrics')).body['text'];

describe('a cursor from the future', () => {
  beforeEach(async () => {
    for (let seq = 100; seq <= 101; seq++) await publishLike(seq);
    await harness.start();
    await until(() => harness.status.durableSeq === 101);
    await harness.stop();
    // The source lost its past and begins at one.
    harness.network.backlog = [];
    await publishLike(1);
    harness.log = new MemoryLog();
    await harness.start();
    await until(() => harness.status.problem !== null);
  });

  it('stops the source in status, metric and log, and nothing is followed from now', async () => {
    expect(harness.status.problem).toMatchObject({ code: 'FutureCursor', isStopped: true });
    expect(harness.status.problem?.hint).toContain(`skyshard source begin ${harness.network.url} --cursor 0`);
    expect(harness.notes.some((note) => note.includes('FutureCursor'))).toBe(true);
    expect(await metricsText()).toMatch(/skyshard_source_problem\{source="[^"]+",problem="FutureCursor"\} 1/);
    await until(() => harness.network.openCount === 0);
    await publishLike(2);
    expect(harness.log.of('commit')).toEqual([]);
    expect(harness.network.connections.every(({ cursor }) => cursor !== null)).toBe(true);
  });

  it('begins again where an operator says, at once and also after a restart', async () => {
    await publishLike(2);
    const source = harness.network.url;
    expect(await harness.post('/v1/source/begin', { source, cursor: 0 })).toEqual({
      status: 200,
      body: { source, cursor: 0, cursorBefore: 101 },
    });
    await until(() => harness.status.durableSeq === 2);
    expect(harness.status.problem).toBeNull();
    expect(harness.log.of('commit')).toHaveLength(2);
    await harness.stop();
    harness.log = new MemoryLog();
    await harness.start();
    await publishLike(3);
    await harness.settle();
    expect(harness.network.connections.at(-1)!.cursor).toBe(2);
    expect(harness.log.of('commit')).toHaveLength(1);
  });

  it('begins again at now without a cursor, and the old cursor is gone', async () => {
    await harness.post('/v1/source/begin', { source: harness.network.url });
    await until(() => harness.network.openCount === 1);
    expect(harness.network.connections.at(-1)!.cursor).toBeNull();
    await publishLike(2);
    await until(() => harness.status.durableSeq === 2);
    expect(harness.log.of('commit')).toHaveLength(1);
  });

  it('is refused for a source that ingest does not follow', async () => {
    const answer = await harness.post('/v1/source/begin', { source: 'https://other.test', cursor: 0 });
    expect(answer).toMatchObject({ status: 400, body: { error: 'InvalidArgument' } });
  });
});

describe('a cursor older than what the source has', () => {
  it('leaves a gap that status shows, also after a restart, until it is mended', async () => {
    const outdated = frameOf({ op: 1, t: '#info' }, { name: 'OutdatedCursor', message: 'Possibly missing events' });
    harness.network.onConnect = ({ socket, cursor }) => {
      if (cursor === 0) socket.send(outdated);
    };
    await harness.start();
    await until(() => harness.status.notices['OutdatedCursor'] === 1);
    await publishLike(50);
    await until(() => harness.status.durableSeq === 50);
    const { problem } = harness.status;
    expect(problem).toMatchObject({ code: 'OutdatedCursor', isStopped: false });
    expect(problem?.message).toContain('between 0 and 50');
    expect(problem?.hint).toContain('skyshard backfill');
    await harness.stop();

    await harness.start();
    expect(harness.status.problem).toEqual(problem);
    const source = harness.network.url;
    expect(await harness.post('/v1/source/mended', { source })).toMatchObject({
      body: { gap: { afterSeq: 0, beforeSeq: 50 } },
    });
    expect(harness.status.problem).toBeNull();
  });
});
