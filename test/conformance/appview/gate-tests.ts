/** Gates of threads and posts: who may answer and quote, and what is hidden and detached. */
import type { AppBskyFeedDefs, AppBskyUnspeccedGetPostThreadV2 } from '@atproto/api';
import { beforeAll, describe, expect, it } from 'vitest';
import type { StoredRecord } from '../oracle/record-writer.ts';
import { noticesOf, postsOf, repliesTo, urisOf } from './feature-reads.ts';
import type { FeatureStage, Name } from './feature-stage.ts';

const gate = 'app.bsky.feed.threadgate';
const postgate = 'app.bsky.feed.postgate';
const rules = ['mention', 'following', 'follower', 'list', 'nobody'] as const;

type Rule = (typeof rules)[number];

/** Declares the tests of gates: of eli's posts each lets others in by another rule. */
export function gateTests(stage: FeatureStage): void {
  const rkeyOf = ({ uri }: StoredRecord): string => uri.split('/')[4]!;

  describe('thread gates', () => {
    const gated = new Map<Rule, StoredRecord>();
    const welcome: Readonly<Record<Rule, Name | undefined>> = {
      mention: 'ann',
      following: 'ben',
      follower: 'cat',
      list: 'fay',
      nobody: undefined,
    };
    let list: StoredRecord | undefined;

    beforeAll(async () => {
      const { write, writer, post, did } = stage;
      await write('eli', 'app.bsky.graph.follow', { subject: did('ben') });
      await write('cat', 'app.bsky.graph.follow', { subject: did('eli') });
      list = await write('eli', 'app.bsky.graph.list', { name: 'guests', purpose: 'app.bsky.graph.defs#curatelist' });
      await write('eli', 'app.bsky.graph.listitem', { list: list.uri, subject: did('fay') });
      const features = [{ $type: 'app.bsky.richtext.facet#mention', did: did('ann') }];
      const facets = [{ index: { byteStart: 0, byteEnd: 4 }, features }];
      for (const rule of rules) {
        const root = await post('eli', `@ann ${rule}`, rule === 'mention' ? { facets } : {});
        const allowed = { $type: `${gate}#${rule}Rule`, ...(rule === 'list' ? { list: list.uri } : {}) };
        await write('eli', gate, { post: root.uri, allow: rule === 'nobody' ? [] : [allowed] }, rkeyOf(root));
        gated.set(rule, root);
      }
      await writer.settle();
    });

    it('tell viewers where they may answer', async () => {
      const answerable = async (viewer: Name): Promise<Rule[]> => {
        const posts = await postsOf(stage, [...gated.values()], viewer);
        return rules.filter((_rule, index) => posts[index]?.viewer?.replyDisabled === false);
      };
      expect(await answerable('ann')).toEqual(['mention']);
      expect(await answerable('ben')).toEqual(['following']);
      expect(await answerable('cat')).toEqual(['follower']);
      expect(await answerable('fay')).toEqual(['list']);
      expect(await answerable('dee')).toEqual([]);
      expect(await answerable('eli')).toEqual([...rules]);
    });

    it('are shown with their lists', async () => {
      const [shown] = await postsOf(stage, [gated.get('list')!], 'dee');
      expect(shown?.threadgate).toMatchObject({
        uri: expect.stringContaining(`/${gate}/`),
        record: { post: gated.get('list')!.uri },
        lists: [{ uri: list!.uri, name: 'guests', listItemCount: 1 }],
      });
    });

    it('let in only answers that their rules allow', async () => {
      const { reader, writer, reply, did } = stage;
      for (const rule of rules) {
        const root = gated.get(rule)!;
        const allowed = welcome[rule];
        const answers = [await reply('dee', root), ...(allowed === undefined ? [] : [await reply(allowed, root)])];
        await writer.settle();
        expect(await repliesTo(stage, root, 'fay'), rule).toEqual(urisOf(answers.slice(1)));
        const [shown] = await postsOf(stage, [root]);
        expect(shown?.replyCount, rule).toBe(answers.length - 1);
        const notices = urisOf(await noticesOf(stage, 'eli'));
        expect(notices, rule).not.toContain(answers[0]!.uri);
        if (allowed !== undefined) expect(notices, rule).toContain(answers[1]!.uri);
        const params = { anchor: answers[0]!.uri };
        type Thread = AppBskyUnspeccedGetPostThreadV2.OutputSchema;
        const method = 'app.bsky.unspecced.getPostThreadV2';
        const { thread } = await reader.query<Thread>(method, params, 'dee');
        expect(thread.map(({ uri, depth }) => [uri, depth])).toEqual([[answers[0]!.uri, 0]]);
        expect(thread[0]?.value).toMatchObject({
          post: { author: { did: did('dee') }, viewer: { replyDisabled: true } },
        });
      }
    });

    it('leave answers that came before them', async () => {
      const { write, writer, post, reply } = stage;
      const root = await post('eli', 'open at first');
      await writer.settle();
      const early = await reply('dee', root);
      await writer.settle();
      await write('eli', gate, { post: root.uri, allow: [] }, rkeyOf(root));
      await writer.settle();
      const late = await reply('fay', root);
      await writer.settle();
      expect(await repliesTo(stage, root, 'ann')).toEqual([early.uri]);
      expect(urisOf(await noticesOf(stage, 'eli'))).not.toContain(late.uri);
      await writer.delete(root.uri.replace('app.bsky.feed.post', gate));
      await writer.settle();
      const after = await reply('ben', root);
      await writer.settle();
      expect(new Set(await repliesTo(stage, root, 'ann'))).toEqual(new Set([early.uri, after.uri]));
    });

    it('hide the answers that their author names', async () => {
      const { reader, writer, write, post, reply } = stage;
      const root = await post('eli', 'be nice');
      await writer.settle();
      const [rude, nice] = [await reply('dee', root), await reply('fay', root)];
      await writer.settle();
      await write('eli', gate, { post: root.uri, hiddenReplies: [rude.uri] }, rkeyOf(root));
      await writer.settle();
      const thread = async (method: string, viewer: Name): Promise<AppBskyUnspeccedGetPostThreadV2.OutputSchema> =>
        await reader.query(`app.bsky.unspecced.${method}`, { anchor: root.uri }, viewer);
      const shown = await thread('getPostThreadV2', 'ann');
      expect(urisOf(shown.thread)).toEqual([root.uri, nice.uri]);
      expect(shown.hasOtherReplies).toBe(true);
      const other = await thread('getPostThreadOtherV2', 'ann');
      expect(other.thread).toMatchObject([{ uri: rude.uri, value: { hiddenByThreadgate: true } }]);
      expect(urisOf((await thread('getPostThreadV2', 'dee')).thread)).toContain(rude.uri);
      const notices = urisOf(await noticesOf(stage, 'eli'));
      expect(notices).toContain(nice.uri);
      expect(notices).not.toContain(rude.uri);
    });
  });

  describe('post gates', () => {
    const quote = (by: Name, record: StoredRecord): Promise<StoredRecord> =>
      stage.post(by, `${by} quotes`, { embed: { $type: 'app.bsky.embed.record', record } });
    const quotesOf = async ({ uri }: StoredRecord): Promise<string[]> =>
      urisOf(await stage.reader.all<AppBskyFeedDefs.PostView>('app.bsky.feed.getQuotes', { uri, limit: 1 }, 'posts'));

    it('detach the quotes that their author names', async () => {
      const { writer, write, post } = stage;
      const quoted = await post('eli', 'quote me');
      await writer.settle();
      const [bad, good] = [await quote('dee', quoted), await quote('fay', quoted)];
      await writer.settle();
      await write('eli', postgate, { post: quoted.uri, detachedEmbeddingUris: [bad.uri] }, rkeyOf(quoted));
      await writer.settle();
      const [shownBad, shownGood] = await postsOf(stage, [bad, good], 'ann');
      expect(shownBad?.embed).toMatchObject({ record: { uri: quoted.uri, detached: true } });
      expect(shownGood?.embed).toMatchObject({ record: { uri: quoted.uri, value: { text: 'quote me' } } });
      expect(await quotesOf(quoted)).toEqual([good.uri, bad.uri]);
    });

    it('keep all but the author from quoting, and detach later quotes', async () => {
      const { writer, write, post } = stage;
      const quoted = await post('eli', 'not for quotes');
      await writer.settle();
      const early = await quote('dee', quoted);
      await writer.settle();
      const embeddingRules = [{ $type: `${postgate}#disableRule` }];
      await write('eli', postgate, { post: quoted.uri, embeddingRules }, rkeyOf(quoted));
      await writer.settle();
      const late = await quote('fay', quoted);
      const own = await quote('eli', quoted);
      await writer.settle();
      const disabled = async (viewer: Name): Promise<unknown> =>
        (await postsOf(stage, [quoted], viewer))[0]?.viewer?.embeddingDisabled;
      expect([await disabled('dee'), await disabled('eli')]).toEqual([true, false]);
      const embeds = (await postsOf(stage, [early, late, own], 'ann')).map(({ embed }) => embed);
      expect(embeds).toMatchObject([
        { record: { uri: quoted.uri, value: { text: 'not for quotes' } } },
        { record: { uri: quoted.uri, detached: true } },
        { record: { uri: quoted.uri, value: { text: 'not for quotes' } } },
      ]);
      expect(await quotesOf(quoted)).toEqual(urisOf([own, late, early]));
      const notices = urisOf(await noticesOf(stage, 'eli'));
      expect(notices).toContain(early.uri);
      expect(notices).not.toContain(late.uri);
    });
  });
}
