/** Timelines and threads: pages, merges, and the roots that posts claim. */
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { parseShardMap } from '../../../../src/shardmap/shard-map.ts';
import { didOf, newestOf, postOf } from '../../../support/fake-nodes.ts';
import { RouterPlans, refusal } from '../../../support/router-plans.ts';

let plans: RouterPlans;
beforeEach(() => {
  plans = new RouterPlans();
});

describe('timeline', () => {
  /** Authors 1 to 8 are followed by 0; 9 is not. Few distinct times make ties. */
  const anyItems = fc.uniqueArray(
    fc.tuple(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 1, max: 12 }), fc.boolean()),
    {
      selector: ([author, time, isRepost]) => `${author} ${time} ${isRepost}`,
      maxLength: 60,
    },
  );

  test('all pages together hold every followed item once, newest first', async () => {
    await fc.assert(
      fc.asyncProperty(anyItems, fc.integer({ min: 1, max: 7 }), async (items, limit) => {
        const authors = [1, 2, 3, 4, 5, 6, 7, 8].map(didOf);
        plans.nodes.network.follows.set(didOf(0), new Map([...authors, didOf(0)].map((did) => [did, 'k'])));
        plans.nodes.network.feeds.clear();
        for (const [author, time, isRepost] of items.filter(([author]) => author !== 0)) {
          const itemUri = isRepost ? `at://${didOf(author)}/app.bsky.feed.repost/r${time}` : postOf(author, `r${time}`);
          const feed = plans.nodes.network.feeds.get(didOf(author)) ?? [];
          feed.push({ sortMs: time, itemUri, postUri: isRepost ? postOf(30, 'x') : itemUri });
          plans.nodes.network.feeds.set(didOf(author), feed);
        }
        const seen: string[] = [];
        let cursor = '';
        do {
          const page = await plans.ask('GetTimeline', { actorDid: didOf(0), limit, cursor });
          expect(page.items.length).toBeLessThanOrEqual(limit);
          seen.push(...page.items.map((item) => item.repost || item.uri));
          cursor = page.cursor;
          expect(cursor).not.toContain('::');
        } while (cursor !== '');
        expect(seen).toEqual(newestOf(plans.nodes.network, authors, null, 1000).map(({ itemUri }) => itemUri));
      }),
    );
  });

  test('is whole though nodes have twice as many slots as the router knew of when it began', async () => {
    const nodes = { n0: { host: '127.0.0.1', port: 0 }, n1: { host: '127.0.0.1', port: 0 } };
    const shardsOf = (own: readonly (readonly string[])[]) =>
      own.map((slots, at) => ({ name: `s${at}`, primary: `n${at}`, slots }));
    const before = parseShardMap({ epoch: 1, slots: 8, nodes, shards: shardsOf([['0-3'], ['4-7']]) });
    const own = shardsOf([
      ['0-3', '8-11'],
      ['4-7', '12-15'],
    ]);
    const doubled = new RouterPlans(parseShardMap({ epoch: 2, slots: 16, doubling: true, nodes, shards: own }));
    const { network, map } = doubled.nodes;
    const authors = Array.from({ length: 40 }, (_unused, number) => didOf(number + 1));
    network.follows.set(didOf(0), new Map(authors.map((did) => [did, 'k'])));
    for (const number of authors.keys()) {
      const uri = postOf(number + 1, 'r');
      network.feeds.set(didOf(number + 1), [{ sortMs: number, itemUri: uri, postUri: uri }]);
    }
    const router = doubled.routerOf({ map: before, reloadMap: async () => map });
    const { items } = await doubled.ask('GetTimeline', { actorDid: didOf(0), limit: 50 }, router);
    expect(items).toHaveLength(authors.length);
    expect(router.map.slots).toBe(16);
  });

  test('own posts are capped at ten on a page that others fill, and fill a page that others do not', async () => {
    const feedOf = (author: number, count: number, fromMs: number): void => {
      const items = Array.from({ length: count }, (_unused, index) => {
        const itemUri = postOf(author, `r${index}`);
        return { sortMs: fromMs + index, itemUri, postUri: itemUri };
      });
      plans.nodes.network.feeds.set(didOf(author), items);
    };
    plans.nodes.network.follows.set(didOf(0), new Map([[didOf(1), 'k']]));
    feedOf(0, 100, 10_000);
    feedOf(1, 100, 1_000);
    const full = await plans.ask('GetTimeline', { actorDid: didOf(0), limit: 50 });
    expect(full.items.filter(({ uri }) => uri.startsWith(`at://${didOf(0)}/`))).toHaveLength(10);
    expect(full.items).toHaveLength(50);
    expect(full.cursor).not.toBe('');
    plans.nodes.network.follows.clear();
    const own = await plans.ask('GetTimeline', { actorDid: didOf(0), limit: 50 });
    expect(own.items).toHaveLength(50);
    expect(own.cursor).not.toBe('');
  });

  test('a malformed token is InvalidArgument', async () => {
    for (const cursor of ['x', '12__', '::', '1700000000000__a__b::', '--1__abc', `1__${'a'.repeat(9000)}`]) {
      const error = await refusal(plans.ask('GetTimeline', { actorDid: didOf(0), limit: 5, cursor }));
      expect(error).toMatchObject({ code: 'InvalidArgument', message: expect.stringContaining('cursor') });
    }
  });

  test('without a positive limit or a valid viewer it is empty', async () => {
    for (const request of [
      { actorDid: didOf(0), limit: 0 },
      { actorDid: didOf(0), limit: -5 },
      { actorDid: 'x', limit: 5 },
    ]) {
      expect(await plans.ask('GetTimeline', request)).toEqual({ items: [], cursor: '' });
    }
  });
});

describe('threads', () => {
  test("a thread is read in its claimed root's slot", async () => {
    plans.nodes.network.roots.set(postOf(1, 'reply'), postOf(2, 'root'));
    plans.nodes.network.opThreads.set(postOf(2, 'root'), [postOf(2, 'root'), postOf(2, 'next')]);
    const { uris, opThread } = await plans.ask('GetThread', { postUri: postOf(1, 'reply'), above: 80, below: -3 });
    expect(uris).toEqual([postOf(1, 'reply'), postOf(2, 'root'), '80 0']);
    expect(opThread).toEqual([postOf(2, 'root'), postOf(2, 'next')]);
  });

  test('a post that does not exist, or claims no real root, is its own root', async () => {
    plans.nodes.network.roots.set(postOf(1, 'odd'), 'at://alice.test/app.bsky.feed.post/1');
    for (const postUri of [postOf(5, 'gone'), postOf(1, 'odd')]) {
      expect((await plans.ask('GetThread', { postUri, above: 1, below: 1 })).uris.slice(0, 2)).toEqual([
        postUri,
        postUri,
      ]);
    }
    expect(await plans.ask('GetThread', { postUri: 'nonsense' })).toEqual({ uris: [], opThread: [] });
  });

  test('posts come with the OP threads of their roots if asked for, each root once', async () => {
    const root = postOf(2, 'root');
    plans.nodes.network.roots.set(root, root).set(postOf(1, 'a'), root).set(postOf(3, 'b'), postOf(4, 'lonely'));
    plans.nodes.network.opThreads.set(root, [root, postOf(2, 'next')]);
    const uris = [postOf(1, 'a'), root, postOf(3, 'b'), postOf(9, 'gone'), postOf(1, 'a')];
    const { records, meta, opThreads } = await plans.ask('GetPostRecords', { uris, includeOpThreadMetadata: true });
    expect([records.length, meta.length]).toEqual([5, 5]);
    expect(opThreads).toEqual([{ rootUri: root, uris: [root, postOf(2, 'next')] }]);
  });
});
