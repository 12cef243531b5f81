/** A read after a commit of another thread sees it, whatever was cached before. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { TidClock } from '../../src/demo/model/tid-clock.ts';
import type { Entry } from '../../src/entry/entry.ts';
import { encodeEntry } from '../../src/entry/entry-codec.ts';
import { decodeMessage, encodeMessage } from '../../src/proto/codec.ts';
import { createReadHandlers, type Reads } from '../../src/read/handler/read-handlers.ts';
import { type SlotChanges, SlotState, slotTableNames } from '../../src/slot/table/slot-state.ts';
import { Environment } from '../../src/storage/environment.ts';
import { encodeTimeline } from '../../src/wire/feed-messages.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { recordOp } from '../support/record-op.ts';
import { decodeNewestByAuthorsAnswer, encodeNewestByAuthors } from '../support/wire-messages.ts';
import { didOf, ReadsNetwork } from './reads-network.ts';

const alice = didOf('alice');
const mapBytes = 2 ** 28;
const callContext = { method: '', epoch: 1, deadlineMs: Number.MAX_SAFE_INTEGER };

let folder: string;
let writer: Worker;
let environment: Environment;
let reads: Reads;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'skyshard-fresh-'));
  writer = new Worker(new URL('./reads-writer.ts', import.meta.url), { workerData: { path: folder, mapBytes } });
  await once(writer, 'message');
  environment = Environment.open({ path: folder, mapBytes, tables: slotTableNames });
  const state = new SlotState(0, environment);
  reads = createReadHandlers({
    slots: 1,
    stateOf: () => state,
    refreshReads: () => environment.refreshReads(),
    // Its time stands still, so that no read takes a second turn.
    clock: new ManualClock(),
    recordCacheBytes: 2 ** 20,
  });
});

afterEach(async () => {
  writer.postMessage(null);
  await once(writer, 'exit');
  await environment.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Writes in the other thread and, once that is on disk, invalidates the caches of this one. */
async function write(entry: Entry): Promise<void> {
  writer.postMessage(encodeEntry(entry));
  const [changes] = (await once(writer, 'message')) as [SlotChanges];
  reads.invalidate(0, changes);
}

function read(method: string, payload: Uint8Array): Uint8Array {
  return reads.handlers.get(method)!(payload, callContext) as Uint8Array;
}

function seenMs(): number | undefined {
  const request = encodeMessage('GetNotificationSeenRequest', { actorDid: alice });
  return decodeMessage('GetNotificationSeenResponse', read('bsky.GetNotificationSeen', request)).timestamp;
}

it('says no more that something is not there once the slot has become incomplete', async () => {
  const request = encodeMessage('GetActorTakedownRequest', { did: alice });
  const whatIsNotThere = (): Uint8Array => read('bsky.GetActorTakedown', request);
  expect(whatIsNotThere).not.toThrow();
  await write({ kind: 'tail-lost', lostIn: 1, generation: 2 });
  expect(whatIsNotThere).toThrow(/has lost what it held/);
});

it('shows a private write of another thread to the next read', async () => {
  for (let index = 1; index <= 50; index++) {
    // This read leaves open a read transaction that predates the write.
    expect(seenMs()).toBe(index === 1 ? undefined : index - 1);
    await write({ kind: 'private', did: alice, write: { type: 'notification-seen', seenMs: index } });
    expect(seenMs()).toBe(index);
  }
});

it('shows a new post of another thread in cached feeds, and a new handle of a cached actor', async () => {
  const tids = new TidClock(1);
  const asked = encodeNewestByAuthors({ before: null, limit: 100, authors: [alice] });
  const handleOf = () =>
    decodeMessage('GetActorsResponse', read('bsky.GetActors', encodeMessage('GetActorsRequest', { dids: [alice] })))
      .actors[0]!.handle;
  let since: string | null = null;
  for (let index = 1; index <= 30; index++) {
    const eventMs = Date.UTC(2025, 0, 1) + index;
    const [rkey, rev] = [tids.next(eventMs), tids.next(eventMs)];
    const collection = 'app.bsky.feed.post';
    const record = { $type: collection, text: `${index}`, createdAt: new Date(eventMs).toISOString() };
    const op = recordOp({ collection, rkey }, record);
    await write({ kind: 'commit', did: alice, rev, since, eventMs, ops: [op] });
    since = rev;
    const items = decodeNewestByAuthorsAnswer(read(nodeCalls.newestByAuthors, asked));
    expect(items).toHaveLength(index);
    expect(items[0]!.itemUri).toBe(`at://${alice}/app.bsky.feed.post/${rkey}`);
    const handle = `alice${index}.test`;
    await write({
      kind: 'identity',
      did: alice,
      handle,
      verifiedAtMs: eventMs,
      keysJson: '',
      servicesJson: '',
      eventMs,
    });
    expect(handleOf()).toBe(handle);
  }
});

it('answers the same with a prefetch as without', async () => {
  await using network = new ReadsNetwork({ slots: 4 });
  const [bob, carol] = [didOf('bob'), didOf('carol')];
  network.profile(alice, 'alice.test');
  const posts = Array.from({ length: 20 }, (_unused, index) =>
    network.post([alice, bob, carol][index % 3]!, `post ${index}`),
  );
  const likes = posts.map((post) => network.like(carol, post));
  for (const did of [bob, carol]) network.follow(alice, did);
  network.settle();
  const prefetching = createReadHandlers({
    slots: 4,
    stateOf: (slot) => network.cluster.slots[slot]?.state,
    refreshReads: () => {},
    prefetchReads: true,
    recordCacheBytes: 2 ** 20,
  });
  const uris = [...posts.map(({ uri }) => uri), 'at://did:plc:none/app.bsky.feed.post/x'];
  const asked: [string, Uint8Array][] = [
    ['bsky.GetPostRecords', encodeMessage('GetPostRecordsRequest', { uris })],
    ['bsky.GetLikeRecords', encodeMessage('GetLikeRecordsRequest', { uris: likes.map(({ uri }) => uri) })],
    ['bsky.GetInteractionCounts', encodeMessage('GetInteractionCountsRequest', { refs: posts })],
    ['bsky.GetActors', encodeMessage('GetActorsRequest', { dids: [alice, bob, didOf('nobody')] })],
    [
      nodeCalls.newestByAuthors,
      encodeNewestByAuthors({ before: null, limit: 7, authors: [alice, bob, carol, didOf('nobody')] }),
    ],
    [nodeCalls.timeline, encodeTimeline({ before: null, limit: 7, did: alice })],
  ];
  const awaited = asked.map(([method, payload]) => prefetching.handlers.get(method)!(payload, callContext));
  expect(awaited.every((answer) => answer instanceof Promise)).toBe(true);
  // All run at once, as on a node, and none may be overwritten by the next.
  const answers = await Promise.all(awaited);
  for (const [index, [method, payload]] of asked.entries()) {
    const answer = answers[index]!;
    expect(answer.length, method).toBeGreaterThan(0);
    expect(Buffer.from(answer), method).toEqual(Buffer.from(await network.call(method, payload)));
  }
});

it('refuses what another node serves', () => {
  const elsewhere = createReadHandlers({
    slots: 1,
    stateOf: () => undefined,
    refreshReads: () => {},
    recordCacheBytes: 0,
  });
  const request = encodeMessage('GetPostRecordsRequest', { uris: [`at://${alice}/app.bsky.feed.post/3kaaaaaaaaaaa`] });
  expect(() => elsewhere.handlers.get('bsky.GetPostRecords')!(request, callContext)).toThrow(
    expect.objectContaining({ code: 'WrongEpoch' }),
  );
});

it('orders items of years before 1970, and pages past them', async () => {
  await using network = new ReadsNetwork({ slots: 1 });
  const posts = ['1969-12-31T23:59:59.500Z', '0500-01-01T00:00:00.000Z', '1800-06-01T00:00:00.000Z'].map((createdAt) =>
    network.put(alice, 'app.bsky.feed.post', { text: 'old', createdAt }),
  );
  network.settle();
  const found: string[] = [];
  let before: { sortMs: number; itemUri: string } | null = null;
  for (;;) {
    const page = encodeNewestByAuthors({ before, limit: 1, authors: [alice] });
    const [item] = decodeNewestByAuthorsAnswer(await network.call(nodeCalls.newestByAuthors, page));
    if (item === undefined) break;
    found.push(item.itemUri);
    before = item;
  }
  expect(found).toEqual([posts[0]!.uri, posts[2]!.uri, posts[1]!.uri]);
  const { records } = await network.ask('GetPostRecordsRequest', { uris: found });
  expect(records.map(({ createdAt }) => createdAt)).toEqual([
    -500,
    Date.UTC(1800, 5, 1),
    Date.parse('0500-01-01T00:00:00.000Z'),
  ]);
  const { items, cursor } = await network.ask('GetAuthorFeedRequest', { actorDid: alice, limit: 2 });
  expect(items.map(({ uri }) => uri)).toEqual(found.slice(0, 2));
  const rest = await network.ask('GetAuthorFeedRequest', { actorDid: alice, limit: 2, cursor });
  expect(rest.items.map(({ uri }) => uri)).toEqual(found.slice(2));
});
