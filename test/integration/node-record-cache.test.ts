/** A running node's reads show every change at once, although they are cached. */
import type { Registry } from 'prom-client';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { cidOfBlock } from '../../src/atproto/cid.ts';
import { deleteOp, type RepoOp } from '../../src/atproto/repo-op.ts';
import type { Entry } from '../../src/entry/entry.ts';
import { RemoteLog } from '../../src/log/remote-log.ts';
import { decodeMessage, encodeMessage } from '../../src/proto/codec.ts';
import { encodeTimeline } from '../../src/wire/feed-messages.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import type { NodeClient } from '../../src/wire/node-client.ts';
import { decodeRecordBatchAnswer, encodeRecordBatchRequest } from '../../src/wire/record-batch.ts';
import { type LoneNode, startLoneNode } from '../support/lone-node.ts';
import { jsonOfOp, type OpPath, recordOp } from '../support/record-op.ts';
import { encodeFollowersAmong } from '../support/wire-messages.ts';

const did = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa';
const post = { collection: 'app.bsky.feed.post', rkey: '3k2aaaaaaaa22' };
const uri = `at://${did}/${post.collection}/${post.rkey}`;
const createdAt = '2026-01-01T00:00:00.000Z';

let node: LoneNode;
let registry: Registry;
let client: NodeClient;
let log: RemoteLog;

beforeEach(async () => {
  node = await startLoneNode({ slots: 4, applyThreads: 1 });
  ({ registry, client } = node);
  log = new RemoteLog({ caller: client, map: () => node.map, lingerMs: 1 });
});

afterEach(async () => {
  await log[Symbol.asyncDispose]();
  await node[Symbol.asyncDispose]();
});

let revNumber = 0;

/** Appends an entry as any writer does; resolves once it is applied and durable. */
async function write(entry: Entry & { did: string }): Promise<void> {
  await log.append(entry.did, entry);
}

async function commit(path: OpPath & Pick<RepoOp, 'action'>, record: object | null): Promise<string> {
  const { collection, rkey, action } = path;
  const op =
    record === null || action === 'delete'
      ? deleteOp(collection, rkey)
      : recordOp(path, { $type: collection, createdAt, ...record }, action);
  const rev = `3l2aaaaaaa${String.fromCharCode(97 + revNumber++)}22`;
  const eventMs = Date.UTC(2026, 0, 2);
  await write({ kind: 'commit', did, rev, since: null, eventMs, ops: [op] });
  return record === null ? '' : jsonOfOp(op);
}

async function ask(method: string, payload: Uint8Array): Promise<Uint8Array> {
  return client.call({ node: 'n0', method, payload, timeoutMs: 10_000 });
}

/** Returns the post as both reads answer with it, after asking often enough for it to be cached. */
async function read() {
  const request = encodeMessage('GetPostRecordsRequest', { uris: [uri] });
  for (let time = 0; ; time++) {
    const [json] = decodeRecordBatchAnswer(await ask(nodeCalls.records, encodeRecordBatchRequest([uri])));
    const { records, meta } = decodeMessage('GetPostRecordsResponse', await ask('bsky.GetPostRecords', request));
    const record = records[0]!;
    const text = Buffer.from(record.record).toString();
    expect(json === null ? 'null' : json?.toString()).toBe(text);
    if (time === 2) return { text, takedownRef: record.takedownRef, hasThreadGate: meta[0]!.hasThreadGate };
  }
}

/** Reads a series of a cache from the node's metrics. */
async function metric(name: string, cache = 'records'): Promise<number> {
  const text = await registry.metrics();
  return Number(new RegExp(`^skyshard_cache_${name}\\{cache="${cache}"\\} (\\d+)$`, 'm').exec(text)?.[1]);
}

/** Changes something and reads at once; what was there before had been answered from the cache. */
async function readAfter(change: () => Promise<unknown>) {
  const hits = await metric('hits_total');
  await read();
  expect(await metric('hits_total')).toBeGreaterThan(hits);
  await change();
  return read();
}

it('shows updates, gates, takedowns and deletes of cached records at once', async () => {
  const first = await commit({ action: 'create', ...post }, { text: 'first' });
  expect(await read()).toEqual({ text: first, takedownRef: '', hasThreadGate: false });
  for (let turn = 0; turn < 5; turn++) {
    let json = '';
    const update = async () => {
      json = await commit({ action: 'update', ...post }, { text: `turn ${turn}` });
    };
    expect(await readAfter(update)).toMatchObject({ text: json });
  }
  const gate = { collection: 'app.bsky.feed.threadgate', rkey: post.rkey };
  expect(await readAfter(() => commit({ action: 'create', ...gate }, { post: uri }))).toMatchObject({
    hasThreadGate: true,
  });
  expect(await readAfter(() => commit({ action: 'delete', ...gate }, null))).toMatchObject({ hasThreadGate: false });
  const takedown = (ref: string | null) => () =>
    write({ kind: 'private', did, write: { type: 'record-takedown', ...post, ref } });
  expect(await readAfter(takedown('mod-1'))).toMatchObject({ takedownRef: 'mod-1' });
  expect(await readAfter(takedown(null))).toMatchObject({ takedownRef: '' });
  expect(await readAfter(() => commit({ action: 'delete', ...post }, null))).toMatchObject({ text: 'null' });
});

it('updates counts that were cached at once', async () => {
  await commit({ action: 'create', ...post }, { text: 'liked' });
  const request = encodeMessage('GetInteractionCountsRequest', { refs: [{ uri, cid: '' }] });
  const likes = async () => {
    for (let time = 0; ; time++) {
      const answer = await ask('bsky.GetInteractionCounts', request);
      const [count] = decodeMessage('GetInteractionCountsResponse', answer).likes;
      if (time === 2) return count;
    }
  };
  const like = { collection: 'app.bsky.feed.like', rkey: '3k2cccccccc22' };
  const subject = { uri, cid: cidOfBlock(Buffer.from('liked')).text };
  for (let turn = 0; turn < 3; turn++) {
    expect(await likes()).toBe(0);
    const hits = await metric('hits_total');
    expect(await likes()).toBe(0);
    expect(await metric('hits_total')).toBeGreaterThan(hits);
    await commit({ action: 'create', ...like }, { subject });
    expect(await likes()).toBe(1);
    await commit({ action: 'delete', ...like }, null);
  }
});

it('shows at once that a deleted account has no records', async () => {
  await commit({ action: 'create', ...post }, { text: 'there' });
  await read();
  const remove = () => write({ kind: 'account', did, active: false, status: 'deleted', eventMs: Date.UTC(2026, 0, 3) });
  expect(await readAfter(remove)).toMatchObject({ text: 'null' });
});

it('answers each of many concurrent calls with its own records', async () => {
  const json = await commit({ action: 'create', ...post }, { text: 'there' });
  const absent = `at://${did}/${post.collection}/3k2bbbbbbbb22`;
  const askFor = async (uris: string[]) => {
    const answer = await ask('bsky.GetPostRecords', encodeMessage('GetPostRecordsRequest', { uris }));
    return decodeMessage('GetPostRecordsResponse', answer).records.map(({ record }) => Buffer.from(record).toString());
  };
  const asked = Array.from({ length: 60 }, (_unused, index) =>
    Array.from({ length: index % 7 }, (_item, item) => (item === index % 3 ? uri : absent)),
  );
  const expected = asked.map((uris) => uris.map((each) => (each === uri ? json : 'null')));
  expect(await Promise.all(asked.map(askFor))).toEqual(expected);
});

it('counts hits and misses of records, and their bytes', async () => {
  await commit({ action: 'create', ...post }, { text: 'there' });
  await read();
  expect(await metric('capacity_bytes')).toBe(2 ** 20);
  expect(await metric('bytes')).toBeLessThan(2 ** 20);
  // The second ask caches the record.
  expect([await metric('misses_total'), await metric('hits_total')]).toEqual([2, 4]);
});

it('shows hits and misses of every cache', async () => {
  await commit({ action: 'create', ...post }, { text: 'there' });
  await commit({ action: 'create', collection: 'app.bsky.graph.follow', rkey: '3k2dddddddd22' }, { subject: did });
  const questions: Record<string, [method: string, payload: Uint8Array]> = {
    actors: ['bsky.GetActors', encodeMessage('GetActorsRequest', { dids: [did] })],
    edges: [nodeCalls.followersAmong, encodeFollowersAmong({ subjects: [did], candidates: [did] })],
    feeds: [nodeCalls.timeline, encodeTimeline({ before: null, limit: 10, did })],
    follows: [nodeCalls.timeline, encodeTimeline({ before: null, limit: 10, did })],
    owners: ['bsky.GetCountsForUsers', encodeMessage('GetCountsForUsersRequest', { dids: [did] })],
    records: ['bsky.GetPostRecords', encodeMessage('GetPostRecordsRequest', { uris: [uri] })],
  };
  for (const [cache, [method, payload]] of Object.entries(questions)) {
    const hits = await metric('hits_total', cache);
    for (let time = 0; time < 3; time++) await ask(method, payload);
    expect(await metric('hits_total', cache), cache).toBeGreaterThan(hits);
    expect(await metric('misses_total', cache), cache).toBeGreaterThan(0);
    expect(await metric('evictions_total', cache), cache).toBe(0);
    expect(await metric('bytes', cache), cache).toBeGreaterThan(0);
    expect(await metric('capacity_bytes', cache), cache).toBeGreaterThanOrEqual(await metric('bytes', cache));
  }
});
