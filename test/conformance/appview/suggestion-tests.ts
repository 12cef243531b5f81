/** Suggestions: those of operators, and those that the AppView asks another service for. */
import type { AppBskyActorDefs, AppBskyFeedDefs } from '@atproto/api';
import { beforeAll, describe, expect, it } from 'vitest';
import { json } from '../../support/scripted-network.ts';
import type { StoredRecord } from '../oracle/record-writer.ts';
import { urisOf } from './feature-reads.ts';
import type { FeatureStage, Name } from './feature-stage.ts';

type Profile = AppBskyActorDefs.ProfileView;
type Generator = AppBskyFeedDefs.GeneratorView;

/** Declares the tests of suggestions. */
export function suggestionTests(stage: FeatureStage): void {
  describe('suggestions', () => {
    let feeds: StoredRecord[] = [];
    const dids = (actors: readonly { readonly did: string }[]): string[] => actors.map(({ did }) => did);

    beforeAll(async () => {
      const { operator, writer, write, did } = stage;
      feeds = [];
      for (const displayName of ['One', 'Two', 'Three']) {
        feeds.push(await write('cat', 'app.bsky.feed.generator', { did: did('cat'), displayName }));
      }
      await writer.settle();
      const suggested = ['fay', 'cat', 'ben', 'dee'] as const;
      await operator.suggest('follows', suggested.map(did));
      await operator.suggest('feeds', urisOf([feeds[1]!, feeds[2]!, feeds[0]!]));
      await operator.suggestTagged('art', did('cat'), 'actor');
    });

    it('of actors leave out the viewer and whom the viewer follows, mutes or blocks', async () => {
      const { reader, writer, write, did } = stage;
      const suggestedTo = async (viewer?: Name): Promise<string[]> => {
        const params = { limit: 10 };
        const { actors } = await reader.query<{ actors: Profile[] }>('app.bsky.actor.getSuggestions', params, viewer);
        return dids(actors);
      };
      const toNobody = await suggestedTo();
      expect(toNobody.slice(0, 2)).toEqual([did('fay'), did('cat')]);
      expect([...toNobody].sort()).toEqual([did('ben'), did('cat'), did('dee'), did('fay')].sort());
      const toBen = await suggestedTo('ben');
      expect(toBen).not.toContain(did('ben'));
      expect(toBen).toEqual(expect.arrayContaining([did('cat'), did('dee')]));
      const block = await write('ben', 'app.bsky.graph.block', { subject: did('cat') });
      const follow = await write('ben', 'app.bsky.graph.follow', { subject: did('dee') });
      await writer.settle();
      const fewer = await suggestedTo('ben');
      expect(fewer).not.toContain(did('cat'));
      expect(fewer).not.toContain(did('dee'));
      for (const { uri } of [block, follow]) await writer.delete(uri);
      await writer.settle();
    });

    it('of feeds come in the order that operators gave them, in pages', async () => {
      const { reader } = stage;
      for (const method of ['app.bsky.feed.getSuggestedFeeds', 'app.bsky.unspecced.getPopularFeedGenerators']) {
        const shown = await reader.all<Generator>(method, { limit: 1 }, 'feeds', 'ann');
        expect(urisOf(shown), method).toEqual(urisOf([feeds[1]!, feeds[2]!, feeds[0]!]));
        expect(shown[0]).toMatchObject({ displayName: 'Two', creator: { did: stage.did('cat') } });
      }
    });

    it('with tags are listed', async () => {
      const { reader, did } = stage;
      expect(await reader.query('app.bsky.unspecced.getTaggedSuggestions', {})).toEqual({
        suggestions: [{ tag: 'art', subject: did('cat'), subjectType: 'actor' }],
      });
    });

    it('of another service are shown but for whom the viewer follows', async () => {
      const { reader, topics, did } = stage;
      const actors = { dids: [did('ben'), did('fay'), 'did:plc:bbbbbbbbbbbbbbbbbbbbbbbb', did('dee')] };
      const answer = (name: string, body: object): unknown =>
        topics.responders.set(`/xrpc/app.bsky.unspecced.${name}`, () => json(body));
      answer('getSuggestedUsersSkeleton', actors);
      answer('getSuggestedFeedsSkeleton', { feeds: urisOf([feeds[2]!]) });
      const users = await reader.query<{ actors: Profile[] }>('app.bsky.unspecced.getSuggestedUsers', {}, 'eli');
      // eli follows ben.
      expect(dids(users.actors)).toEqual([did('fay'), did('dee')]);
      expect(await reader.query('app.bsky.unspecced.getSuggestedFeeds', {}, 'eli')).toMatchObject({
        feeds: [{ uri: feeds[2]!.uri, displayName: 'Three' }],
      });
    });
  });
}
