/** Starter packs: their views, who is in them, and who joined by them. */
import type { AppBskyGraphDefs } from '@atproto/api';
import { beforeAll, describe, expect, it } from 'vitest';
import type { StoredRecord } from '../oracle/record-writer.ts';
import { noticesOf, profileOf, urisOf } from './feature-reads.ts';
import { type FeatureStage, type Name, newcomer } from './feature-stage.ts';

type Pack = AppBskyGraphDefs.StarterPackView;
type PackBasic = AppBskyGraphDefs.StarterPackViewBasic;

const referenceList = 'app.bsky.graph.defs#referencelist';

/** Declares the tests of starter packs, of which ben makes two. */
export function starterPackTests(stage: FeatureStage): void {
  describe('starter packs', () => {
    let [list, pack, secondPack, feed]: StoredRecord[] = [];
    let items: StoredRecord[] = [];

    const packOf = async ({ uri }: StoredRecord, viewer: Name): Promise<Pack> => {
      const method = 'app.bsky.graph.getStarterPack';
      const answer = await stage.reader.query<{ starterPack: Pack }>(method, { starterPack: uri }, viewer);
      return answer.starterPack;
    };

    beforeAll(async () => {
      const { writer, write, did } = stage;
      const starterPack = 'app.bsky.graph.starterpack';
      feed = await write('ben', 'app.bsky.feed.generator', { did: did('ben'), displayName: 'Fine feed' });
      list = await write('ben', 'app.bsky.graph.list', { name: 'starters', purpose: referenceList });
      const secondList = await write('ben', 'app.bsky.graph.list', { name: 'more', purpose: referenceList });
      items = [];
      for (const name of ['cat', 'dee'] as const) {
        items.push(await write('ben', 'app.bsky.graph.listitem', { list: list.uri, subject: did(name) }));
      }
      pack = await write('ben', starterPack, { name: 'Start here', list: list.uri, feeds: [{ uri: feed.uri }] });
      secondPack = await write('ben', starterPack, { name: 'Or here', list: secondList.uri });
      await writer.settle();
    });

    it('have a view with list, feeds and a sample of members', async () => {
      const { did } = stage;
      const seen = await packOf(pack!, 'ann');
      expect(seen).toMatchObject({
        uri: pack!.uri,
        record: { name: 'Start here' },
        creator: { did: did('ben') },
        list: { uri: list!.uri, purpose: referenceList, listItemCount: 2 },
        feeds: [{ uri: feed!.uri, displayName: 'Fine feed' }],
        joinedAllTimeCount: 0,
        joinedWeekCount: 0,
      });
      expect(seen.listItemsSample?.map(({ subject }) => subject.did).sort()).toEqual([did('cat'), did('dee')].sort());
    });

    it('are found by the handle of their author', async () => {
      const uri = pack!.uri.replace(stage.did('ben'), stage.handle('ben'));
      expect((await packOf({ ...pack!, uri }, 'ann')).uri).toBe(pack!.uri);
    });

    it('are listed by their author, newest first, and counted on its profile', async () => {
      const { reader, did } = stage;
      const params = { actor: did('ben'), limit: 1 };
      const packs = await reader.all<PackBasic>('app.bsky.graph.getActorStarterPacks', params, 'starterPacks', 'ann');
      expect(urisOf(packs)).toEqual([secondPack!.uri, pack!.uri]);
      expect(await profileOf(stage, 'ben')).toMatchObject({ associated: { starterPacks: 2 } });
    });

    it('come in the order asked, without unknown ones', async () => {
      const unknown = pack!.uri.slice(0, -3).concat('222');
      const params = { uris: [secondPack!.uri, unknown, pack!.uri] };
      const method = 'app.bsky.graph.getStarterPacks';
      const { starterPacks } = await stage.reader.query<{ starterPacks: PackBasic[] }>(method, params);
      expect(urisOf(starterPacks)).toEqual([secondPack!.uri, pack!.uri]);
    });

    it('say to their author who is in which', async () => {
      const { reader, did } = stage;
      const method = 'app.bsky.graph.getStarterPacksWithMembership';
      type Membership = { starterPack: Pack; listItem?: { uri: string } };
      const params = { actor: did('cat'), limit: 1 };
      const found = await reader.all<Membership>(method, params, 'starterPacksWithMembership', 'ben');
      expect(found).toMatchObject([
        { starterPack: { uri: secondPack!.uri } },
        { starterPack: { uri: pack!.uri }, listItem: { uri: items[0]!.uri, subject: { did: did('cat') } } },
      ]);
      expect(found[0]?.listItem).toBeUndefined();
    });

    it('show their author alone who wants no part in them', async () => {
      const { writer, write, did } = stage;
      const optOut = await write('dee', 'app.bsky.graph.referencelistoptout', { subject: list!.uri });
      await writer.settle();
      const shownTo = async (viewer: Name): Promise<(readonly [string, boolean])[]> =>
        ((await packOf(pack!, viewer)).listItemsSample ?? [])
          .map((item) => [item.subject.did, item.subjectOptedOut === true] as const)
          .sort(([left], [right]) => (left < right ? -1 : 1));
      const both = [
        [did('cat'), false],
        [did('dee'), true],
      ] as const;
      const sorted = [...both].sort(([left], [right]) => (left < right ? -1 : 1));
      expect(await shownTo('ben')).toEqual(sorted);
      expect(await shownTo('ann')).toEqual([[did('cat'), false]]);
      await writer.delete(optOut.uri);
      await writer.settle();
      expect(await shownTo('ann')).toHaveLength(2);
    });

    it('count who joined by them, tell their author, and show on the profile', async () => {
      const { writer, write, did } = stage;
      const profile = { displayName: 'the newcomer', joinedViaStarterPack: pack };
      await write(newcomer, 'app.bsky.actor.profile', profile, 'self');
      await writer.settle();
      expect(await packOf(pack!, 'ann')).toMatchObject({ joinedAllTimeCount: 1, joinedWeekCount: 1 });
      expect((await packOf(secondPack!, 'ann')).joinedAllTimeCount).toBe(0);
      expect(await profileOf(stage, newcomer)).toMatchObject({ joinedViaStarterPack: { uri: pack!.uri } });
      const [notice] = await noticesOf(stage, 'ben');
      expect(notice).toMatchObject({
        reason: 'starterpack-joined',
        reasonSubject: pack!.uri,
        author: { did: did(newcomer) },
      });
    });

    it('are shown in posts that embed them, until they are deleted', async () => {
      const { reader, writer, post } = stage;
      const embed = { $type: 'app.bsky.embed.record', record: secondPack };
      const { uri } = await post('cat', 'join in', { embed });
      await writer.settle();
      const shown = (): Promise<unknown> => reader.query('app.bsky.feed.getPosts', { uris: [uri] });
      expect(await shown()).toMatchObject({ posts: [{ embed: { record: { record: { name: 'Or here' } } } }] });
      await writer.delete(secondPack!.uri);
      await writer.settle();
      expect(await shown()).toMatchObject({ posts: [{ embed: { record: { notFound: true } } }] });
      const gone = { starterPack: secondPack!.uri };
      expect(await reader.refusal('app.bsky.graph.getStarterPack', gone)).toBe('InvalidRequest');
    });
  });
}
