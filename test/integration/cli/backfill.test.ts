/** `skyshard backfill` against a running ingest: when it ends, what it prints, its exit code. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { IngestHarness } from '../../support/ingest-harness.ts';
import { type Ended, runCommand } from '../../support/running-cluster.ts';
import { json } from '../../support/scripted-network.ts';
import { authorDid, create, likeRecord, otherDid, SignedRepo } from '../../unit/atproto/signed-repo.ts';

const listReposPath = '/xrpc/com.atproto.sync.listRepos';
const unknownDid = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa';

let harness: IngestHarness;
let emptyFolder: string;

beforeEach(async () => {
  emptyFolder = mkdtempSync(join(tmpdir(), 'skyshard-backfill-'));
  harness = await IngestHarness.create();
  harness.network.register(authorDid, 'author.test');
  harness.network.register(otherDid, 'other.test');
  const repo = await SignedRepo.start(authorDid, [create('app.bsky.feed.like', 'first', likeRecord())]);
  const car = await repo.car();
  harness.network.serveRepos((did) => (did === authorDid ? { body: car } : { status: 500, body: 'broken' }));
  await harness.start();
});

afterEach(async () => {
  await harness.close();
  rmSync(emptyFolder, { recursive: true, force: true });
});

function backfill(...words: string[]): Promise<Ended> {
  const url = `--ingest-url=http://127.0.0.1:${harness.ingest.port}`;
  return runCommand(['backfill', ...words, url, `--data-dir=${emptyFolder}`]);
}

function serveList(dids: readonly string[]): void {
  harness.network.responders.set(listReposPath, () =>
    json({ repos: dids.map((did) => ({ did, head: 'x', rev: 'x', active: true })) }),
  );
}

describe('skyshard backfill of one repo', () => {
  it('ends when the repo is in the log', async () => {
    const ended = await backfill(authorDid);
    expect(ended, ended.err).toMatchObject({ code: 0, out: expect.stringMatching(/: done, rev \w+\n$/) });
    expect(harness.log.of('resync-end', authorDid)).toHaveLength(1);
    const printed = await backfill(authorDid, '--json');
    expect(JSON.parse(printed.out)).toMatchObject({ did: authorDid, state: 'done', lastFailure: null });
  });

  it('ends at the first failure, and prints the reason and the time of the retry', async () => {
    expect(await backfill(otherDid)).toMatchObject({
      code: 1,
      err: expect.stringMatching(
        /Unavailable: .* was not fetched: .*; the next attempt is at \d{4}-.*Z\n.*tries again/,
      ),
    });
  });

  it('ends for an unknown DID: one that the directory lacks is gone', async () => {
    const ended = await backfill(unknownDid);
    expect(ended).toMatchObject({ code: 1, err: expect.stringContaining('the PLC directory has no such DID') });
    expect((await harness.get(`/v1/backfill?did=${unknownDid}`)).body).toMatchObject({ state: 'gone' });
    const unresolved = await backfill('did:web:nobody.invalid');
    expect(unresolved).toMatchObject({ code: 1, err: expect.stringContaining('identity-unknown') });
  });

  it('refuses what is not a DID before it looks for a running ingest', async () => {
    const ended = await runCommand(['backfill', 'nonsense', `--data-dir=${emptyFolder}`]);
    expect(ended).toMatchObject({ code: 2, err: expect.stringContaining('"nonsense" is not a DID') });
    const stopped = await runCommand(['backfill', authorDid, `--data-dir=${emptyFolder}`]);
    expect(stopped).toMatchObject({ code: 1, err: expect.stringContaining('--ingest-url') });
    const status = await runCommand(['status', '--router-url=http://127.0.0.1:1', `--data-dir=${emptyFolder}`]);
    expect(status).toMatchObject({ code: 1, err: expect.stringContaining('Start it (`skyshard up`') });
    expect(status.err).not.toContain('`skyshard status`');
  });
});

describe('skyshard backfill of all repos', () => {
  it('ends when only repos that wait for a retry are left, and names them', async () => {
    serveList([authorDid, otherDid]);
    const ended = await backfill();
    expect(ended).toMatchObject({ code: 1, err: expect.stringContaining('1 repos wait for another attempt') });
    expect(ended.out).toMatch(/^0\.0% 0\/0\+ repos/);
    expect(ended.out).toContain(`${otherDid} waits until `);
    expect((await harness.get('/v1/backfill')).body).toMatchObject({ reposDone: 1, reposGone: 0, reposQueued: 1 });
  });

  it('succeeds when all repos are in the log', async () => {
    serveList([authorDid]);
    const ended = await backfill('--json');
    expect(ended, ended.err).toMatchObject({ code: 0 });
    expect(JSON.parse(ended.out.trim().split('\n').at(-1)!)).toMatchObject({ reposDone: 1, reposQueued: 0 });
  });

  it('fails when the list of repos cannot be read', async () => {
    harness.network.responders.set(listReposPath, () => ({ status: 500, body: 'broken' }));
    const ended = await backfill();
    expect(ended).toMatchObject({ code: 1, err: expect.stringContaining('cannot be listed') });
  });
});
