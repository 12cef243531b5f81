/** What gates forbid: flags of posts, counts, notifications, whatever comes first. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { keyHeadOf, tableCode } from '../../src/slot/table/slot-state.ts';
import { didOf, ReadsNetwork, type StrongRef } from './reads-network.ts';

const [alice, bob, carol, dave] = [didOf('alice'), didOf('bob'), didOf('carol'), didOf('dave')];
const disableRule = { $type: 'app.bsky.feed.postgate#disableRule' };

function rule(name: string, list?: string): object {
  return { $type: `app.bsky.feed.threadgate#${name}`, ...(list === undefined ? {} : { list }) };
}

function rkeyOf({ uri }: StrongRef): string {
  return uri.slice(uri.lastIndexOf('/') + 1);
}

describe.each([{ slots: 1 }, { slots: 8 }])('gates over $slots slots', ({ slots }) => {
  let network: ReadsNetwork;
  let root: StrongRef;
  beforeEach(() => {
    network = new ReadsNetwork({ slots });
    for (const [index, did] of [alice, bob, carol, dave].entries()) network.identity(did, `actor${index}.test`);
    root = network.post(alice, 'root');
  });
  afterEach(() => network[Symbol.asyncDispose]());

  function threadGate(gate: object, post = root): StrongRef {
    const record = { post: post.uri, createdAt: network.now, ...gate };
    return network.put(alice, 'app.bsky.feed.threadgate', record, rkeyOf(post));
  }

  function postGate(embeddingRules: readonly object[]): StrongRef {
    const record = { post: root.uri, createdAt: network.now, embeddingRules };
    return network.put(alice, 'app.bsky.feed.postgate', record, rkeyOf(root));
  }

  function listItem(subject: string, list: StrongRef): StrongRef {
    return network.put(carol, 'app.bsky.graph.listitem', { subject, list: list.uri, createdAt: network.now });
  }

  function quote(did: string, subject = root): StrongRef {
    return network.post(did, 'q', { embed: { $type: 'app.bsky.embed.record', record: subject } });
  }

  /** Returns which of the posts violate the gate of their thread. */
  async function violating(...posts: readonly StrongRef[]): Promise<boolean[]> {
    network.settle();
    const { meta } = await network.ask('GetPostRecordsRequest', { uris: posts.map(({ uri }) => uri) });
    return meta.map(({ violatesThreadGate }) => violatesThreadGate);
  }

  async function repliesOf(post: StrongRef): Promise<number> {
    const { replies } = await network.ask('GetInteractionCountsRequest', { refs: [post] });
    return replies[0]!;
  }

  async function noticesOf(did: string): Promise<string[]> {
    const { notifications } = await network.ask('GetNotificationsRequest', { actorDid: did, limit: 50 });
    return notifications.map(({ uri, reason }) => `${reason} ${uri}`);
  }

  it('allow everyone without rules, and nobody but the author with none', async () => {
    threadGate({});
    const open = network.reply(bob, 'open', root);
    threadGate({ allow: [] });
    const [closed, own] = [network.reply(bob, 'closed', root), network.reply(alice, 'own', root)];
    expect(await violating(open, closed, own)).toEqual([false, true, false]);
    expect(await repliesOf(root)).toBe(2);
    expect(await noticesOf(alice)).toEqual([`reply ${open.uri}`]);
  });

  it('allow those whom the root mentions', async () => {
    const features = [{ $type: 'app.bsky.richtext.facet#mention', did: bob }];
    root = network.post(alice, 'hi bob', { facets: [{ index: { byteStart: 0, byteEnd: 2 }, features }] });
    threadGate({ allow: [rule('mentionRule')] });
    expect(await violating(network.reply(bob, 'b', root), network.reply(carol, 'c', root))).toEqual([false, true]);
  });

  it('allow followers of the author, and those whom the author follows, as they were', async () => {
    threadGate({ allow: [rule('followerRule'), rule('followingRule')] });
    const follows = [network.follow(bob, alice), network.follow(alice, carol)];
    const during = [bob, carol, dave].map((did) => network.reply(did, 'during', root));
    for (const follow of follows) network.delete(follow);
    const after = [bob, carol].map((did) => network.reply(did, 'after', root));
    expect(await violating(...during, ...after)).toEqual([false, false, true, true, true]);
    network.follow(alice, dave);
    network.follow(dave, alice);
    expect(await violating(...during)).toEqual([false, false, true]);
  });

  it('allow those who are on a list of anybody, as it was', async () => {
    const list = network.put(carol, 'app.bsky.graph.list', { name: 'l', createdAt: network.now });
    threadGate({ allow: [rule('listRule', list.uri)] });
    const before = network.reply(bob, 'before', root);
    const item = listItem(bob, list);
    const during = network.reply(bob, 'during', root);
    network.delete(item);
    const after = network.reply(bob, 'after', root);
    expect(await violating(before, during, after)).toEqual([true, false, true]);
    expect(await noticesOf(alice)).toEqual([`reply ${during.uri}`]);
    expect(await repliesOf(root)).toBe(1);
  });

  it('judge by a follow that the same snapshot names after the reply', async () => {
    threadGate({ allow: [rule('followerRule')] });
    const time = network.timeMs;
    const reply = network.reply(bob, 'x', root);
    network.timeMs = time;
    network.follow(bob, alice);
    expect(await violating(reply)).toEqual([false]);
  });

  it('leave old replies alone when they change, but not those that came too early', async () => {
    const early = network.reply(bob, 'old', root);
    const gate = threadGate({ allow: [] });
    const late = network.reply(bob, 'new', root);
    network.delete(gate);
    const last = network.reply(bob, 'last', root);
    expect(await violating(early, late, last)).toEqual([false, true, false]);
    // The gate of this one comes into the log after the reply, with an earlier time.
    const other = network.post(alice, 'other');
    const gateMs = network.timeMs;
    network.timeMs += 1000;
    const reply = network.reply(bob, 'x', other);
    expect(await violating(reply)).toEqual([false]);
    const nowMs = network.timeMs;
    network.timeMs = gateMs;
    threadGate({ allow: [] }, other);
    network.timeMs = nowMs;
    expect(await violating(reply)).toEqual([true]);
    expect(await repliesOf(other)).toBe(0);
    expect(await noticesOf(alice)).not.toContain(`reply ${reply.uri}`);
  });

  it('notify nobody above a hidden reply', async () => {
    const middle = network.reply(bob, 'middle', root);
    threadGate({ hiddenReplies: [middle.uri] });
    const below = network.reply(carol, 'below', root, middle);
    network.settle();
    expect(await noticesOf(bob)).toEqual([`reply ${below.uri}`]);
    expect(await noticesOf(alice)).toEqual([`reply ${middle.uri}`]);
    threadGate({ hiddenReplies: [] });
    const shown = network.reply(dave, 'shown', root, middle);
    network.settle();
    expect(await noticesOf(alice)).toEqual([`reply ${shown.uri}`, `reply ${middle.uri}`]);
  });

  it('mark quotes of a post whose gate forbids them, which still count', async () => {
    const before = quote(bob);
    postGate([disableRule]);
    const [after, own] = [quote(bob), quote(alice)];
    postGate([]);
    const again = quote(bob);
    network.settle();
    const uris = [before, after, own, again].map(({ uri }) => uri);
    const { meta } = await network.ask('GetPostRecordsRequest', { uris });
    expect(meta.map(({ violatesEmbeddingRules }) => violatesEmbeddingRules)).toEqual([false, true, false, false]);
    const { quotes } = await network.ask('GetInteractionCountsRequest', { refs: [root] });
    expect(quotes).toEqual([4]);
    const listed = await network.ask('GetQuotesBySubjectSortedRequest', { subject: root, limit: 10 });
    expect(listed.uris).toHaveLength(4);
    expect(await noticesOf(alice)).toEqual([`quote ${again.uri}`, `quote ${before.uri}`]);
  });

  it('judge a post that is written again anew', async () => {
    threadGate({ allow: [] });
    const reply = network.reply(bob, 'x', root);
    expect(await violating(reply)).toEqual([true]);
    threadGate({});
    const { uri, cid } = root;
    const record = { text: 'y', createdAt: network.now, reply: { root: { uri, cid }, parent: { uri, cid } } };
    network.put(bob, 'app.bsky.feed.post', record, rkeyOf(reply));
    expect(await violating(reply)).toEqual([false]);
    expect(await repliesOf(root)).toBe(1);
  });

  it('leave nothing of a deleted account', async () => {
    threadGate({ allow: [rule('followingRule')], hiddenReplies: [root.uri] });
    network.reply(bob, 'x', root);
    network.settle();
    const prefix = Buffer.from([0]);
    const rowsOf = (): number => {
      const { state } = network.cluster.slots[network.cluster.slotOf(alice)]!;
      const owner = state.ownerOf(alice)!;
      let count = 0;
      for (const key of state.rows.scanKeys({ start: prefix, end: Buffer.alloc(64, 255) })) {
        const head = keyHeadOf(key);
        if (head.owner === owner && (head.table === tableCode.gatePolicy || head.table === tableCode.gateFact)) count++;
      }
      return count;
    };
    expect(rowsOf()).toBeGreaterThan(1);
    network.account(alice, false, 'deleted');
    network.settle();
    expect(rowsOf()).toBe(0);
  });
});
