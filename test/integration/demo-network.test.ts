/** The demo network speaks the protocol, survives restarts and torn files, and stays bounded. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  cborToLex,
  parseDataKey,
  type RecordCidClaim,
  readCarWithRoot,
  verifyProofs,
  verifyRepoCar,
} from '@atproto/repo';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { Cid } from '../../src/atproto/cid.ts';
import { decodeFirehoseMessage, type FirehoseEvent } from '../../src/atproto/firehose-event.ts';
import { openRepoCar } from '../../src/atproto/repo-car.ts';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import {
  type DemoNetworkOptions,
  type RunningDemoNetwork,
  startDemoNetwork,
} from '../../src/demo/server/demo-network.ts';
import { until } from '../support/until.ts';

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'skyshard-demo-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

/** A constant wall time, so that the same seed gives the same network. */
const frozenClock: Clock = { ...systemClock, nowMs: () => Date.UTC(2026, 2, 1) };

function start(options: Partial<DemoNetworkOptions> = {}): Promise<RunningDemoNetwork> {
  const small = { seed: 3, actors: 20, initialRecords: 300, recordsPerSecond: 0, clock: frozenClock };
  return startDemoNetwork({ ...small, dataDir: join(folder, 'demo'), ...options });
}

/** The header of a `#commit` message has two keys and their values. */
const commitHeaderBytes = 15;
type CommitBody = {
  readonly blocks: Uint8Array;
  readonly ops: readonly { readonly path: string; readonly cid: RecordCidClaim['cid'] }[];
};

type RepoList = {
  readonly cursor?: string;
  readonly repos: readonly {
    readonly did: string;
    readonly head: string;
    readonly rev: string;
    readonly active: boolean;
  }[];
};
type DidDocument = {
  readonly alsoKnownAs: readonly string[];
  readonly verificationMethod: readonly { readonly publicKeyMultibase: string }[];
};

/** Reads the stream until its socket closes or the reader is disposed. */
class StreamReader implements AsyncDisposable {
  readonly events: FirehoseEvent[] = [];
  readonly messages: Buffer[] = [];
  readonly #socket: WebSocket;

  constructor(network: RunningDemoNetwork, cursor: number | null) {
    const query = cursor === null ? '' : `?cursor=${cursor}`;
    this.#socket = new WebSocket(`${network.url.replace('http', 'ws')}/xrpc/com.atproto.sync.subscribeRepos${query}`);
    this.#socket.on('message', (message: Buffer) => {
      const decoded = decodeFirehoseMessage(message);
      if (!decoded.ok) throw new Error(decoded.reason);
      this.messages.push(message);
      this.events.push(decoded.value);
    });
  }

  get isClosed(): boolean {
    return this.#socket.readyState === WebSocket.CLOSED;
  }

  async opened(): Promise<this> {
    await once(this.#socket, 'open', { signal: AbortSignal.timeout(10_000) });
    return this;
  }

  /** Waits for the message of this seq. */
  async upTo(seq: number): Promise<FirehoseEvent[]> {
    await until(() => this.events.some((event) => event.seq === seq), 20_000);
    return this.events;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.isClosed) return;
    const closed = once(this.#socket, 'close', { signal: AbortSignal.timeout(10_000) });
    this.#socket.terminate();
    await closed;
  }
}

async function getJson<Body = object>(
  network: RunningDemoNetwork,
  path: string,
): Promise<{ status: number; body: Body }> {
  const response = await fetch(`${network.url}${path}`, { signal: AbortSignal.timeout(10_000) });
  return { status: response.status, body: (await response.json()) as Body };
}

async function getRepo(network: RunningDemoNetwork, did: string): Promise<Uint8Array> {
  const url = `${network.url}/xrpc/com.atproto.sync.getRepo?did=${did}`;
  const response = await fetch(url, { signal: AbortSignal.timeout(10_000) });
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe('application/vnd.ipld.car');
  return new Uint8Array(await response.arrayBuffer());
}

async function signingKey(network: RunningDemoNetwork, did: string): Promise<string> {
  const { body } = await getJson<DidDocument>(network, `/${did}`);
  return `did:key:${body.verificationMethod[0]!.publicKeyMultibase}`;
}

/** Repos according to the stream alone, checking that each commit follows the one before. */
class StreamModel {
  readonly recordsByDid = new Map<string, Map<string, string>>();
  readonly revByDid = new Map<string, string>();
  readonly activeByDid = new Map<string, boolean>();
  seq = 0;

  take(event: FirehoseEvent): void {
    if (event.seq === null) throw new Error(`a message of the stream has a seq; this is ${event.kind}`);
    expect(event.seq).toBe(this.seq + 1);
    this.seq = event.seq;
    if (event.kind === 'account') this.activeByDid.set(event.did, event.active);
    if (event.kind === 'sync') expect(event.rev).toBe(this.revByDid.get(event.did));
    if (event.kind !== 'commit') return;
    expect(event.since).toBe(this.revByDid.get(event.did) ?? null);
    this.revByDid.set(event.did, event.rev);
    expect(event.badOps).toEqual([]);
    let records = this.recordsByDid.get(event.did);
    if (records === undefined) {
      records = new Map();
      this.recordsByDid.set(event.did, records);
    }
    for (const { op } of event.ops) {
      const path = `${op.collection}/${op.rkey}`;
      if (op.action === 'delete') expect(records.delete(path)).toBe(true);
      else {
        expect(records.has(path)).toBe(op.action === 'update');
        records.set(path, new Cid(op.cid).text);
      }
    }
  }
}

/** Checks every active repo of the network, its signature and tree, against the stream. */
async function expectReposLike(model: StreamModel, network: RunningDemoNetwork): Promise<number> {
  const { body } = await getJson<RepoList>(network, '/xrpc/com.atproto.sync.listRepos?limit=1000');
  let records = 0;
  for (const { did, head, rev, active } of body.repos) {
    expect(active).toBe(model.activeByDid.get(did));
    expect(rev).toBe(model.revByDid.get(did));
    if (!active) continue;
    const car = await getRepo(network, did);
    const verified = await verifyRepoCar(car, did, await signingKey(network, did));
    expect(verified.commit.rev).toBe(rev);
    const { root } = await readCarWithRoot(car);
    expect(root.toString()).toBe(head);
    const found = new Map(
      verified.creates.map((record) => [`${record.collection}/${record.rkey}`, record.cid.toString()]),
    );
    expect(found).toEqual(model.recordsByDid.get(did));
    const opened = openRepoCar(car);
    if (!opened.ok) throw new Error(opened.reason);
    expect([opened.value.did, opened.value.rev, opened.value.commitCid]).toEqual([did, rev, head]);
    for (const chunk of opened.value.chunks(100)) {
      if (!chunk.ok) throw new Error(chunk.reason);
      records += chunk.value.ops.length;
    }
  }
  return records;
}

describe('the demo network', () => {
  test('streams exactly what its repos hold, signed and proven', async () => {
    await using network = await start();
    await network.emit(200);
    await using reader = new StreamReader(network, 0);
    const model = new StreamModel();
    for (const event of await reader.upTo(network.seq)) model.take(event);
    expect(model.recordsByDid.size).toBe(20);
    const records = await expectReposLike(model, network);
    expect(records).toBeGreaterThan(350);
    expect(records).toBeLessThanOrEqual(network.records);
  });

  test('proves each op of a commit by the blocks in it', async () => {
    await using network = await start();
    await using reader = new StreamReader(network, 0);
    const events = await reader.upTo(network.seq);
    let proven = 0;
    for (const [index, event] of events.entries()) {
      if (event.kind !== 'commit') continue;
      const { blocks, ops } = cborToLex(reader.messages[index]!.subarray(commitHeaderBytes)) as unknown as CommitBody;
      const claims = ops.map(({ path, cid }) => ({ ...parseDataKey(path), cid }));
      const result = await verifyProofs(blocks, claims, event.did, await signingKey(network, event.did));
      expect(result.unverified).toEqual([]);
      expect(result.verified.length).toBe(event.ops.length);
      proven += result.verified.length;
    }
    expect(proven).toBeGreaterThanOrEqual(300);
  });

  test('gives the same stream for the same seed and time', async () => {
    const digests: string[] = [];
    for (const name of ['one', 'two']) {
      await using network = await start({ dataDir: join(folder, name) });
      await network.emit(50);
      await using reader = new StreamReader(network, 0);
      await reader.upTo(network.seq);
      digests.push(Buffer.concat(reader.messages).toString('base64'));
    }
    expect(digests[0]).toBe(digests[1]);
  });

  test('goes on after a restart: same repos, higher seqs, no gap for a returning subscriber', async () => {
    const model = new StreamModel();
    let dids: string[] = [];
    {
      await using network = await start();
      await using reader = new StreamReader(network, 0);
      for (const event of await reader.upTo(network.seq)) model.take(event);
      // The subscriber misses these.
      await network.emit(40);
      dids = (await getJson<RepoList>(network, '/xrpc/com.atproto.sync.listRepos')).body.repos.map((repo) => repo.did);
    }
    const missedFrom = model.seq;
    await using network = await start();
    expect(network.seq).toBeGreaterThanOrEqual(missedFrom + 40 - 10);
    await network.emit(60);
    await using reader = new StreamReader(network, missedFrom);
    for (const event of await reader.upTo(network.seq)) model.take(event);
    expect(
      (await getJson<RepoList>(network, '/xrpc/com.atproto.sync.listRepos')).body.repos.map((repo) => repo.did),
    ).toEqual(dids);
    await expectReposLike(model, network);
  });

  test('refuses a folder that holds another network', async () => {
    await using first = await start();
    await first.close();
    await expect(start({ seed: 4 })).rejects.toMatchObject({ code: 'ConfigInvalid' });
  });

  test('goes on by itself at its pace, for subscribers without a cursor too', async () => {
    await using network = await start({ recordsPerSecond: 200, clock: systemClock });
    await using reader = await new StreamReader(network, null).opened();
    const first = network.seq;
    await until(() => reader.events.length > 100, 20_000);
    expect(reader.events[0]!.seq!).toBeGreaterThan(first - 50);
    const seqs = reader.events.map((event) => event.seq!);
    expect(seqs).toEqual(seqs.map((_seq, index) => seqs[0]! + index));
  });

  test('reports a cursor from the future, and closes', async () => {
    await using network = await start({ initialRecords: 20 });
    await using reader = new StreamReader(network, network.seq + 1);
    await until(() => reader.isClosed);
    expect(reader.events).toMatchObject([{ kind: 'error', error: 'FutureCursor' }]);
  });

  test('reports a cursor that is too old, and goes on from the oldest message', async () => {
    await using network = await start({ backlogBytesMax: 100_000 });
    await using reader = new StreamReader(network, 0);
    const events = await reader.upTo(network.seq);
    expect(events[0]).toMatchObject({ kind: 'info', name: 'OutdatedCursor' });
    expect(events[1]!.seq).toBeGreaterThan(1);
    expect(events[1]!.seq).toBe(network.world.backlog.oldestSeq);
  });

  test('changes handles and deactivates accounts, in the stream and in every answer', async () => {
    await using network = await start({ accountEvents: 0.2, actors: 60 });
    await using reader = new StreamReader(network, network.seq);
    await until(async () => {
      await network.emit(50);
      const { events } = reader;
      const accounts = events.filter((event) => event.kind === 'account');
      return (
        events.some((event) => event.kind === 'identity' && /-\d/.test(event.handle ?? '')) &&
        accounts.some((event) => event.active) &&
        accounts.some((event) => !network.world.isActive(network.world.actorOfDid(event.did)!)) &&
        events.some((event) => event.kind === 'sync')
      );
    });
    await reader.upTo(network.seq);
    const handles = new Map<string, string>();
    const active = new Map<string, boolean>();
    for (const event of reader.events) {
      if (event.kind === 'identity') handles.set(event.did, event.handle!);
      if (event.kind === 'account') active.set(event.did, event.active);
    }
    for (const [did, handle] of handles) {
      const resolved = await getJson(network, `/xrpc/com.atproto.identity.resolveHandle?handle=${handle}`);
      expect(resolved.body).toEqual({ did });
      expect((await getJson<DidDocument>(network, `/${did}`)).body.alsoKnownAs).toEqual([`at://${handle}`]);
      const former = handle.replace(/-\d+\./, '.');
      if (former === handle) continue;
      const gone = await getJson(network, `/xrpc/com.atproto.identity.resolveHandle?handle=${former}`);
      expect(gone.status).toBe(400);
    }
    expect([...active.values()]).toContain(false);
    for (const [did, isActive] of active) {
      const status = await getJson<{ active: boolean }>(network, `/xrpc/com.atproto.sync.getRepoStatus?did=${did}`);
      expect(status.body.active).toBe(isActive);
      if (isActive) continue;
      const refused = await getJson(network, `/xrpc/com.atproto.sync.getRepo?did=${did}`);
      expect(refused).toMatchObject({ status: 400, body: { error: 'RepoDeactivated' } });
    }
  });

  test('does not grow past its bound, and still agrees with its stream', async () => {
    await using network = await start({ recordsMax: 320 });
    await network.emit(300);
    expect(network.records).toBeLessThanOrEqual(320 + 20);
    await using reader = new StreamReader(network, 0);
    const model = new StreamModel();
    for (const event of await reader.upTo(network.seq)) model.take(event);
    await expectReposLike(model, network);
  });

  test('keeps its folder small by compacting the journal, and goes on from it', async () => {
    const path = join(folder, 'demo', 'journal');
    const sizes: number[] = [];
    const model = new StreamModel();
    for (let run = 0; run < 3; run++) {
      await using network = await start({ recordsMax: 200, journalSlackBytes: 10_000 });
      for (let step = 0; step < 10; step++) {
        await network.emit(40);
        sizes.push(statSync(path).size);
      }
      await using reader = new StreamReader(network, model.seq);
      for (const event of await reader.upTo(network.seq)) model.take(event);
      await expectReposLike(model, network);
    }
    expect(sizes.some((size, index) => size < (sizes[index - 1] ?? 0))).toBe(true);
    // Three runs without compaction end at 438,000 bytes.
    expect(Math.max(...sizes)).toBeLessThan(300_000);
  });

  test('reveals by a later commit that a crash lost messages of its stream', async () => {
    const model = new StreamModel();
    {
      await using network = await start();
      await network.emit(30);
    }
    const frames = join(folder, 'demo', 'frames-newer');
    truncateSync(frames, statSync(frames).size - 10_000);
    await using network = await start();
    const lost = network.seq - network.world.backlog.newestSeq;
    expect(lost).toBeGreaterThan(2);
    await network.emit(200);
    await using reader = new StreamReader(network, 0);
    const stale = new Set<string>();
    for (const event of await reader.upTo(network.seq)) {
      if (event.kind !== 'commit') continue;
      if (event.since !== (model.revByDid.get(event.did) ?? null)) stale.add(event.did);
      model.revByDid.set(event.did, event.rev);
    }
    expect(stale.size).toBeGreaterThan(0);
    expect(stale.size).toBeLessThanOrEqual(lost);
    for (const did of stale) expect((await getRepo(network, did)).length).toBeGreaterThan(100);
  });

  test('reports that its port is taken, and leaves the folder free', async () => {
    await using first = await start();
    const options = { dataDir: join(folder, 'other'), port: first.port };
    await expect(start(options)).rejects.toMatchObject({ code: 'ConfigInvalid' });
    await using second = await start({ dataDir: join(folder, 'other') });
    expect(second.records).toBeGreaterThan(200);
  });

  test('names examples that exist', async () => {
    await using network = await start();
    const { popularDid, popularHandle, readerDid, likedPostUri, threadUri } = network.examples;
    expect((await getJson(network, '/examples')).body).toEqual(network.examples);
    const resolved = await getJson(network, `/xrpc/com.atproto.identity.resolveHandle?handle=${popularHandle}`);
    expect(resolved.body).toEqual({ did: popularDid });
    expect((await getJson(network, `/${readerDid}`)).status).toBe(200);
    await using reader = new StreamReader(network, 0);
    const model = new StreamModel();
    for (const event of await reader.upTo(network.seq)) model.take(event);
    for (const uri of [likedPostUri!, threadUri!]) {
      const [, , did, ...path] = uri.split('/');
      expect(model.recordsByDid.get(did!)!.has(path.join('/'))).toBe(true);
    }
  });

  test('answers unknown DIDs, methods and invalid parameters with errors', async () => {
    await using network = await start({ initialRecords: 20 });
    const cases: [string, number, object][] = [
      ['/xrpc/com.atproto.sync.getRepo', 400, { error: 'InvalidRequest' }],
      ['/xrpc/com.atproto.sync.getRepo?did=did:plc:nobody', 400, { error: 'RepoNotFound' }],
      ['/xrpc/com.atproto.sync.getLatestCommit?did=x', 400, { error: 'RepoNotFound' }],
      ['/xrpc/com.atproto.sync.listRepos?limit=0', 400, { error: 'InvalidRequest' }],
      ['/xrpc/com.atproto.sync.listRepos?cursor=x', 400, { error: 'InvalidRequest' }],
      ['/xrpc/com.atproto.identity.resolveHandle?handle=nobody.test', 400, { error: 'InvalidRequest' }],
      ['/xrpc/app.bsky.feed.getTimeline', 501, { error: 'MethodNotImplemented' }],
      ['/did:plc:nobody', 404, {}],
      ['/%', 404, {}],
    ];
    for (const [path, status, body] of cases) expect(await getJson(network, path)).toMatchObject({ status, body });
  });

  test('lists repos page by page, each once', async () => {
    await using network = await start({ initialRecords: 20 });
    const dids: string[] = [];
    let cursor = '';
    for (let page = 0; page < 10; page++) {
      const { body } = await getJson<RepoList>(network, `/xrpc/com.atproto.sync.listRepos?limit=6${cursor}`);
      dids.push(...body.repos.map((repo) => repo.did));
      if (body.cursor === undefined) break;
      cursor = `&cursor=${body.cursor}`;
    }
    expect(dids.length).toBe(new Set(dids).size);
    expect(dids.length).toBeGreaterThan(15);
  });
});
