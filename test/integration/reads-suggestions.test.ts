/** What operators suggest, whom to follow, and age assurance. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type SuggestionChange,
  type SuggestionList,
  suggestionsKey,
  suggestionsMax,
} from '../../src/entry/suggestion.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import { RoutedNetwork } from '../support/routed-network.ts';
import { didOf, pagesOf, ReadsNetwork } from './reads-network.ts';

const [alice, bob, carol, dan, eve] = ['alice', 'bob', 'carol', 'dan', 'eve'].map(didOf) as [
  string,
  string,
  string,
  string,
  string,
];
const feeds = 'abcdefg'.split('').map((name) => `at://${alice}/app.bsky.feed.generator/${name}`);

function change(subject: string, order: SuggestionChange['order'], more: Partial<SuggestionChange> = {}) {
  return { tag: '', subject, subjectType: '', order, ...more };
}

describe.each([{ slots: 1 }, { slots: 8 }])('suggestions over $slots slots', ({ slots }) => {
  let reads: RoutedNetwork;
  beforeEach(() => {
    reads = new RoutedNetwork(new ReadsNetwork({ slots }));
  });
  afterEach(() => reads[Symbol.asyncDispose]());

  function write(list: SuggestionList, ...changes: readonly SuggestionChange[]): void {
    reads.network.write(suggestionsKey, { type: 'suggestions', list, changes });
    reads.network.settle();
  }

  it.each([1, 2, 7])('lists feeds by order in pages of %i, none lost among equal orders', async (limit) => {
    write('feeds', ...feeds.map((uri, index) => change(uri, 7 - Math.floor(index / 3))));
    const pages = await pagesOf(async (cursor) => {
      const { uris, cursor: next } = await reads.ask('GetSuggestedFeeds', { actorDid: bob, limit, cursor });
      expect(uris.length).toBeLessThanOrEqual(limit);
      return { items: uris, cursor: next };
    });
    const [a, b, c, d, e, f, g] = feeds;
    expect(pages.flat()).toEqual([g, d, e, f, a, b, c]);
  });

  it('answers no feeds when none are suggested, and refuses a malformed token', async () => {
    expect(await reads.ask('GetSuggestedFeeds', {})).toEqual({ uris: [], cursor: '' });
    await expect(reads.ask('GetSuggestedFeeds', { cursor: 'x' })).rejects.toMatchObject({ code: 'InvalidArgument' });
    await expect(reads.ask('GetSuggestedFeeds', { cursor: '-1__AA' })).rejects.toMatchObject({
      code: 'InvalidArgument',
    });
  });

  it('adds at the end, moves, removes, and leaves the order of what is there already', async () => {
    const [a, b, c, d] = feeds as [string, string, string, string];
    write('feeds', change(a, 'last'), change(b, 'last'), change(c, 'last'));
    write('feeds', change(a, 'last'), change(d, 'gone'));
    expect((await reads.ask('GetSuggestedFeeds', {})).uris).toEqual([a, b, c]);
    write('feeds', change(c, 0), change(b, 'gone'), change(d, 'last'));
    expect((await reads.ask('GetSuggestedFeeds', {})).uris).toEqual([c, a, d]);
  });

  it('takes no more than its maximum', async () => {
    const uri = (index: number) => `at://${alice}/app.bsky.feed.generator/f${index}`;
    for (let from = 0; from < suggestionsMax + 500; from += 500)
      write('feeds', ...Array.from({ length: 500 }, (_unused, index) => change(uri(from + index), 'last')));
    const pages = await pagesOf(async (cursor) => {
      const answer = await reads.ask('GetSuggestedFeeds', { limit: 1_000, cursor });
      return { items: answer.uris, cursor: answer.cursor };
    });
    expect(pages.flat()).toEqual(Array.from({ length: suggestionsMax }, (_unused, index) => uri(index)));
  });

  it('answers all tagged suggestions, of which tag and subject are the key', async () => {
    const art = { tag: 'art', subjectType: 'actor' };
    write('tagged', change(bob, 'last', art), change(carol, 'last', art));
    write('tagged', change(bob, 'last', { tag: 'music', subjectType: 'actor' }), change(carol, 'gone', art));
    const { entities } = await reads.ask('GetSuggestedEntities', {});
    expect(entities.map(({ tag, subject, subjectType }) => [tag, subject, subjectType])).toEqual([
      ['art', bob, 'actor'],
      ['music', bob, 'actor'],
    ]);
  });

  it.each([1, 2, 7])('suggests known accounts once each in pages of %i, the first two first', async (limit) => {
    const known = [bob, carol, dan, eve, ...'fghij'.split('').map(didOf)];
    for (const did of known) reads.network.identity(did, null);
    write('follows', ...[...known, didOf('stranger')].map((did, index) => change(did, index + 1)));
    const pages = await pagesOf(async (cursor) => {
      const { dids, cursor: next } = await reads.ask('GetFollowSuggestions', { actorDid: alice, limit, cursor });
      return { items: dids, cursor: next };
    });
    expect(pages.flat().slice(0, 2)).toEqual([bob, carol]);
    expect(pages.flat().sort()).toEqual([...known].sort());
    expect(pages.slice(0, -2).every((page) => page.length === limit)).toBe(true);
  });

  it('asks for at least a hundred accounts at once, however small the page', async () => {
    const strangers = Array.from({ length: 250 }, (_unused, index) => `did:web:s${index}.example`);
    reads.network.identity(bob, null);
    write('follows', ...[...strangers, bob].map((did) => change(did, 'last')));
    const before = reads.calls.length;
    expect((await reads.ask('GetFollowSuggestions', { actorDid: alice, limit: 1 })).dids).toEqual([bob]);
    const asked = reads.calls.slice(before).filter((call) => call === nodeCalls.knownActors);
    expect(asked.length).toBeLessThanOrEqual(3 * Math.min(2, slots));
  });

  it('suggests accounts that the other account likes most, then what operators suggest', async () => {
    const posts = [dan, dan, dan, carol, eve, eve, alice, bob].map((did) => reads.network.post(did, 'x'));
    for (const post of posts) reads.network.like(bob, post);
    reads.network.follow(alice, carol);
    write('follows', ...[didOf('stranger'), carol, dan, alice, bob].map((did) => change(did, 'last')));
    const relative = { actorDid: alice, relativeToDid: bob };
    expect((await reads.ask('GetFollowSuggestions', relative)).dids).toEqual([dan, eve, didOf('stranger')]);
    expect((await reads.ask('GetFollowSuggestions', { ...relative, limit: 2 })).dids).toEqual([dan, eve]);
    expect((await reads.ask('GetFollowSuggestions', { ...relative, cursor: 'x' })).dids).toEqual([]);
    const unknown = await reads.ask('GetFollowSuggestions', { actorDid: 'x', relativeToDid: didOf('nobody') });
    expect(unknown.dids).toEqual([didOf('stranger'), carol, dan, alice, bob]);
  });

  it('answers age assurance as it was last set, until it is cleared or the account deleted', async () => {
    const age = async (did = bob) => {
      const { actors } = await reads.ask('GetActors', { dids: [did], returnAgeAssuranceForDids: [did] });
      return actors[0]!.ageAssuranceStatus;
    };
    const set = (status: string, access: string | null, lastInitiatedMs: number | null) => {
      const region = { countryCode: null, regionCode: null };
      reads.network.write(bob, { type: 'age-assurance', change: { status, access, lastInitiatedMs, ...region } });
      reads.network.settle();
    };
    const unknown = { status: 'unknown', access: 'unknown', overrideApplied: false };
    set('pending', null, 1_000);
    expect(await age()).toMatchObject(unknown);
    reads.network.identity(bob, null);
    reads.network.settle();
    expect(await age()).toMatchObject({ status: 'pending', access: 'unknown', lastInitiatedAt: 1_000 });
    set('assured', null, null);
    expect(await age()).toMatchObject({ status: 'assured', access: 'full', lastInitiatedAt: 1_000 });
    set('assured', 'safe', 2_000);
    expect(await age()).toMatchObject({ status: 'assured', access: 'safe', lastInitiatedAt: 2_000 });
    set('blocked', 'unknown', null);
    expect(await age()).toMatchObject({ status: 'blocked', access: 'none' });
    reads.network.write(bob, { type: 'age-assurance', change: null });
    reads.network.settle();
    expect(await age()).toMatchObject(unknown);
    set('blocked', null, null);
    reads.network.account(bob, false, 'deleted');
    reads.network.identity(bob, null);
    reads.network.settle();
    expect(await age()).toMatchObject(unknown);
    expect(await age('did:web:nobody.example')).toMatchObject(unknown);
  });
});
