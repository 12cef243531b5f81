/** Ingest killed at each crash point resumes; a file with a killed writer stays as it was. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type CrashPoint, fileCrashPoints, ingestCrashPoints } from '../../src/base/crash-point.ts';
import { readRunFile } from '../../src/cli/process/run-file.ts';
import { TidClock } from '../../src/demo/model/tid-clock.ts';
import { Model } from '../simulation/model.ts';
import type { Facts } from '../simulation/model-facts.ts';
import { comparableOf } from '../simulation/model-gates.ts';
import { factsOfSlots } from '../simulation/slot-facts.ts';
import { CrashCluster } from '../support/crash-cluster.ts';
import type { IngestChildSettings } from '../support/ingest-child.ts';
import { json, ScriptedNetwork } from '../support/scripted-network.ts';
import { until } from '../support/until.ts';
import { authorDid, commitFrame, create, likeRecord, otherDid, SignedRepo } from '../unit/atproto/signed-repo.ts';

const supportFolder = join(import.meta.dirname, '..', 'support');
/** Likes that only a fetch of the repo has, more than a chunk, and likes of the stream. */
const counts = { fetched: 300, live: 40 } as const;
const like = 'app.bsky.feed.like';

/** The account of one crash point: its repo and its frames in the stream. */
type Account = {
  readonly did: string;
  readonly handle: string;
  readonly frames: readonly { readonly seq: number; readonly frame: Buffer }[];
  readonly car: Buffer;
  readonly rev: string;
};

async function makeAccount(point: CrashPoint, number: number): Promise<Account> {
  const did = `${authorDid.slice(0, -1)}${'abcdefghijklmnop'[number]}`;
  const tids = new TidClock(1);
  const nextRkey = (): string => tids.next(Date.UTC(2024, 4, 6));
  // One like per subject, so that each is a separate edge.
  const likeOf = (index: number): ReturnType<typeof create> => {
    const uri = `at://${otherDid}/app.bsky.feed.post/${number}x${index}`;
    const record = likeRecord();
    return create(like, nextRkey(), { ...record, subject: { ...(record['subject'] as object), uri } });
  };
  const repo = await SignedRepo.start(
    did,
    Array.from({ length: counts.fetched }, (_unused, index) => likeOf(index)),
  );
  const frames: { seq: number; frame: Buffer }[] = [];
  for (let seq = 1; seq <= counts.live; seq++) {
    frames.push({ seq, frame: commitFrame(await repo.commit(seq, likeOf(counts.fetched + seq))) });
  }
  return { did, handle: `${point}.test`, frames, car: await repo.car(), rev: repo.rev };
}

let cluster: CrashCluster;
beforeAll(async () => {
  cluster = await CrashCluster.make();
  await Promise.all([cluster.start('a'), cluster.start('b')]);
});
afterAll(() => cluster[Symbol.asyncDispose]());

let network: ScriptedNetwork;
let folder: string;
beforeEach(async () => {
  network = await ScriptedNetwork.start();
  folder = mkdtempSync(join(tmpdir(), 'skyshard-ingest-points-'));
});
afterEach(async () => {
  await network.close();
  rmSync(folder, { recursive: true, force: true });
});

function serve({ did, handle, frames, car, rev }: Account): void {
  network.register(did, handle);
  network.serveRepos(() => ({ body: car }));
  const repos = [{ did, head: 'x', rev, active: true }];
  network.responders.set('/xrpc/com.atproto.sync.listRepos', () => json({ repos }));
  network.backlog = [...frames];
}

type Ingest = {
  readonly exit: Promise<unknown[]>;
  /** Null when the process died first. */
  readonly url: string | null;
  kill(signal: NodeJS.Signals): void;
};

async function startIngest(crashPoint: IngestChildSettings['crashPoint']): Promise<Ingest> {
  const settings: IngestChildSettings = { mapJson: cluster.mapJson, folder, url: network.url, crashPoint };
  const script = join(supportFolder, 'ingest-child.ts');
  const child = spawn(process.execPath, [script, JSON.stringify(settings)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exit = once(child, 'exit');
  const port = await Promise.race([
    once(child.stdout, 'data').then(([text]) => String(text).trim()),
    exit.then(() => null),
  ]);
  return { exit, url: port === null ? null : `http://127.0.0.1:${port}`, kill: (signal) => void child.kill(signal) };
}

async function answerOf(ingest: Ingest, path: string, body?: object): Promise<Record<string, unknown> | null> {
  const headers = { 'content-type': 'application/json' };
  const init = body === undefined ? {} : { method: 'POST', headers, body: JSON.stringify(body) };
  const response = await fetch(`${ingest.url}${path}`, init).catch(() => null);
  return response?.status === 200 ? ((await response.json()) as Record<string, unknown>) : null;
}

/** Requests the repo as an operator would; the process may be killed before it answers. */
const askForRepo = (ingest: Ingest, did: string): Promise<unknown> => answerOf(ingest, '/v1/backfill', { did });

/** Waits until everything requested has arrived, then stops ingest. */
async function finish(ingest: Ingest, did: string): Promise<void> {
  await until(async () => (await answerOf(ingest, `/v1/backfill?did=${did}`))?.['state'] === 'done', 60_000);
  await until(async () => {
    const progress = await answerOf(ingest, '/v1/backfill');
    return progress?.['reposQueued'] === 0 && progress['reposRunning'] === 0 && progress['isListing'] === false;
  }, 60_000);
  const cursors = { [network.url]: counts.live };
  await until(() => answerOf(ingest, '/v1/settle', { cursors, timeoutMs: 10_000 }), 60_000);
  ingest.kill('SIGTERM');
  expect(await ingest.exit).toEqual([0, null]);
}

function expectMeaning(facts: Facts, { did, handle, rev }: Account, number: number): void {
  const total = counts.fetched + counts.live;
  expect(facts.get(`repo ${did}`), handle).toBe(JSON.stringify(rev));
  expect(facts.get(`counts ${did}`), handle).toBe(JSON.stringify({ likes: total }));
  expect(facts.get(`handle ${handle}`)).toBe(JSON.stringify(did));
  expect(facts.get(`actor ${did}`)).toContain(handle);
  expect(facts.has(`resync ${did}`), handle).toBe(false);
  const keysOf = (prefix: string): string[] => [...facts.keys()].filter((key) => key.startsWith(prefix));
  expect(keysOf(`record at://${did}/${like}/`), handle).toHaveLength(total);
  expect(keysOf(`edge ${did} like `), handle).toHaveLength(total);
  const likeCounts = keysOf(`record-counts at://${otherDid}/app.bsky.feed.post/${number}x`).map((key) =>
    facts.get(key),
  );
  expect(likeCounts, handle).toHaveLength(total);
  expect(new Set(likeCounts), handle).toEqual(new Set([JSON.stringify({ likes: 1 })]));
}

describe('ingest', () => {
  const accounts: Account[] = [];

  for (const [number, point] of ingestCrashPoints.entries()) {
    it(`killed at ${point} resumes at the next start`, async () => {
      const account = await makeAccount(point, number);
      serve(account);
      const first = await startIngest({ point, nth: 1 });
      if (first.url !== null) await askForRepo(first, account.did);
      expect(await first.exit).toEqual([null, 'SIGKILL']);
      const second = await startIngest(null);
      await askForRepo(second, account.did);
      await finish(second, account.did);
      const cursors = network.connections.map(({ cursor }) => cursor ?? -1);
      expect(cursors.every((cursor) => cursor >= 0 && cursor <= counts.live)).toBe(true);
      accounts.push(account);
    }, 240_000);
  }

  it('lost nothing and counted nothing twice', async () => {
    expect(accounts).toHaveLength(ingestCrashPoints.length);
    await cluster.settle();
    const dids = [otherDid, ...accounts.map(({ did }) => did)];
    const handles = accounts.map(({ handle }) => handle);
    const facts = await cluster.withSlots((stateOf) =>
      factsOfSlots(stateOf, dids, handles, comparableOf(new Model(0))),
    );
    accounts.forEach((account, number) => {
      expectMeaning(facts, account, number);
    });
  });
});

describe('a file', () => {
  for (const point of fileCrashPoints) {
    it(`whose writer is killed at ${point} keeps its old content and can be replaced`, async () => {
      const script = join(supportFolder, 'run-file-child.ts');
      const child = (): Promise<unknown[]> => once(spawn(process.execPath, [script, folder]), 'exit');
      expect(await child()).toEqual([null, 'SIGKILL']);
      expect(readRunFile(folder)).toMatchObject({ epoch: 1 });
      expect(await child()).toEqual([null, 'SIGKILL']);
      expect(readRunFile(folder)).toMatchObject({ epoch: 1 });
    });
  }
});
