/** Lists: their views and feeds, and the mutes and blocks of all their members at once. */
import type { AppBskyGraphDefs } from '@atproto/api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StoredRecord } from '../oracle/record-writer.ts';
import { type FeedItem, noticesOf, profileOf, repliesTo, timelineOf, urisOf } from './feature-reads.ts';
import type { FeatureStage, Name } from './feature-stage.ts';

type List = AppBskyGraphDefs.ListView;
type Item = AppBskyGraphDefs.ListItemView;

const defs = 'app.bsky.graph.defs';

/** Declares the tests of lists: ann keeps one of friends, and one of pests for others to use. */
export function listTests(stage: FeatureStage): void {
  describe('lists', () => {
    let [friends, pests]: StoredRecord[] = [];
    const follows: StoredRecord[] = [];

    const addTo = (list: StoredRecord, name: Name): Promise<StoredRecord> =>
      stage.write('ann', 'app.bsky.graph.listitem', { list: list.uri, subject: stage.did(name) });
    const lists = (method: string, viewer: Name): Promise<List[]> =>
      stage.reader.all<List>(`app.bsky.graph.${method}`, { limit: 1 }, 'lists', viewer);

    beforeAll(async () => {
      const { write, writer, did } = stage;
      const list = 'app.bsky.graph.list';
      friends = await write('ann', list, { name: 'friends', purpose: `${defs}#curatelist`, description: 'dear ones' });
      pests = await write('ann', list, { name: 'pests', purpose: `${defs}#modlist` });
      await addTo(friends, 'ben');
      await addTo(friends, 'cat');
      await addTo(pests, 'eli');
      for (const subject of ['ben', 'eli'] as const)
        follows.push(await write('dee', 'app.bsky.graph.follow', { subject: did(subject) }));
      await writer.settle();
    });

    afterAll(async () => {
      for (const { uri } of follows) await stage.writer.delete(uri);
    });

    describe('views', () => {
      it('are listed by their author, newest first, and counted on its profile', async () => {
        const { reader, did } = stage;
        const listed = await reader.all<List>(
          'app.bsky.graph.getLists',
          { actor: did('ann'), limit: 1 },
          'lists',
          'ben',
        );
        expect(listed).toMatchObject([
          { uri: pests!.uri, name: 'pests', purpose: `${defs}#modlist`, listItemCount: 1 },
          { uri: friends!.uri, name: 'friends', description: 'dear ones', listItemCount: 2, viewer: { muted: false } },
        ]);
        expect(await profileOf(stage, 'ann')).toMatchObject({ associated: { lists: 2 } });
      });

      it('show their members, newest first', async () => {
        const { reader, did } = stage;
        const params = { list: friends!.uri, limit: 1 };
        const items = await reader.all<Item>('app.bsky.graph.getList', params, 'items', 'dee');
        expect(items.map(({ subject }) => subject.did)).toEqual([did('cat'), did('ben')]);
        expect(items[0]?.uri).toMatch(new RegExp(`^at://${did('ann')}/app.bsky.graph.listitem/`));
        const unknown = { list: friends!.uri.slice(0, -3).concat('222') };
        expect(await reader.refusal('app.bsky.graph.getList', unknown)).toBe('InvalidRequest');
      });

      it('say to their author who is on which', async () => {
        const { reader, did } = stage;
        const method = 'app.bsky.graph.getListsWithMembership';
        const params = { actor: did('eli'), limit: 1 };
        const found = await reader.all<{ list: List; listItem?: Item }>(method, params, 'listsWithMembership', 'ann');
        expect(found).toMatchObject([
          { list: { uri: pests!.uri }, listItem: { subject: { did: did('eli') } } },
          { list: { uri: friends!.uri } },
        ]);
        expect(found[1]?.listItem).toBeUndefined();
      });

      it('have a feed of their members', async () => {
        const { reader, writer, post, write } = stage;
        const byBen = await post('ben', 'to friends');
        const byEli = await post('eli', 'to pests');
        const byCat = await post('cat', 'to friends, too');
        const repost = await write('ben', 'app.bsky.feed.repost', { subject: byEli });
        await writer.settle();
        const feedOf = async ({ uri }: StoredRecord, limit: number): Promise<string[]> => {
          const items = await reader.all<FeedItem>('app.bsky.feed.getListFeed', { list: uri, limit }, 'feed', 'ann');
          return items.map((item) => (item.reason as { uri?: string } | undefined)?.uri ?? item.post.uri);
        };
        expect((await feedOf(friends!, 50)).slice(0, 2)).toEqual([byCat.uri, byBen.uri]);
        expect(await feedOf(friends!, 1)).toEqual(await feedOf(friends!, 50));
        expect(await feedOf(friends!, 50)).not.toContain(repost.uri);
        expect((await feedOf(pests!, 50))[0]).toBe(byEli.uri);
      });
    });

    describe('list mutes', () => {
      it('mute all members until they are taken back', async () => {
        const { reader, writer, post, reply, did } = stage;
        const root = await post('dee', 'anyone?');
        const byEli = await post('eli', 'to my followers');
        const byBen = await post('ben', 'to my followers');
        await writer.settle();
        const answer = await reply('eli', root);
        await reader.procedure('app.bsky.graph.muteActorList', { list: pests!.uri }, 'dee');
        await writer.settle();

        const muted = { muted: true, mutedByList: { uri: pests!.uri, name: 'pests', viewer: { muted: true } } };
        expect((await profileOf(stage, 'eli', 'dee')).viewer).toMatchObject(muted);
        expect((await profileOf(stage, 'ben', 'dee')).viewer).toMatchObject({ muted: false });
        expect(await lists('getListMutes', 'dee')).toMatchObject([{ uri: pests!.uri, viewer: { muted: true } }]);
        const timeline = (await timelineOf(stage, 'dee')).map((item) => item.post.uri);
        expect(timeline).toContain(byBen.uri);
        expect(timeline).not.toContain(byEli.uri);
        expect(urisOf(await noticesOf(stage, 'dee'))).not.toContain(answer.uri);
        const other = { anchor: root.uri };
        const hidden = await reader.query('app.bsky.unspecced.getPostThreadOtherV2', other, 'dee');
        expect(hidden).toMatchObject({ thread: [{ uri: answer.uri, value: { mutedByViewer: true } }] });

        await reader.procedure('app.bsky.graph.unmuteActorList', { list: pests!.uri }, 'dee');
        await writer.settle();
        expect((await profileOf(stage, 'eli', 'dee')).viewer).toMatchObject({ muted: false });
        expect(await lists('getListMutes', 'dee')).toEqual([]);
        expect((await timelineOf(stage, 'dee')).map((item) => item.post.uri)).toContain(byEli.uri);
        expect(urisOf(await noticesOf(stage, 'dee'))).toContain(answer.uri);
        expect(await reader.query('app.bsky.graph.getMutes', {}, 'dee')).toMatchObject({ mutes: [] });
        expect((await profileOf(stage, 'eli', 'ann')).did).toBe(did('eli'));
      });
    });

    describe('list blocks', () => {
      let block: StoredRecord | undefined;
      const seen = async (of: Name, viewer: Name): Promise<unknown> => (await profileOf(stage, of, viewer)).viewer;

      beforeAll(async () => {
        block = await stage.write('dee', 'app.bsky.graph.listblock', { subject: pests!.uri });
        await stage.writer.settle();
      });

      it('block all members, on both sides', async () => {
        const { reader, did } = stage;
        const shown = { uri: pests!.uri, name: 'pests' };
        expect(await seen('eli', 'dee')).toMatchObject({
          blocking: pests!.uri,
          blockingByList: shown,
          blockedBy: false,
        });
        expect(await seen('dee', 'eli')).toMatchObject({ blockedBy: true });
        expect(await seen('ben', 'dee')).toMatchObject({ blockedBy: false });
        expect(await seen('ben', 'dee')).not.toHaveProperty('blocking');
        const blocked = await lists('getListBlocks', 'dee');
        expect(blocked).toMatchObject([{ uri: pests!.uri, viewer: { blocked: block!.uri } }]);
        const feed = 'app.bsky.feed.getAuthorFeed';
        expect(await reader.refusal(feed, { actor: did('eli') }, 'dee')).toBe('BlockedActor');
        expect(await reader.refusal(feed, { actor: did('dee') }, 'eli')).toBe('BlockedByActor');
        const params = { actor: did('dee'), others: [did('eli'), did('ben')] };
        expect(await reader.query('app.bsky.graph.getRelationships', params)).toMatchObject({
          relationships: [{ did: did('eli'), blockingByList: pests!.uri }, { did: did('ben') }],
        });
      });

      it('hide replies between the two from everybody, and posts from each other', async () => {
        const { writer, post, reply } = stage;
        const root = await post('dee', 'no pests, please');
        await writer.settle();
        const answers = [await reply('eli', root), await reply('ben', root)];
        await writer.settle();
        expect(await repliesTo(stage, root, 'cat')).toEqual([answers[1]!.uri]);
        expect(await repliesTo(stage, root, 'dee')).toEqual([answers[1]!.uri]);
        const notices = urisOf(await noticesOf(stage, 'dee'));
        expect(notices).toContain(answers[1]!.uri);
        expect(notices).not.toContain(answers[0]!.uri);
        expect((await timelineOf(stage, 'dee')).map((item) => item.post.author.did)).not.toContain(stage.did('eli'));
      });

      it('follow the list as members come and go', async () => {
        const item = await addTo(pests!, 'fay');
        await stage.writer.settle();
        expect(await seen('fay', 'dee')).toMatchObject({ blocking: pests!.uri });
        await stage.writer.delete(item.uri);
        await stage.writer.settle();
        expect(await seen('fay', 'dee')).not.toHaveProperty('blocking');
        expect(await seen('eli', 'dee')).toMatchObject({ blocking: pests!.uri });
      });

      it('rest while the author of the list is taken down', async () => {
        const { reader, did } = stage;
        const setTakedown = (applied: boolean): Promise<void> => {
          const subject = { $type: 'com.atproto.admin.defs#repoRef', did: did('ann') };
          return reader.adminProcedure('com.atproto.admin.updateSubjectStatus', { subject, takedown: { applied } });
        };
        await setTakedown(true);
        expect(await seen('eli', 'dee')).not.toHaveProperty('blocking');
        expect(await lists('getListBlocks', 'dee')).toEqual([]);
        await setTakedown(false);
        expect(await seen('eli', 'dee')).toMatchObject({ blocking: pests!.uri });
      });

      it('end when they are deleted', async () => {
        await stage.writer.delete(block!.uri);
        await stage.writer.settle();
        expect(await seen('eli', 'dee')).toMatchObject({ following: expect.any(String), blockedBy: false });
        expect(await seen('eli', 'dee')).not.toHaveProperty('blocking');
        expect(await lists('getListBlocks', 'dee')).toEqual([]);
      });

      it('end with their list', async () => {
        const { write, writer } = stage;
        const list = await write('cat', 'app.bsky.graph.list', { name: 'brief', purpose: `${defs}#modlist` });
        await write('cat', 'app.bsky.graph.listitem', { list: list.uri, subject: stage.did('fay') });
        await write('dee', 'app.bsky.graph.listblock', { subject: list.uri });
        await writer.settle();
        expect(await seen('fay', 'dee')).toMatchObject({ blockingByList: { name: 'brief' } });
        await writer.delete(list.uri);
        await writer.settle();
        expect(await seen('fay', 'dee')).not.toHaveProperty('blockingByList');
        expect(await lists('getListBlocks', 'dee')).toEqual([]);
      });
    });
  });
}
