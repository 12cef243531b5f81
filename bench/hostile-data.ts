/** A slot with the worst that strangers can write into it, and the requests that it makes dear. */

import { inputLimits } from '../src/atproto/input-limits.ts';
import { ByteWriter } from '../src/base/bytes.ts';
import { encodeMessage } from '../src/proto/codec.ts';
import { encodeProbes, encodeRawFollowersAmong } from '../src/wire/edge-messages.ts';
import { encodeTimeline } from '../src/wire/feed-messages.ts';
import { encodeFollowsOf, followsPageLimit } from '../src/wire/follows-messages.ts';
import { encodeTexts } from '../src/wire/message.ts';
import { nodeCalls } from '../src/wire/node-calls.ts';
import { encodeThread } from '../src/wire/thread-messages.ts';
import { didOf, numberedDid, ReadsNetwork, type StrongRef } from '../test/integration/reads-network.ts';
import { encodeNewestByAuthors } from '../test/support/wire-messages.ts';

export const [victim, mallory, reposter, opener] = [
  didOf('victim'),
  didOf('mallory'),
  didOf('reposter'),
  didOf('opener'),
];
const nsid = {
  post: 'app.bsky.feed.post',
  like: 'app.bsky.feed.like',
  repost: 'app.bsky.feed.repost',
  follow: 'app.bsky.graph.follow',
} as const;
const recordsPerCommit = 1_000;
export const unreadCase = 'unread count of many';

export type Sizes = { readonly rows: number; readonly actors: number };
type Case = { readonly name: string; readonly method: string; readonly payload: Uint8Array };

/** Writes what strangers can, and gathers the requests that it makes costly. */
export class HostileData {
  readonly cases: Case[] = [];
  readonly network = new ReadsNetwork({ slots: 1, mapBytes: 2 ** 32 });
  readonly sizes: Sizes;
  readonly actors: readonly string[];

  constructor(sizes: Sizes) {
    this.sizes = sizes;
    this.actors = Array.from({ length: sizes.actors }, (_unused, index) => numberedDid(index));
    for (const did of [victim, mallory, reposter, opener, ...this.actors]) this.network.identity(did, null);
  }

  add(name: string, method: string, payload: Uint8Array): void {
    this.cases.push({ name, method, payload });
  }

  putAll(did: string, collection: string, records: readonly object[]): string[] {
    const uris: string[] = [];
    for (let from = 0; from < records.length; from += recordsPerCommit) {
      uris.push(...this.network.putAll(did, collection, records.slice(from, from + recordsPerCommit)));
      this.network.settle();
    }
    return uris;
  }

  times<Item>(count: number, make: (index: number) => Item): Item[] {
    return Array.from({ length: count }, (_unused, index) => make(index));
  }

  notifications(): void {
    const features = [{ $type: 'app.bsky.richtext.facet#mention', did: victim }];
    const facets = [{ index: { byteStart: 0, byteEnd: 1 }, features }];
    const createdAt = this.network.now;
    this.putAll(
      mallory,
      nsid.post,
      this.times(this.sizes.rows, () => ({ text: 'x', facets, createdAt })),
    );
    const actorDid = victim;
    const page = (limit: number, priority: boolean): Buffer =>
      encodeMessage('GetNotificationsRequest', { actorDid, limit, priority });
    this.add(
      unreadCase,
      'bsky.GetUnreadNotificationCount',
      encodeMessage('GetUnreadNotificationCountRequest', { actorDid }),
    );
    this.add('notifications, none of a followed actor', 'bsky.GetNotifications', page(50, true));
    this.add('notifications, largest page', 'bsky.GetNotifications', page(1_000, false));
  }

  crowdedFollows(): void {
    const createdAt = this.network.now;
    const follows = this.times(this.sizes.rows, (index) => ({ subject: numberedDid(index), createdAt }));
    this.putAll(mallory, nsid.follow, follows);
    for (const limit of [50, 1_000]) {
      const payload = encodeMessage('GetFollowsRequest', { actorDid: mallory, limit });
      this.add(`follows of one second, ${limit}`, 'bsky.GetFollows', payload);
    }
    const payload = encodeFollowsOf({ did: mallory, after: '', limit: followsPageLimit });
    this.add('all follows, a page of a node', nodeCalls.followsOf, payload);
  }

  threads(): void {
    const { network } = this;
    const root = network.post(victim, 'root');
    const count = Math.min(this.sizes.rows, 12_000);
    const reply = (parent: StrongRef) => () => ({ text: 'r', createdAt: network.now, reply: { root, parent } });
    this.putAll(mallory, nsid.post, this.times(Math.ceil(count / 2), reply(root)));
    const gone = this.putAll(reposter, nsid.post, this.times(Math.ceil(count / 2), reply(root)));
    for (const uri of gone) network.delete({ uri });
    network.settle();
    const around = (ref: StrongRef): Buffer =>
      encodeThread({ root: ref.uri, anchor: ref.uri, above: 1_000, below: 1_000 });
    this.add('thread of many replies, half of them deleted', nodeCalls.thread, around(root));
    const chain = network.post(opener, 'chain');
    let parent = chain;
    for (let index = 0; index < Math.min(count, 3_000); index++) parent = network.reply(opener, 'on', chain, parent);
    network.settle();
    const deep = encodeThread({ root: chain.uri, anchor: parent.uri, above: 10_000, below: 10 });
    this.add('ancestors of a long chain', nodeCalls.thread, deep);
    const roots = this.times(100, () => chain.uri);
    this.add('OP threads of many roots', nodeCalls.opThreads, encodeTexts(roots));
  }

  phantomReposts(): void {
    const subject = (index: number) => ({ uri: `at://${victim}/${nsid.post}/3kaaaaaaaaa${index % 10}a`, cid: 'c' });
    const reposts = this.times(this.sizes.rows, (index) => ({
      subject: { ...subject(index), uri: `at://${numberedDid(index)}/${nsid.post}/3kaaaaaaaaaaa` },
      createdAt: this.network.now,
    }));
    this.putAll(reposter, nsid.repost, reposts);
    const feed = encodeMessage('GetAuthorFeedRequest', { actorDid: reposter, limit: 50 });
    this.add('author feed of reposts of nothing', 'bsky.GetAuthorFeed', feed);
    const authors = [reposter, ...this.actors];
    const payload = encodeNewestByAuthors({ before: null, limit: 1_001, authors });
    this.add('newest items of these and of many authors', nodeCalls.newestByAuthors, payload);
  }

  timelines(): void {
    const { network } = this;
    for (const did of this.actors) {
      this.putAll(
        did,
        nsid.post,
        this.times(3, () => ({ text: 'p', createdAt: network.now })),
      );
      network.follow(did, victim);
    }
    const createdAt = network.now;
    this.putAll(
      victim,
      nsid.follow,
      this.actors.map((subject) => ({ subject, createdAt })),
    );
    const payload = encodeTimeline({ did: victim, before: null, limit: 1_001 });
    this.add('timeline of many follows', nodeCalls.timeline, payload);
    const followers = encodeMessage('GetFollowersRequest', { actorDid: victim, limit: 1_000 });
    this.add('followers, largest page', 'bsky.GetFollowers', followers);
  }

  probes(): void {
    const actors = this.actors;
    const texts = (dids: readonly string[]): Buffer =>
      Buffer.concat(dids.map((did) => new ByteWriter().text(did).finish()));
    const subjects = [...actors.slice(0, 99), victim];
    const among = encodeRawFollowersAmong(texts(subjects), subjects.length, texts(actors), actors.length);
    this.add('known followers, most pairs', nodeCalls.followersAmong, among);
    const large = [mallory, victim];
    const ofLarge = encodeRawFollowersAmong(texts(subjects), subjects.length, texts(large), large.length);
    // Edges of an actor are cached at the third request.
    for (let time = 1; time <= 4; time++)
      this.add(`known followers among actors of many follows, ${time}`, nodeCalls.followersAmong, ofLarge);
    const [source, starts, ends] = [
      Buffer.from(actors.join('')),
      actors.map((_did, at) => at * 32),
      actors.map((_did, at) => at * 32 + 32),
    ];
    const indexes = actors.map((_did, index) => index);
    const probed = indexes.map((owner) => ({ owner, kinds: 3, subject: (owner + 1) % actors.length }));
    this.add(
      'relationships, most targets',
      nodeCalls.probeEdges,
      encodeProbes({ source, starts, ends }, indexes, probed),
    );
  }

  largeRecords(): void {
    const { network } = this;
    const filler = '\u0001'.repeat(Math.floor(inputLimits.recordJsonBytesMax / 6) - 200);
    const uris = this.times(40, () => network.post(mallory, 'fat', { filler }).uri);
    const subjects = uris.map((uri) => network.like(opener, { uri, cid: 'c' }, { filler }) && uri);
    const self = '\u0001'.repeat(30_000);
    for (const did of this.actors.slice(0, 200))
      for (const collection of ['app.bsky.actor.profile', 'app.bsky.actor.status', 'chat.bsky.actor.declaration'])
        network.put(did, collection, { filler: self }, 'self');
    network.settle();
    this.add('records of a megabyte', 'bsky.GetPostRecords', encodeMessage('GetPostRecordsRequest', { uris }));
    this.add('roots of posts of a megabyte', nodeCalls.postRoots, encodeTexts(uris));
    const refs = subjects.map((uri) => ({ uri, cid: '' }));
    const likes = encodeMessage('GetLikesByActorAndSubjectsRequest', { actorDid: opener, refs });
    this.add('likes of a megabyte by subject', 'bsky.GetLikesByActorAndSubjects', likes);
    this.add(
      'actors with large records',
      'bsky.GetActors',
      encodeMessage('GetActorsRequest', { dids: this.actors.slice(0, 200) }),
    );
  }

  batches(): void {
    const dids = this.times(5_000, (index) => this.actors[index % this.actors.length]!);
    this.add('actors, largest batch', 'bsky.GetActors', encodeMessage('GetActorsRequest', { dids }));
    this.add(
      'counts of actors, largest batch',
      'bsky.GetCountsForUsers',
      encodeMessage('GetCountsForUsersRequest', { dids }),
    );
    const refs = dids.map((did) => ({ uri: `at://${did}/${nsid.post}/3kaaaaaaaaaaa`, cid: '' }));
    const uris = refs.map(({ uri }) => uri);
    this.add(
      'counts of records, largest batch',
      'bsky.GetInteractionCounts',
      encodeMessage('GetInteractionCountsRequest', { refs }),
    );
    this.add('records, largest batch', 'bsky.GetPostRecords', encodeMessage('GetPostRecordsRequest', { uris }));
    const handles = dids.map((_did, index) => `h${index}.example`);
    this.add('handles, largest batch', 'bsky.GetDidsByHandles', encodeMessage('GetDidsByHandlesRequest', { handles }));
  }
}
