/** Slots are compacted while serving threads answer and writes come in: no answer is ever stale. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { GrpcLoad, grpcRequest } from '../../bench/grpc-load.ts';
import type { RepoOp } from '../../src/atproto/repo-op.ts';
import { TidClock } from '../../src/demo/model/tid-clock.ts';
import { RemoteLog } from '../../src/log/remote-log.ts';
import { type RunningNode, startNode } from '../../src/node/node-process.ts';
import { decodeMessage, encodeMessage } from '../../src/proto/codec.ts';
import { parseShardMap } from '../../src/shardmap/shard-map.ts';
import { slotOf } from '../../src/shardmap/slot-of.ts';
import { NodeClient } from '../../src/wire/node-client.ts';
import type { SlotCompaction } from '../../src/wire/slot-compaction.ts';
import { CommitAppender } from '../support/commit-appender.ts';
import { edgeSettings } from '../support/edge-settings.ts';
import { recordOp } from '../support/record-op.ts';
import { until } from '../support/until.ts';

const slots = 4;
const connections = 12;
const authors = Array.from({ length: 8 }, (_unused, index) => `did:web:author${index}.example`);

function mapJson(port: number): object {
  const shards = [{ name: 's0', primary: 'n0', slots: [`0-${slots - 1}`] }];
  return { epoch: 1, slots, nodes: { n0: { host: '127.0.0.1', port } }, shards };
}

let folder: string;
let node: RunningNode;
let client: NodeClient;
let log: RemoteLog;
let load: GrpcLoad;

async function start(compactQuietS: number): Promise<void> {
  node = await startNode({
    name: 'n0',
    mapJson: mapJson(0),
    dataDir: join(folder, 'n0'),
    host: '127.0.0.1',
    port: 0,
    slotMapBytes: 2 ** 28,
    lingerMs: 1,
    compactQuietS,
    applyThreads: 2,
    serveThreads: 3,
    edge: edgeSettings,
    prefetchReads: false,
    recordCacheMib: 8,
    adminToken: null,
    clusterToken: null,
    registry: new Registry(),
  });
  const map = parseShardMap(mapJson(node.port));
  client = new NodeClient({ map });
  log = new RemoteLog({ caller: client, map: () => map, lingerMs: 0 });
  load = new GrpcLoad(node.routerPort!, connections);
}

async function stop(): Promise<void> {
  load.close();
  await log[Symbol.asyncDispose]();
  await client[Symbol.asyncDispose]();
  await node.close();
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'skyshard-compaction-'));
  await start(0);
}, 60_000);

afterAll(async () => {
  await stop();
  rmSync(folder, { recursive: true, force: true });
});

const tids = new TidClock(1);
const commits = new CommitAppender();

function commit(did: string, ...ops: RepoOp[]): Promise<void> {
  return commits.commit(log, did, ops);
}

function postOf(text: string): { readonly rkey: string; readonly op: RepoOp } {
  const rkey = tids.next(commits.timeMs);
  const record = { $type: 'app.bsky.feed.post', text, createdAt: new Date(commits.timeMs).toISOString() };
  return { rkey, op: recordOp({ collection: 'app.bsky.feed.post', rkey }, record) };
}

async function compact(slot: number, action: 'begin' | 'look'): Promise<SlotCompaction> {
  const answer = await fetch(`http://127.0.0.1:${node.routerPort}/v1/compact`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ slot, action }),
  });
  expect(answer.status).toBe(200);
  return (await answer.json()) as SlotCompaction;
}

async function textsOf(uri: string): Promise<Set<string>> {
  const request = grpcRequest('GetPostRecords', encodeMessage('GetPostRecordsRequest', { uris: [uri] }));
  const answers = Array.from({ length: connections }, async () => {
    const { records } = decodeMessage('GetPostRecordsResponse', Buffer.from(await load.ask(request)));
    const json = Buffer.from(records[0]!.record).toString();
    return json === '' ? '' : (JSON.parse(json) as { text: string }).text;
  });
  return new Set(await Promise.all(answers));
}

it('shows each acknowledged write on every thread, while all slots are compacted again and again', async () => {
  let isDone = false;
  let compactions = 0;
  const compacting = (async () => {
    while (!isDone) {
      for (let slot = 0; slot < slots; slot++) {
        await compact(slot, 'begin');
        await until(async () => ((await compact(slot, 'look')).phase === 'done' ? true : undefined));
        compactions++;
      }
    }
  })();
  const textByUri = new Map<string, string>();
  try {
    for (let round = 0; round < 60 || compactions < 3 * slots; round++) {
      const did = authors[round % authors.length]!;
      const { rkey, op } = postOf(`post ${round}`);
      const uri = `at://${did}/app.bsky.feed.post/${rkey}`;
      await commit(did, op);
      expect(await textsOf(uri)).toEqual(new Set([`post ${round}`]));
      textByUri.set(uri, `post ${round}`);
    }
  } finally {
    isDone = true;
    await compacting;
  }
  await stop();
  await start(0);
  for (const [uri, text] of textByUri) expect(await textsOf(uri)).toEqual(new Set([text]));
}, 120_000);

it('compacts by itself what is quiet and mostly unused, and says before how much that frees', async () => {
  const did = authors[0]!;
  const slot = slotOf(did, slots);
  let lastUri = '';
  for (let round = 0; round < 60; round++) {
    const posts = authors.map(() => Array.from({ length: 5 }, () => postOf(`round ${round}`)));
    await Promise.all(authors.map((author, index) => commit(author, ...posts[index]!.map(({ op }) => op))));
    lastUri = `at://${did}/app.bsky.feed.post/${posts[0]!.at(-1)!.rkey}`;
  }
  const before = await compact(slot, 'look');
  expect(before.packedBytes).toBeLessThan(before.bytes * 0.7);
  await stop();
  await start(1);
  const after = await until(async () => {
    const found = await compact(slot, 'look');
    return found.phase === 'done' ? found : undefined;
  }, 30_000);
  expect(after.bytes).toBeLessThan(before.bytes * 0.7);
  expect(Math.abs(after.bytes - before.packedBytes)).toBeLessThan(after.bytes * 0.2);
  expect(await textsOf(lastUri)).toEqual(new Set(['round 59']));
}, 120_000);
