/** Known followers are the same with and without caches, and fit in their memory. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type CachedActor, EdgeCache } from '../../src/read/cache/edge-cache.ts';
import { SlotLookup } from '../../src/read/lookup/slot-lookup.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import {
  decodeFollowersAmongAnswer,
  encodeFollowersAmong,
  type FollowersAmongAnswer,
} from '../support/wire-messages.ts';
import { didOf, ReadsNetwork } from './reads-network.ts';

const names = 'abcdefghijklmnopqrstuvwxyz'.split('');
const candidates = [...names.slice(0, 20).map((name) => didOf(`fan${name}`)), 'did:web:fan.example'];
const subjects = [...names.slice(0, 5).map((name) => didOf(`star${name}`)), 'did:web:star.example'];
/** More often than it takes until an actor's follows are cached. */
const askedTimes = 6;

describe.each([{ slots: 1 }, { slots: 8 }])('known followers over $slots slots', ({ slots }) => {
  let network: ReadsNetwork;
  beforeEach(() => {
    network = new ReadsNetwork({ slots });
  });
  afterEach(() => network[Symbol.asyncDispose]());

  async function ask(): Promise<FollowersAmongAnswer> {
    return decodeFollowersAmongAnswer(
      await network.call(nodeCalls.followersAmong, encodeFollowersAmong({ subjects, candidates })),
    );
  }

  it('are the same, cached or not', async () => {
    const expected = subjects.map((subject, at) =>
      candidates.filter((candidate, index) => {
        const isFollower = (index * 7 + at * 3) % 4 === 0;
        if (isFollower) network.follow(candidate, subject);
        return isFollower;
      }),
    );
    for (const candidate of candidates) network.follow(candidate, didOf('somebody'));
    network.settle();
    for (let asked = 0; asked < askedTimes; asked++) expect(await ask()).toEqual(expected);
    expect(expected.flat().length).toBeGreaterThan(20);
  });

  it('fit in the memory of their cache, whatever the subjects', () => {
    for (const candidate of candidates) for (const subject of subjects) network.follow(candidate, subject);
    network.settle();
    const capacityBytes = 40_000;
    const lookup = new SlotLookup(slots, (slot) => network.cluster.slots[slot]?.state);
    const cache = new EdgeCache(lookup, capacityBytes);
    let edgeCount = 0;
    for (let asked = 0; asked < askedTimes; asked++) {
      for (const candidate of candidates) {
        const actor = cache.get(Buffer.from(candidate), 0, candidate.length)!;
        edgeCount += cache.subjectsOf(actor, 'follow')?.size ?? 0;
        expect(cache.cache.bytes).toBeLessThanOrEqual(capacityBytes);
      }
    }
    expect(edgeCount).toBeGreaterThanOrEqual(candidates.length * subjects.length);
    expect(cache.cache.evictions).toBeGreaterThan(0);
  });

  it('take nothing old back into the cache that a read of several turns holds', () => {
    const [owner, subject] = [candidates[0]!, subjects[0]!];
    network.follow(owner, subject);
    network.settle();
    const lookup = new SlotLookup(slots, (slot) => network.cluster.slots[slot]?.state);
    const cache = new EdgeCache(lookup, EdgeCache.capacityBytes);
    const ask = (): CachedActor => cache.get(Buffer.from(owner), 0, owner.length)!;
    for (let asked = 1; asked < askedTimes; asked++) ask();
    const held = ask();
    expect(cache.subjectsOf(held, 'block')?.size).toBe(0);
    network.block(owner, subject);
    network.settle();
    cache.cache.invalidate(held.state.index, [held.owner]);
    expect(cache.subjectsOf(held, 'follow')?.size).toBe(1);
    for (let asked = 1; asked < askedTimes; asked++) ask();
    expect(cache.subjectsOf(ask(), 'block')?.size).toBe(1);
  });

  it('change with each follow and unfollow, although cached', async () => {
    const [first, other] = [candidates[0]!, candidates.at(-1)!];
    const follow = network.follow(first, subjects[0]!);
    network.follow(other, subjects[5]!);
    network.settle();
    for (let asked = 0; asked < askedTimes; asked++) {
      expect(await ask()).toEqual([[first], [], [], [], [], [other]]);
    }
    network.delete(follow);
    network.follow(first, subjects[5]!);
    network.follow(other, subjects[1]!);
    network.settle();
    for (let asked = 0; asked < askedTimes; asked++) {
      expect(await ask()).toEqual([[], [other], [], [], [], [first, other]]);
    }
    network.account(first, false, 'deleted');
    network.settle();
    for (let asked = 0; asked < askedTimes; asked++) {
      expect(await ask()).toEqual([[], [other], [], [], [], [other]]);
    }
  });

  it('are none for a subject that is too long for a key', async () => {
    network.follow(candidates[0]!, subjects[0]!);
    network.settle();
    const tooLong = `did:web:${'x'.repeat(4000)}`;
    const answer = await network.call(
      nodeCalls.followersAmong,
      encodeFollowersAmong({ subjects: [tooLong, subjects[0]!], candidates }),
    );
    expect(decodeFollowersAmongAnswer(answer)).toEqual([[], [candidates[0]]]);
  });
});
