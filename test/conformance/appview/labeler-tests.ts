/** Labelers: their views, and labels that are shown, taken back, run out and take down. */
import type { AppBskyActorDefs, AppBskyFeedDefs, AppBskyLabelerDefs, ComAtprotoLabelDefs } from '@atproto/api';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Labeler, LabelFields } from '../network/labeler.ts';
import type { StoredRecord } from '../oracle/record-writer.ts';
import type { FeatureStage, Name } from './feature-stage.ts';

type Profile = AppBskyActorDefs.ProfileViewDetailed;

const inAnHour = (): string => new Date(Date.now() + 3_600_000).toISOString();
const anHourAgo = (): string => new Date(Date.now() - 3_600_000).toISOString();

/** Declares the tests of labelers, of which the AppView heeds one unless asked for others. */
export function labelerTests(stage: FeatureStage): void {
  const label = (by: Labeler, ...labels: LabelFields[]): Promise<void> => by.label(stage.plane, ...labels);
  const accept = (...labelers: string[]): Record<string, string> => ({
    'atproto-accept-labelers': labelers.join(', '),
  });
  const shownPost = async (
    { uri }: StoredRecord,
    headers: Record<string, string> = {},
  ): Promise<AppBskyFeedDefs.PostView | undefined> => {
    const method = 'app.bsky.feed.getPosts';
    const answer = await stage.reader.query<{ posts: AppBskyFeedDefs.PostView[] }>(
      method,
      { uris: [uri] },
      'ann',
      headers,
    );
    return answer.posts[0];
  };
  const valuesOf = (labels: readonly ComAtprotoLabelDefs.Label[] = []): string[] => labels.map(({ val }) => val).sort();
  const valuesOn = async (post: StoredRecord, headers?: Record<string, string>): Promise<string[]> =>
    valuesOf((await shownPost(post, headers))?.labels);
  const profile = (name: Name): Promise<Profile> =>
    stage.reader.query<Profile>('app.bsky.actor.getProfile', { actor: stage.did(name) }, 'ann');

  describe('labelers', () => {
    beforeAll(async () => {
      const { writer, write, labeler } = stage;
      const policies = { labelValues: ['spam', 'rude'] };
      const service = { policies, createdAt: new Date().toISOString() };
      const record = await writer.create('labeler', 'app.bsky.labeler.service', service, 'self');
      await write('ben', 'app.bsky.feed.like', { subject: record });
      await writer.settle();
      expect(record.uri).toContain(labeler.did);
    });

    it('have views with policies, likes and the like of the viewer', async () => {
      const { reader, labeler, otherLabeler, did } = stage;
      const params = { dids: [otherLabeler.did, labeler.did], detailed: true };
      const method = 'app.bsky.labeler.getServices';
      const { views } = await reader.query<{ views: AppBskyLabelerDefs.LabelerViewDetailed[] }>(method, params, 'ben');
      expect(views).toMatchObject([
        {
          $type: 'app.bsky.labeler.defs#labelerViewDetailed',
          creator: { did: labeler.did, associated: { labeler: true } },
          likeCount: 1,
          policies: { labelValues: ['spam', 'rude'] },
          viewer: { like: expect.stringContaining(did('ben')) },
        },
      ]);
    });

    it('have labels shown on posts, accounts and profiles', async () => {
      const { labeler, did, post } = stage;
      const written = await post('ben', 'labelled');
      await stage.writer.settle();
      await label(
        labeler,
        { uri: written.uri, cid: written.cid, val: 'spam' },
        { uri: did('ben'), val: 'rude' },
        { uri: `at://${did('ben')}/app.bsky.actor.profile/self`, val: '!hide' },
      );
      const shown = await shownPost(written);
      expect(shown?.labels).toMatchObject([{ src: labeler.did, uri: written.uri, cid: written.cid, val: 'spam' }]);
      expect(valuesOf(shown?.author.labels)).toEqual(['!hide', 'rude']);
      expect(valuesOf((await profile('ben')).labels)).toEqual(['!hide', 'rude']);
      const params = { uriPatterns: [written.uri], sources: [labeler.did] };
      const { labels } = await stage.reader.query<{ labels: object[] }>('com.atproto.label.queryLabels', params);
      expect(labels).toMatchObject([{ val: 'spam' }]);
      await label(
        labeler,
        { uri: did('ben'), val: 'rude', neg: true },
        { uri: `at://${did('ben')}/app.bsky.actor.profile/self`, val: '!hide', neg: true },
      );
      expect((await profile('ben')).labels).toEqual([]);
    });

    it('are heeded as the viewer asks', async () => {
      const { labeler, otherLabeler, post } = stage;
      const written = await post('ben', 'labelled by two');
      await stage.writer.settle();
      await label(labeler, { uri: written.uri, val: 'spam' });
      await label(otherLabeler, { uri: written.uri, val: 'sad' });
      expect(await valuesOn(written)).toEqual(['spam']);
      expect(await valuesOn(written, accept(otherLabeler.did))).toEqual(['sad']);
      expect(await valuesOn(written, accept(labeler.did, otherLabeler.did))).toEqual(['sad', 'spam']);
    });

    it('take labels back, and set them again', async () => {
      const { labeler, post } = stage;
      const written = await post('ben', 'labelled by mistake');
      await stage.writer.settle();
      await label(labeler, { uri: written.uri, val: 'rude' }, { uri: written.uri, val: 'spam' });
      await label(labeler, { uri: written.uri, val: 'rude', neg: true });
      expect(await valuesOn(written)).toEqual(['spam']);
      await label(labeler, { uri: written.uri, val: 'rude' });
      expect(await valuesOn(written)).toEqual(['rude', 'spam']);
    });

    it('have no labels shown that ran out', async () => {
      const { labeler, post } = stage;
      const written = await post('ben', 'labelled for a while');
      await stage.writer.settle();
      const { uri } = written;
      await label(labeler, { uri, val: 'rude', exp: anHourAgo() }, { uri, val: 'spam', exp: inAnHour() });
      expect(await valuesOn(written)).toEqual(['spam']);
      await label(labeler, { uri, val: 'spam', exp: anHourAgo() });
      expect(await valuesOn(written)).toEqual([]);
    });

    it('take posts down, unless only their labels were asked for', async () => {
      const { reader, labeler, otherLabeler, post } = stage;
      const written = await post('ben', 'not for long');
      await stage.writer.settle();
      await label(labeler, { uri: written.uri, val: '!takedown' });
      expect(await shownPost(written)).toBeUndefined();
      expect(await reader.refusal('app.bsky.feed.getPostThread', { uri: written.uri }, 'ann')).toBe('NotFound');
      const feed = await reader.all<AppBskyFeedDefs.FeedViewPost>(
        'app.bsky.feed.getAuthorFeed',
        { actor: stage.did('ben'), limit: 50 },
        'feed',
      );
      expect(feed.map((item) => item.post.uri)).not.toContain(written.uri);
      expect(await valuesOn(written, accept(labeler.did))).toEqual(['!takedown']);
      expect(await shownPost(written, accept(`${labeler.did};redact`))).toBeUndefined();
      expect(await shownPost(written, accept(otherLabeler.did))).toBeDefined();
      await label(labeler, { uri: written.uri, val: '!takedown', neg: true });
      expect(await shownPost(written)).toBeDefined();
    });

    it('take accounts down, with their posts', async () => {
      const { reader, labeler, post, did } = stage;
      const written = await post('fay', 'soon away');
      await stage.writer.settle();
      await label(labeler, { uri: did('fay'), val: '!takedown' });
      expect(await reader.refusal('app.bsky.actor.getProfile', { actor: did('fay') }, 'ann')).toBe('AccountTakedown');
      expect(await shownPost(written)).toBeUndefined();
      await label(labeler, { uri: did('fay'), val: '!takedown', neg: true });
      expect(await profile('fay')).toMatchObject({ did: did('fay') });
      expect(await shownPost(written)).toBeDefined();
    });

    it('take feeds, lists and packs down', async () => {
      const { reader, writer, write, labeler, did } = stage;
      const feed = await write('ben', 'app.bsky.feed.generator', { did: did('ben'), displayName: 'Odd' });
      const purpose = 'app.bsky.graph.defs#referencelist';
      const list = await write('ben', 'app.bsky.graph.list', { name: 'odd', purpose });
      const pack = await write('ben', 'app.bsky.graph.starterpack', { name: 'Odd', list: list.uri });
      await writer.settle();
      const taken = [feed, list, pack].map(({ uri }) => ({ uri, val: '!takedown' }));
      await label(labeler, ...taken);
      const graph = 'app.bsky.graph';
      expect(await reader.refusal('app.bsky.feed.getFeedGenerator', { feed: feed.uri })).toBe('InvalidRequest');
      expect(await reader.refusal(`${graph}.getList`, { list: list.uri })).toBe('InvalidRequest');
      expect(await reader.refusal(`${graph}.getStarterPack`, { starterPack: pack.uri })).toBe('InvalidRequest');
      await label(labeler, ...taken.map((each) => ({ ...each, neg: true })));
      const shown = await reader.query(`${graph}.getStarterPack`, { starterPack: pack.uri });
      expect(shown).toMatchObject({ starterPack: { uri: pack.uri, list: { uri: list.uri } } });
      for (const { uri } of [feed, list, pack]) await writer.delete(uri);
    });

    it('can hold back posts from all but who follows their author', async () => {
      const { reader, writer, labeler, post, reply } = stage;
      const root = await post('ann', 'what do you say?');
      await writer.settle();
      const answer = await reply('fay', root);
      const follow = await stage.write('dee', 'app.bsky.graph.follow', { subject: stage.did('fay') });
      await writer.settle();
      await label(labeler, { uri: answer.uri, val: 'needs-review' });
      const repliesFor = async (name: Name): Promise<number> => {
        const { thread } = await reader.query<{ thread: AppBskyFeedDefs.ThreadViewPost }>(
          'app.bsky.feed.getPostThread',
          { uri: root.uri },
          name,
        );
        return thread.replies?.length ?? 0;
      };
      expect([await repliesFor('cat'), await repliesFor('dee'), await repliesFor('fay')]).toEqual([0, 1, 1]);
      await writer.delete(follow.uri);
    });
  });
}
