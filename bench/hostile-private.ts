/** What actors can arrange in their own private data, and likers of records. */
import { privateNamespace } from '../src/atproto/private-namespace.ts';
import { encodeMessage } from '../src/proto/codec.ts';
import { encodeTexts } from '../src/wire/message.ts';
import { nodeCalls } from '../src/wire/node-calls.ts';
import { numberedDid } from '../test/integration/reads-network.ts';
import { type HostileData, opener, victim } from './hostile-data.ts';

const batchMax = 5_000;
const pageMax = 1_000;

function put({ network }: HostileData, namespace: string, key: string, value: object): void {
  const payload = JSON.stringify({ ...value, $type: namespace });
  network.write(opener, { type: 'private-data', method: 'create', namespace, key, payload });
}

/** Settles once in a thousand. */
function many(data: HostileData, count: number, make: (index: number) => void): void {
  for (let index = 0; index < count; index++) {
    make(index);
    if (index % 1_000 === 999) data.network.settle();
  }
}

function privateData(data: HostileData): void {
  const { sizes, network } = data;
  const count = Math.min(sizes.rows, 20_000);
  const uriOf = (index: number): string => `at://${numberedDid(index)}/app.bsky.feed.post/3kaaaaaaaaaaa`;
  const { bookmark, activitySubscription, draft } = privateNamespace;
  // What no index has costs a page as much as what it shows.
  const filler = 'x'.repeat(2_000);
  many(data, count, (index) => put(data, bookmark, `k${index}`, { subject: { uri: uriOf(index), cid: '' }, filler }));
  many(data, count, (index) => {
    const subject = numberedDid(index);
    put(data, activitySubscription, `k${index}`, {
      subject,
      activitySubscription: { post: true, reply: true },
      filler,
    });
  });
  many(data, 20, (index) => put(data, draft, `k${index}`, { filler: '\u0001'.repeat(170_000) }));
  many(data, count, (index) => {
    const [rkey, did] = ['3kaaaaaaaaaaa', numberedDid(index)];
    network.write(opener, { type: 'thread-mute', root: { did, collection: 'app.bsky.feed.post', rkey } });
  });
  many(data, count, (index) => {
    const scope = { onlyReposts: index % 2 === 0, onlyQuoteposts: false };
    network.write(opener, { type: 'mute', subject: numberedDid(index), ...scope });
  });
  const actorDid = opener;
  const page = { actorDid, limit: pageMax };
  const uris = data.times(batchMax, uriOf);
  const subjectDids = data.times(batchMax, numberedDid);
  const asked: readonly (readonly [string, string, Uint8Array])[] = [
    ['bookmarks, largest page', 'GetActorBookmarks', encodeMessage('GetActorBookmarksRequest', page)],
    [
      'subscriptions, largest page',
      'GetActivitySubscriptionDids',
      encodeMessage('GetActivitySubscriptionDidsRequest', page),
    ],
    ['drafts of a megabyte', 'GetActorDrafts', encodeMessage('GetActorDraftsRequest', page)],
    ['mutes, largest page', 'GetMutes', encodeMessage('GetMutesRequest', page)],
    [
      'bookmarks by subject, largest batch',
      'GetBookmarksByActorAndSubjects',
      encodeMessage('GetBookmarksByActorAndSubjectsRequest', { actorDid, uris }),
    ],
    [
      'subscriptions by subject, largest batch',
      'GetActivitySubscriptionsByActorAndSubjects',
      encodeMessage('GetActivitySubscriptionsByActorAndSubjectsRequest', { actorDid, subjectDids }),
    ],
    [
      'muted threads, largest batch',
      'GetThreadMutesOnSubjects',
      encodeMessage('GetThreadMutesOnSubjectsRequest', { actorDid, threadRoots: uris }),
    ],
  ];
  for (const [name, method, payload] of asked) data.add(name, `bsky.${method}`, payload);
}

function likers(data: HostileData): void {
  const { network, actors } = data;
  const post = network.post(victim, 'liked');
  for (const did of actors.slice(0, pageMax)) network.like(did, post);
  const uris = data.times(200, () => post.uri);
  data.add('recent likers of many records', nodeCalls.recentLikers, encodeTexts(uris));
}

export const hostilePrivateSteps = { privateData, likers } as const;
