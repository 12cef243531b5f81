/** Actors of many lists stay in the cache of edges, also where it has room for only a part. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { probeBit } from '../../src/atproto/edge-kind.ts';
import { ByteWriter } from '../../src/base/bytes.ts';
import { type CachedActor, EdgeCache } from '../../src/read/cache/edge-cache.ts';
import { DidList } from '../../src/read/lookup/did-list.ts';
import { SlotLookup } from '../../src/read/lookup/slot-lookup.ts';
import { type SlicedRead, Turn } from '../../src/read/lookup/turn.ts';
import { privateBit } from '../../src/wire/edge-messages.ts';
import { peerReader } from '../../src/wire/peer-bytes.ts';
import { ListRecords } from '../support/list-records.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { didOf, ReadsNetwork } from './reads-network.ts';

const [alice, bob, carol] = [didOf('alice'), didOf('bob'), didOf('carol')];
/** Makes 60 lists take 1.5 KiB or more, and the set of one DID about 0.7 KiB. */
const listCount = 60;
/** Of the capacity an actor may take the sixteenth. */
const capacityFor = (actorBytes: number): number => 16 * actorBytes;
const turn = new Turn(new ManualClock());

let network: ReadsNetwork;
let lists: ListRecords;
beforeEach(() => {
  network = new ReadsNetwork({ slots: 1 });
  lists = new ListRecords(network);
  network.follow(alice, bob);
});
afterEach(() => network[Symbol.asyncDispose]());

function open(capacityBytes: number): EdgeCache {
  network.settle();
  return new EdgeCache(new SlotLookup(1, (slot) => network.cluster.slots[slot]?.state), capacityBytes);
}

/** Returns alice after so many messages that her edges are admitted. */
function askOften(cache: EdgeCache): CachedActor {
  for (let asked = 0; asked < 5; asked++) cache.get(Buffer.from(alice), 0, alice.length);
  return cache.get(Buffer.from(alice), 0, alice.length)!;
}

const cached = (cache: EdgeCache): CachedActor | undefined => cache.cache.peek(Buffer.from(alice), 0, alice.length);

function whole<Result>(read: SlicedRead<Result>): Result {
  for (;;) {
    const { done, value } = read.next();
    if (done) return value;
  }
}

it('the lists to which an actor subscribes take the room of its sets of subjects, not that of the actor', () => {
  for (let count = 0; count < listCount; count++) lists.block(alice, lists.list(carol));
  const cache = open(capacityFor(2_400));
  const actor = askOften(cache);
  expect(cache.subjectsOf(actor, 'follow')?.size).toBe(1);
  expect(whole(cache.subscriptions(actor, 'blockedLists', turn)).count).toBe(listCount);
  expect(cached(cache)).toBe(actor);
  expect(actor.blockedLists?.count).toBe(listCount);
  expect(cache.subjectsOf(actor, 'follow')).toBe(null);
});

it('lists that are too large by themselves serve one read, and the actor stays with its sets', () => {
  for (let count = 0; count < listCount; count++) lists.mute(alice, lists.list(carol));
  const cache = open(capacityFor(1_300));
  const actor = askOften(cache);
  expect(cache.subjectsOf(actor, 'follow')?.size).toBe(1);
  for (let asked = 0; asked < 2; asked++) {
    expect(whole(cache.subscriptions(actor, 'mutedLists', turn)).count).toBe(listCount);
  }
  expect(cached(cache)).toBe(actor);
  expect(actor.mutedLists).toBe(undefined);
  expect(cache.subjectsOf(actor, 'follow')?.size).toBe(1);
});

it('an actor on too many lists for the cache is looked up in each, and stays', () => {
  const uris = Array.from({ length: listCount }, () => lists.list(carol));
  for (const uri of uris) lists.add(uri, alice);
  const cache = open(capacityFor(1_300));
  const actor = askOften(cache);
  expect(cache.subjectsOf(actor, 'follow')?.size).toBe(1);
  expect(whole(cache.readListed(actor, turn))).toBe(null);
  whole(cache.readListed(actor, turn));
  expect(cache.listed(actor)).toBe(null);
  expect(cached(cache)).toBe(actor);
  expect(cache.subjectsOf(actor, 'follow')?.size).toBe(1);
});

it('a probe is known to find nothing only while its actor is cached and of a complete slot', () => {
  network.block(alice, bob);
  const cache = open(capacityFor(10_000));
  const message = new ByteWriter().varint(3);
  for (const did of [alice, bob, carol]) message.text(did);
  const dids = new DidList().read(peerReader(message.finish(), 'dids'));
  const known = (subject: number, kinds: number): boolean => cache.isKnownLack(dids, dids.indexes[0]!, kinds, subject);
  const putKnown = (isComplete: boolean): CachedActor => {
    const actor = askOften(cache);
    for (const kind of ['follow', 'block', 'mute'] as const) cache.subjectsOf(actor, kind);
    actor.state.isKnownComplete = isComplete;
    cache.beginLocating(dids);
    cache.putKnown(cache.locate(dids, 0), actor);
    return actor;
  };
  putKnown(false);
  expect([known(2, privateBit.mute), known(2, probeBit.block)]).toEqual([false, false]);
  const actor = putKnown(true);
  // Alice mutes nobody, and blocks and follows bob alone.
  expect([known(1, privateBit.mute), known(2, privateBit.mute)]).toEqual([true, true]);
  expect([known(1, probeBit.block), known(2, probeBit.block)]).toEqual([false, true]);
  expect([known(1, probeBit.follow), known(2, probeBit.follow | privateBit.mute)]).toEqual([false, true]);
  expect([known(1, probeBit.follow | probeBit.block), known(2, probeBit.follow | probeBit.block)]).toEqual([
    false,
    true,
  ]);
  expect(known(2, probeBit.follow | privateBit.listBlocks)).toBe(false);
  cache.clearKnown();
  expect([known(2, privateBit.mute), known(2, probeBit.block)]).toEqual([false, false]);
  putKnown(true);
  expect(known(2, privateBit.mute)).toBe(true);
  cache.cache.invalidate(actor.state.index, [actor.owner]);
  expect([known(2, privateBit.mute), known(2, probeBit.block)]).toEqual([false, false]);
  // A read of several turns still has the actor of before.
  cache.putKnown(dids.indexes[0]!, actor);
  expect([known(2, privateBit.mute), known(2, probeBit.block)]).toEqual([false, false]);
});
