/** Posts, replies, gates and reactions of a random history. */
import type { RecordBody } from '../oracle/record-writer.ts';
import { type Community, type MadeRecord, type Name, rkeyOf } from './community.ts';
import type { Operation, OperationKind } from './operation.ts';

export type Perform = (community: Community, operation: Operation) => Promise<void>;

export const collections = {
  post: 'app.bsky.feed.post',
  like: 'app.bsky.feed.like',
  repost: 'app.bsky.feed.repost',
  threadGate: 'app.bsky.feed.threadgate',
  postGate: 'app.bsky.feed.postgate',
  feed: 'app.bsky.feed.generator',
  list: 'app.bsky.graph.list',
  listItem: 'app.bsky.graph.listitem',
} as const;

/** Reference to a record, as replies, quotes and reactions hold it. */
function strongRef({ uri, cid }: MadeRecord): { readonly uri: string; readonly cid: string } {
  return { uri, cid };
}

/** What a post embeds and mentions. */
async function contentOf(community: Community, operation: Operation, by: Name): Promise<RecordBody> {
  const { variant, second, whom } = operation;
  const text = `post ${operation.id}`;
  const mentioned = operation.id % 4 === 0 ? community.writer.did(by) : community.did(whom);
  const mention = { $type: 'app.bsky.richtext.facet#mention', did: mentioned };
  const facets = [{ index: { byteStart: 0, byteEnd: 4 }, features: [mention] }];
  const quoted = variant === 5 ? community.find(collections.list, second) : community.quotable(second);
  const record = quoted === undefined ? undefined : { $type: 'app.bsky.embed.record', record: strongRef(quoted) };
  switch (variant) {
    case 0: {
      const image = await community.seed.uploadFile(community.writer.did(by) as `did:plc:${string}`, 'a', 'image/jpeg');
      return { text, embed: { $type: 'app.bsky.embed.images', images: [image] } };
    }
    case 1: {
      const film = await community.seed.uploadFile(community.writer.did(by) as `did:plc:${string}`, 'b', 'video/mp4');
      return { text, embed: { $type: 'app.bsky.embed.video', video: film.image } };
    }
    case 2:
      return { text, facets };
    case 3:
    case 4:
    case 5:
      return record === undefined ? { text } : { text, embed: record };
    case 6: {
      if (record === undefined) return { text, facets };
      const media = {
        $type: 'app.bsky.embed.external',
        external: { uri: 'https://example.com/', title: '', description: '' },
      };
      return {
        text,
        facets,
        embed: { $type: 'app.bsky.embed.recordWithMedia', record: { record: strongRef(quoted!) }, media },
      };
    }
    case 7:
      return { text, langs: ['en'], tags: ['one'] };
    default:
      return { text };
  }
}

async function post(community: Community, operation: Operation): Promise<void> {
  const by = community.active(operation.by);
  if (by === undefined) return;
  await community.create(operation, by, collections.post, await contentOf(community, operation, by));
}

/** The reference of a thread's root that a reply to this post should hold. */
function rootOf(parent: MadeRecord): unknown {
  const { reply } = parent.body as { readonly reply?: { readonly root: unknown } };
  return reply?.root ?? strongRef(parent);
}

async function reply(community: Community, operation: Operation): Promise<void> {
  const by = community.active(operation.by);
  const parent = community.find(collections.post, operation.first);
  if (by === undefined || parent === undefined) return;
  const other = operation.variant === 11 ? community.find(collections.post, operation.second) : undefined;
  const root = other === undefined ? rootOf(parent) : strongRef(other);
  const content = await contentOf(community, operation, by);
  await community.create(operation, by, collections.post, { ...content, reply: { root, parent: strongRef(parent) } });
}

async function replyBeforeParent(community: Community, operation: Operation): Promise<void> {
  const by = community.active(operation.by);
  const author = community.active(operation.whom);
  if (by === undefined || author === undefined) return;
  const parent = community.promise(operation, author);
  const above = operation.variant < 6 ? community.find(collections.post, operation.first) : undefined;
  const root = above === undefined ? parent : rootOf(above);
  const body = { text: `early ${operation.id}`, reply: { root, parent } };
  await community.create(operation, by, collections.post, body);
  if (above === undefined) return;
  // The promised post will itself be a reply.
  Object.assign(community.promised.at(-1)!, { reply: { root, parent: strongRef(above) } });
}

async function lateParent(community: Community, operation: Operation): Promise<void> {
  const promised = community.promised.at(-1);
  if (promised === undefined || !community.isActive(promised.by)) return;
  community.promised.pop();
  const body = { text: `late ${operation.id}`, ...(promised.reply === undefined ? {} : { reply: promised.reply }) };
  await community.create(operation, promised.by, collections.post, body, promised.rkey);
}

function react(collection: string): Perform {
  return async (community, operation) => {
    const by = community.active(operation.by);
    const ofFeed = collection === collections.like && operation.variant === 11;
    const subject = community.find(ofFeed ? collections.feed : collections.post, operation.first);
    if (by === undefined || subject === undefined) return;
    const via = operation.variant < 3 ? community.find(collections.repost, operation.second) : undefined;
    const body = { subject: strongRef(subject), ...(via === undefined ? {} : { via: strongRef(via) }) };
    await community.create(operation, by, collection, body);
  };
}

async function threadGate(community: Community, operation: Operation): Promise<void> {
  const { first, second, variant, by: index } = operation;
  const by = community.active(index);
  if (by === undefined) return;
  const post = community.find(collections.post, first, by);
  if (post === undefined) return;
  const list = community.find(collections.list, second);
  const rules = [
    { $type: 'app.bsky.feed.threadgate#mentionRule' },
    { $type: 'app.bsky.feed.threadgate#followingRule' },
    { $type: 'app.bsky.feed.threadgate#followerRule' },
    ...(list === undefined ? [] : [{ $type: 'app.bsky.feed.threadgate#listRule', list: list.uri }]),
  ];
  const allow = variant === 0 ? undefined : rules.filter((_rule, rule) => ((variant >> rule) & 1) === 1);
  const hidden = variant % 3 === 0 ? community.find(collections.post, second) : undefined;
  const body = {
    post: post.uri,
    ...(allow === undefined ? {} : { allow }),
    ...(hidden === undefined ? {} : { hiddenReplies: [hidden.uri] }),
  };
  // One time in twelve under a key that is not the post's, which makes it void.
  await community.create(operation, by, collections.threadGate, body, variant === 11 ? undefined : rkeyOf(post.uri));
}

async function postGate(community: Community, operation: Operation): Promise<void> {
  const by = community.active(operation.by);
  if (by === undefined) return;
  const post = community.find(collections.post, operation.first, by);
  if (post === undefined) return;
  const quote = community.find(collections.post, operation.second);
  const body = {
    post: post.uri,
    ...(operation.variant < 7 ? { embeddingRules: [{ $type: 'app.bsky.feed.postgate#disableRule' }] } : {}),
    ...(quote === undefined || operation.variant % 2 === 0 ? {} : { detachedEmbeddingUris: [quote.uri] }),
  };
  await community.create(operation, by, collections.postGate, body, rkeyOf(post.uri));
}

export const postOperations = {
  post,
  reply,
  'reply before its parent': replyBeforeParent,
  'late parent': lateParent,
  like: react(collections.like),
  repost: react(collections.repost),
  'thread gate': threadGate,
  'post gate': postGate,
} satisfies Partial<Record<OperationKind, Perform>>;
