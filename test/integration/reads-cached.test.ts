/** Caches of any capacity leave every answer unchanged and stay within their bytes. */
import { expect, it } from 'vitest';
import { probeBit } from '../../src/atproto/edge-kind.ts';
import { seededRandom } from '../../src/base/seeded-random.ts';
import { encodeMessage } from '../../src/proto/codec.ts';
import { FollowCache } from '../../src/read/cache/follow-cache.ts';
import { createReadHandlers, type Reads } from '../../src/read/handler/read-handlers.ts';
import { SlotLookup } from '../../src/read/lookup/slot-lookup.ts';
import { slotOf } from '../../src/shardmap/slot-of.ts';
import { encodeTimeline, type FeedPosition, feedItemAt, openTimelineAnswer } from '../../src/wire/feed-messages.ts';
import { encodeFollowsOf } from '../../src/wire/follows-messages.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { encodeFollowersAmong, encodeProbeEdges } from '../support/wire-messages.ts';
import { didOf, ReadsNetwork, type StrongRef } from './reads-network.ts';

const slots = 4;
const actors = [...[...'abcdefghijklmn'].map((letter) => didOf(`actor${letter}`)), 'did:web:actor.example'];
const isHere = (did: string): boolean => slotOf(did, slots) % 2 === 0;
const here = actors.filter(isHere);
const listOf = (did: string): string => `at://${did}/app.bsky.graph.list/l`;
const steps = 150;
const context = { method: '', epoch: 1, deadlineMs: Number.MAX_SAFE_INTEGER };

/** Reads of a node that serves every other slot. */
function readsOf(network: ReadsNetwork, didCacheBytes: number): Reads {
  return createReadHandlers({
    slots,
    stateOf: (slot) => (slot % 2 === 0 ? network.cluster.slots[slot]?.state : undefined),
    refreshReads: () => {},
    didCacheBytes,
    recordCacheBytes: 0,
    clock: new ManualClock(),
  });
}

function answerOf(reads: Reads, method: string, payload: Buffer): Buffer {
  return Buffer.from(reads.handlers.get(method)!(payload, context) as Uint8Array);
}

/** Every question about follows and blocks between these actors, as nodes receive them. */
function edgeQuestions(subjects: readonly string[]): [method: string, payload: Buffer][] {
  const dids = [...here, ...actors];
  const probes = here.flatMap((_did, owner) =>
    actors.map((_subject, index) => ({
      owner,
      kinds: 1 + ((owner + index) % (probeBit.follow | probeBit.block)),
      subject: here.length + index,
    })),
  );
  return [
    [nodeCalls.probeEdges, encodeProbeEdges({ dids, probes })],
    [nodeCalls.followersAmong, encodeFollowersAmong({ subjects, candidates: here })],
  ];
}

it.each([3_000, 9_000, 2 ** 20])(
  'answers as if nothing were cached, with caches of %i bytes',
  async (didCacheBytes) => {
    await using network = new ReadsNetwork({ slots });
    const random = seededRandom(didCacheBytes);
    const anyOf = <Item>(items: readonly Item[]): Item => items[random.below(items.length)]!;
    const cached = readsOf(network, didCacheBytes);
    const records: StrongRef[] = [];
    const posts: StrongRef[] = [];
    const changeList = (did: string): void => {
      const what = random.below(10);
      const createdAt = network.now;
      const purpose = `app.bsky.graph.defs#${anyOf(['referencelist', 'modlist'])}`;
      if (what < 2) records.push(network.put(did, 'app.bsky.graph.list', { name: 'l', purpose, createdAt }, 'l'));
      else if (what < 8) {
        const item = { subject: anyOf(actors), list: listOf(did), createdAt };
        records.push(network.put(did, 'app.bsky.graph.listitem', item));
      } else {
        const optOut = { subject: listOf(did), createdAt };
        records.push(network.put(anyOf(actors), 'app.bsky.graph.referencelistoptout', optOut));
      }
    };
    const change = (): void => {
      const by = anyOf(actors);
      const timeMs = network.timeMs;
      const what = random.below(100);
      if (random.below(5) === 0) changeList(anyOf(here));
      if (what < 30) posts.push(network.post(by, 'post'));
      else if (what < 40 && posts.length > 0) records.push(network.repost(by, anyOf(posts)));
      else if (what < 65) records.push(network.follow(by, anyOf(actors)));
      else if (what < 80) records.push(network.block(by, anyOf(actors)));
      else if (what < 88 && posts.length > 0) network.delete(posts.splice(random.below(posts.length), 1)[0]!);
      else if (what < 98 && records.length > 0) network.delete(records.splice(random.below(records.length), 1)[0]!);
      else network.account(by, false, 'deleted');
      // Some consecutive records share a millisecond.
      if (random.below(3) > 0) network.timeMs = timeMs;
    };
    let fresh = cached;
    const expectSame = (method: string, payload: Buffer): Buffer => {
      const answer = answerOf(cached, method, payload);
      expect(answer.toString('hex'), method).toBe(answerOf(fresh, method, payload).toString('hex'));
      return answer;
    };
    const expectTimeline = (did: string, limit: number): void => {
      let before: FeedPosition | null = null;
      do {
        const { followed } = openTimelineAnswer(expectSame(nodeCalls.timeline, encodeTimeline({ before, limit, did })));
        before = followed.count < limit ? null : feedItemAt(followed, limit - 1);
      } while (before !== null);
    };
    for (let step = 0; step < steps; step++) {
      for (let left = random.below(4); left > 0; left--) change();
      network.cluster.settle();
      for (const { state, index } of network.cluster.slots) cached.invalidate(index, state.takeChanges());
      fresh = readsOf(network, 2 ** 20);
      const viewer = anyOf(here);
      expectSame(nodeCalls.listFeed, encodeTimeline({ before: null, limit: 9, did: listOf(anyOf(here)) }));
      expectTimeline(viewer, 1 + random.below(9));
      expectSame(nodeCalls.followsOf, encodeFollowsOf({ did: viewer, after: '', limit: 100 }));
      for (const [method, payload] of edgeQuestions([anyOf(actors), anyOf(actors)])) expectSame(method, payload);
      expectSame('bsky.GetActors', encodeMessage('GetActorsRequest', { dids: [viewer, anyOf(here), anyOf(here)] }));
    }
    const { records: _records, owners: _owners, ...didCaches } = cached.cacheByName;
    const isLarge = didCacheBytes === 2 ** 20;
    for (const [name, { hits, misses, evictions, bytes }] of Object.entries(didCaches)) {
      expect(misses, name).toBeGreaterThan(0);
      // The smallest caches leave most entries out; that of feeds takes each one, if alone.
      expect(bytes, name).toBeLessThanOrEqual(Math.max(didCacheBytes, 6_000));
      if (isLarge) expect([hits > 0, evictions], name).toEqual([true, 0]);
    }
    expect(didCaches['feeds']!.evictions > 0).toBe(!isLarge);
  },
);

it('keeps the follows of viewers within their memory when one viewer is read repeatedly', async () => {
  await using network = new ReadsNetwork({ slots: 1 });
  const [viewer, other] = [didOf('viewer'), didOf('other')];
  for (const did of [viewer, other]) network.follow(did, didOf('somebody'));
  network.settle();
  const { state } = network.cluster.slots[0]!;
  const follows = new FollowCache(new SlotLookup(1, () => state), 40_000);
  const first = follows.get(other);
  expect(follows.get(other)).toBe(first);
  for (let time = 0; time < 100; time++) {
    follows.get(viewer);
    follows.cache.invalidate(0, [state.ownerOf(viewer)!]);
  }
  expect(follows.get(other)).toBe(first);
  expect(follows.cache.bytes).toBeLessThan(3_500);
});
