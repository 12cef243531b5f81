import { expect, it } from 'vitest';
import { probeBit } from '../../src/atproto/edge-kind.ts';
import { seededRandom } from '../../src/base/seeded-random.ts';
import { TimelineFollows } from '../../src/read/cache/timeline-follows.ts';
import { createReadHandlers, type Reads } from '../../src/read/handler/read-handlers.ts';
import { SlotLookup } from '../../src/read/lookup/slot-lookup.ts';
import { slotOf } from '../../src/shardmap/slot-of.ts';
import { encodeTimeline, type FeedPosition, feedItemAt, openTimelineAnswer } from '../../src/wire/feed-messages.ts';
import { encodeFollowsOf } from '../../src/wire/follows-messages.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import { encodeFollowersAmong, encodeProbeEdges } from '../support/wire-messages.ts';
import { didOf, ReadsNetwork, type StrongRef } from './reads-network.ts';

const slots = 4;
const actors = [...[...'abcdefghijklmn'].map((letter) => didOf(`actor${letter}`)), 'did:web:actor.example'];
const isHere = (did: string): boolean => slotOf(did, slots) % 2 === 0;
const here = actors.filter(isHere);
const steps = 150;
const context = { method: '', epoch: 1, deadlineMs: 0 };

/** The reads of a node that serves every other slot. */
function readsOf(network: ReadsNetwork, ownersCached: number): Reads {
  return createReadHandlers({
    slots,
    stateOf: (slot) => (slot % 2 === 0 ? network.cluster.slots[slot]?.state : undefined),
    refreshReads: () => {},
    ownersCached,
    recordCacheBytes: 0,
  });
}

function answerOf(reads: Reads, method: string, payload: Buffer): Buffer {
  return Buffer.from(reads.handlers.get(method)!(payload, context) as Uint8Array);
}

/** All about follows and blocks between these actors, as a node that serves the owners is asked. */
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

it.each([2, 6, 100])('answers as if nothing were remembered, with room for %i owners', async (ownersCached) => {
  await using network = new ReadsNetwork({ slots });
  const random = seededRandom(ownersCached);
  const anyOf = <Item>(items: readonly Item[]): Item => items[random.below(items.length)]!;
  const remembering = readsOf(network, ownersCached);
  const records: StrongRef[] = [];
  const posts: StrongRef[] = [];
  const change = (): void => {
    const by = anyOf(actors);
    const timeMs = network.timeMs;
    const what = random.below(100);
    if (what < 30) posts.push(network.post(by, 'post'));
    else if (what < 40 && posts.length > 0) records.push(network.repost(by, anyOf(posts)));
    else if (what < 65) records.push(network.follow(by, anyOf(actors)));
    else if (what < 80) records.push(network.block(by, anyOf(actors)));
    else if (what < 88 && posts.length > 0) network.delete(posts.splice(random.below(posts.length), 1)[0]!);
    else if (what < 98 && records.length > 0) network.delete(records.splice(random.below(records.length), 1)[0]!);
    else network.account(by, false, 'deleted');
    // Some of what follows each other is of one millisecond.
    if (random.below(3) > 0) network.timeMs = timeMs;
  };
  let fresh = remembering;
  const expectSame = (method: string, payload: Buffer): Buffer => {
    const answer = answerOf(remembering, method, payload);
    expect(answer.equals(answerOf(fresh, method, payload)), method).toBe(true);
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
    for (const { state, index } of network.cluster.slots) remembering.forget(index, state.takeChanges());
    fresh = readsOf(network, 1_000);
    const viewer = anyOf(here);
    expectTimeline(viewer, 1 + random.below(9));
    expectSame(nodeCalls.followsOf, encodeFollowsOf({ did: viewer, after: '', limit: 100 }));
    for (const [method, payload] of edgeQuestions([anyOf(actors), anyOf(actors)])) expectSame(method, payload);
  }
});

it('keeps the follows of viewers within their memory, though the same viewer is read again and again', async () => {
  await using network = new ReadsNetwork({ slots: 1 });
  const [viewer, other] = [didOf('viewer'), didOf('other')];
  for (const did of [viewer, other]) network.follow(did, didOf('somebody'));
  network.settle();
  const { state } = network.cluster.slots[0]!;
  const follows = new TimelineFollows(new SlotLookup(1, () => state), 100, 1);
  const first = follows.of(other);
  expect(follows.of(other)).toBe(first);
  follows.of(viewer);
  expect(follows.of(other)).toBe(first);
  follows.of(viewer);
  for (let time = 0; time < 2; time++) {
    follows.forget(0, [state.ownerOf(viewer)!]);
    follows.of(viewer);
  }
  expect(follows.of(other)).not.toBe(first);
  expect(follows.of(other)).toEqual(first);
});
