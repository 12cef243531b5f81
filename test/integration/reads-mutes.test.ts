/** Mutes of actors and of lists: what a write makes readable, at once. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { encodeEntry } from '../../src/entry/entry-codec.ts';
import { inlineWorkUs, workCostUs } from '../../src/slot/apply/apply-context.ts';
import { mutePrefix } from '../../src/slot/table/mute.ts';
import type { SlotState } from '../../src/slot/table/slot-state.ts';
import { prefixEnd, type Scan } from '../../src/storage/environment.ts';
import { ListRecords } from '../support/list-records.ts';
import { RoutedNetwork } from '../support/routed-network.ts';
import { refusal } from '../support/router-plans.ts';
import { bytesOfChunk } from '../support/slot-cluster.ts';
import { didOf, pagesOf, ReadsNetwork } from './reads-network.ts';

const [alice, bob, carol] = [didOf('alice'), didOf('bob'), didOf('carol')];
const others = ['a', 'b', 'c', 'd', 'e'].map((name) => didOf(`other${name}`));

function rowsOf(state: SlotState, did: string): Scan {
  const start = mutePrefix(state.ownerOf(did)!);
  return { start, end: prefixEnd(start) };
}

describe.each([{ slots: 2 }, { slots: 8 }])('mutes over $slots slots', ({ slots }) => {
  let network: ReadsNetwork;
  let routed: RoutedNetwork;
  let lists: ListRecords;
  beforeEach(() => {
    network = new ReadsNetwork({ slots });
    routed = new RoutedNetwork(network);
    lists = new ListRecords(network);
  });
  afterEach(() => network[Symbol.asyncDispose]());

  const mute = (subjectDid: string, scope: object = {}) =>
    routed.ask('CreateActorMute', { actorDid: alice, subjectDid, ...scope });
  const mutesOf = (limit = 50) =>
    pagesOf(async (cursor) => {
      const { dids, mutes, cursor: next } = await routed.ask('GetMutes', { actorDid: alice, limit, cursor });
      expect(mutes.map(({ did }) => did)).toEqual(dids);
      return { items: mutes, cursor: next };
    });
  const mutedDids = async (limit?: number) => (await mutesOf(limit)).flat().map(({ did }) => did);
  const scopeOf = (targetDid: string) => routed.ask('GetActorMutesActor', { actorDid: alice, targetDid });

  it.each([1, 2, 7])('lists mutes newest first, those of one millisecond too, in pages of %i', async (limit) => {
    for (const [index, did] of others.entries()) {
      network.cluster.nowMs += index % 2;
      await mute(did);
    }
    const pages = await mutesOf(limit);
    expect(pages.slice(0, -1).every((page) => page.length === limit)).toBe(true);
    const found = pages.flat().map(({ did }) => Math.floor((others.indexOf(did) + 1) / 2));
    expect(found).toEqual([2, 2, 1, 1, 0]);
    expect(new Set(await mutedDids())).toEqual(new Set(others));
  });

  it('changes only the scope of what is muted already', async () => {
    await mute(bob);
    network.cluster.nowMs += 5;
    await mute(carol, { onlyReposts: true });
    network.cluster.nowMs += 5;
    await mute(bob, { onlyQuoteposts: true });
    expect((await mutesOf()).flat()).toEqual([
      { did: carol, onlyReposts: true, onlyQuoteposts: false },
      { did: bob, onlyReposts: false, onlyQuoteposts: true },
    ]);
    expect(await scopeOf(bob)).toEqual({ muted: false, mutedOnlyReposts: false, mutedOnlyQuoteposts: true });
    await mute(bob);
    expect(await scopeOf(bob)).toEqual({ muted: true, mutedOnlyReposts: false, mutedOnlyQuoteposts: false });
  });

  it('ends one mute, or all, and what is muted afterwards stays', async () => {
    for (const did of others) await mute(did);
    await routed.ask('DeleteActorMute', { actorDid: alice, subjectDid: others[0]! });
    await routed.ask('DeleteActorMute', { actorDid: alice, subjectDid: carol });
    expect(await mutedDids()).toHaveLength(4);
    expect((await scopeOf(others[0]!)).muted).toBe(false);
    await routed.ask('ClearActorMutes', { actorDid: alice });
    expect(await mutedDids()).toEqual([]);
    await mute(others[1]!);
    await routed.ask('ClearActorMutes', { actorDid: bob });
    expect(await mutedDids()).toEqual([others[1]]);
  });

  it('clears more than one entry may remove at once, for readers too, but nothing newer', async () => {
    const count = (2 * inlineWorkUs) / workCostUs.row;
    const many = Array.from({ length: count }, (_unused, index) => `did:web:m${index}.example`);
    const muting = (subject: string) =>
      ({
        kind: 'private',
        did: alice,
        write: { type: 'mute', subject, onlyReposts: false, onlyQuoteposts: false },
      }) as const;
    network.cluster.append(...many.map(muting));
    network.settle();
    const slot = network.cluster.slots[network.cluster.slotOf(alice)]!;
    const newer = many.slice(0, 3);
    const clear = { kind: 'private', did: alice, write: { type: 'clear-mutes' } } as const;
    const items = [clear, ...newer.map(muting)].map((entry) => encodeEntry(entry));
    slot.run([bytesOfChunk({ slot: slot.index, origin: null, items, marks: [] })], network.cluster.nowMs);
    // Nothing is settled here: most of the rows are still there.
    expect(slot.hasUnapplied).toBe(true);
    const page = await network.ask('GetMutesRequest', { actorDid: alice, limit: 7 });
    expect(new Set(page.dids)).toEqual(new Set(newer));
    expect((await network.ask('GetActorMutesActorRequest', { actorDid: alice, targetDid: many[9]! })).muted).toBe(
      false,
    );
    expect(new Set(await mutedDids(2))).toEqual(new Set(newer));
    expect([...slot.state.rows.scanKeys(rowsOf(slot.state, alice))]).toHaveLength(newer.length);
    await routed.ask('ClearActorMutes', { actorDid: alice });
    expect(await mutedDids(2)).toEqual([]);
  });

  it('refuses to mute oneself or what is no DID', async () => {
    for (const subjectDid of [alice, 'nobody', ''])
      expect((await refusal(mute(subjectDid))).code).toBe('InvalidArgument');
    expect(await mutedDids()).toEqual([]);
  });

  it('subscribes to a list, once, and ends that', async () => {
    const [list, other] = [lists.list(bob, 'modlist'), lists.list(bob, 'modlist')];
    const isSubscribed = async (listUri: string) =>
      (await routed.ask('GetMutelistSubscription', { actorDid: alice, listUri })).subscribed;
    const subscribe = (subjectUri: string) =>
      routed.ask('CreateActorMutelistSubscription', { actorDid: alice, subjectUri });
    await subscribe(list);
    await subscribe(list);
    expect([await isSubscribed(list), await isSubscribed(other), await isSubscribed('x')]).toEqual([
      true,
      false,
      false,
    ]);
    await routed.ask('DeleteActorMutelistSubscription', { actorDid: alice, subjectUri: list });
    expect(await isSubscribed(list)).toBe(false);
    await subscribe(list);
    await subscribe(other);
    await routed.ask('ClearActorMutelistSubscriptions', { actorDid: alice });
    expect([await isSubscribed(list), await isSubscribed(other)]).toEqual([false, false]);
    await subscribe(list);
    expect([await isSubscribed(list), await isSubscribed(other)]).toEqual([true, false]);
  });

  it('answers unknown actors with nothing, a limit of 0 with none, a bad token with an error', async () => {
    await mute(bob);
    for (const actorDid of [carol, '', 'nonsense']) {
      expect(await routed.ask('GetMutes', { actorDid, limit: 5 })).toEqual({ dids: [], mutes: [], cursor: '' });
      expect((await routed.ask('GetActorMutesActor', { actorDid, targetDid: bob })).muted).toBe(false);
    }
    expect((await scopeOf('nonsense')).muted).toBe(false);
    expect(await routed.ask('GetMutes', { actorDid: alice, limit: 0 })).toEqual({ dids: [], mutes: [], cursor: '' });
    const error = await refusal(routed.ask('GetMutes', { actorDid: alice, limit: 5, cursor: 'x' }));
    expect(error.code).toBe('InvalidArgument');
  });
});
