/**
 * The intended differences from the official plane, each with its name and reason; any other is a
 * failure.
 */
import { type RawBuilder, sql } from 'kysely';
import {
  anyOrder,
  hasField,
  isStranger,
  orderedFirst,
  sideOfBlock,
  sortsIn,
  withoutFields,
} from './difference-rules.ts';
import type { Facts } from './facts.ts';
import type { Answer, MethodName, Request } from './method-row.ts';

/** One intended difference, and how the comparison leaves it out. */
export interface Difference {
  readonly name: string;
  readonly reason: string;
  /** The methods that it concerns; all when absent. */
  readonly methods?: readonly MethodName[];
  /** True for a request that is not compared. */
  readonly skips?: (request: Request, facts: Facts) => boolean;
  /** True for an item that is not compared. */
  readonly leavesOut?: (item: unknown, facts: Facts) => boolean;
  /** Changes the items of an answer to what is compared. */
  readonly reduces?: (items: readonly unknown[]) => readonly unknown[];
  /** Changes a whole answer of a method without pages to what is compared. */
  readonly shows?: (answer: Answer, facts: Facts, request: Request) => Answer;
  /** True for records that nothing is asked about. */
  readonly ignores?: (collection: string, rkey: string) => boolean;
  /** Our codes that count as equal to a refusal of the official plane. */
  readonly refusals?: Readonly<Record<string, readonly string[]>>;
  /** Set where official pages lose items, so that only one whole page is a reference. */
  readonly losesItems?: true;
  /** Set where the official plane fails although the request is fine. */
  readonly officialMayFail?: true;
  /** A repair of the official plane's tables before they serve as a reference. */
  readonly mend?: RawBuilder<unknown>;
}

function uriOf(item: unknown): string {
  return String((item as Answer)['uri']);
}

function didIn(uri: string): string {
  return uri.split('/')[2] ?? '';
}

/** All of them. */
export const intendedDifferences: readonly Difference[] = [
  {
    name: 'page tokens',
    reason:
      'each plane has its own, so they are followed and never compared; ours of follow suggestions hold a seed, so that ' +
      'pages of one walk do not repeat',
  },
  {
    name: 'ties',
    reason: 'items of one millisecond may come in any order, so they are compared as sets',
  },
  {
    name: 'malformed input',
    reason: 'a malformed AT-URI or page token is Internal there; ours blames the request, a client error',
    refusals: { Internal: ['Internal', 'InvalidArgument'] },
  },
  {
    name: 'threads of posts that are gone',
    reason: 'it still finds replies below a deleted post; we no longer know its root, and the AppView shows neither',
    methods: ['getThread'],
    skips: ({ postUri }, facts) =>
      !facts.sortedAtMsByUri.has(String(postUri)) && !facts.unknownDids.includes(didIn(String(postUri))),
  },
  {
    name: 'threads of foreign roots',
    reason: 'it shows replies below their parent whatever root they claim; we index by the claimed root',
    methods: ['getThread'],
    skips: ({ postUri }, facts) => facts.foreignRootUris.has(String(postUri)),
    leavesOut: (uri, facts) => facts.foreignRootUris.has(String(uri)),
  },
  {
    name: 'unread notices that differ',
    reason: 'counts follow the notices of the differences below',
    methods: ['getUnreadNotificationCount'],
    skips: ({ actorDid }, facts) => facts.disputedDids.has(String(actorDid)),
  },
  {
    name: 'unread replies to what is gone',
    reason: 'it counts a reply below a post that was gone for nobody; ours counts it for its author. Neither lists it',
    methods: ['getUnreadNotificationCount'],
    skips: ({ actorDid }, facts) => facts.answeredWhenGone.has(String(actorDid)),
  },
  {
    name: 'notices of foreign roots',
    reason: 'it judges by the parent alone; our replies with a foreign root notify nobody',
    methods: ['getNotifications'],
    leavesOut: (item, facts) => facts.foreignRootUris.has(uriOf(item)),
  },
  {
    name: 'notices of replies below a post that was late or gone',
    reason:
      'it stops at a post that is gone, and once a late one comes notifies each actor once, but never its author; we ' +
      'notify as if all had come in order and stayed',
    methods: ['getNotifications'],
    leavesOut: (item, facts) => facts.earlyReplyUris.has(uriOf(item)) && (item as Answer)['reason'] === 'reply',
  },
  {
    name: 'notices of promoted duplicates',
    reason: 'it keeps the notice of the deleted record, which the AppView never shows; we notify of the duplicate',
    methods: ['getNotifications'],
    leavesOut: (item, facts) => !facts.sortedAtMsByUri.has(uriOf(item)) || facts.promotedUris.has(uriOf(item)),
  },
  {
    name: 'notices of updated records',
    reason:
      'it keeps the notice of an updated like, follow or profile with its first time, also of a profile that now names ' +
      'another pack; ours has that of the record, and goes to the maker of the pack that it names',
    methods: ['getNotifications'],
    leavesOut: (item, facts) => facts.updatedUris.has(uriOf(item)),
  },
  {
    name: 'pages of notices',
    reason: 'it pages by time alone and loses the items in the millisecond of a last item of a page',
    methods: ['getNotifications'],
    losesItems: true,
  },
  {
    name: 'quotes of what never existed',
    reason: 'it lists quotes of a post that never existed; we wait for the post',
    methods: ['getQuotesBySubjectSorted'],
    skips: ({ subject }, facts) => {
      const { uri = '' } = (subject ?? {}) as { readonly uri?: string };
      return uri !== '' && !facts.dids.includes(didIn(uri));
    },
  },
  {
    name: 'follows of actors never seen',
    reason: 'it hides them until it sees the actor; we keep no actors of other slots and return them at once',
    methods: ['getFollows', 'getFollowers'],
    leavesOut: isStranger,
  },
  {
    name: 'mutes of actors never seen',
    reason: 'it hides them until it sees the actor, as it does follows',
    methods: ['getMutes'],
    leavesOut: (item, { dids }) => !dids.includes(String((item as Answer)['did'])),
  },
  {
    name: 'several lists with one actor',
    reason: 'it fails when two lists that an actor blocks or mutes hold the same target; any one of them counts',
    methods: ['getRelationships', 'getBlockExistence'],
    officialMayFail: true,
  },
  {
    name: 'reposts of missing posts in timelines',
    reason: 'it lists reposts of posts that do not exist, which the AppView leaves out',
    methods: ['getTimeline'],
    leavesOut: (item, facts) => !facts.sortedAtMsByUri.has(uriOf(item)),
  },
  {
    name: 'own items twice',
    reason: 'who follows himself gets his own items twice there',
    methods: ['getTimeline'],
    reduces: (items) => [...new Map(items.map((item) => [JSON.stringify(item), item])).values()],
  },
  {
    name: 'times of private writes',
    reason: 'each plane times a private write by its own clock',
    methods: ['getActorDrafts', 'getBookmarksByActorAndSubjects'],
    reduces: (items) => withoutFields(items, new Set(['createdAt', 'updatedAt'])) as readonly unknown[],
    shows: (answer) => withoutFields(answer, new Set(['createdAt', 'indexedAt', 'updatedAt'])) as Answer,
  },
  {
    name: 'when an identity was answered',
    reason: 'it says when it looked the identity up, which is now on both planes',
    methods: ['getIdentityByDid', 'getIdentityByHandle'],
    shows: (answer) => withoutFields(answer, new Set(['updated'])) as Answer,
  },
  {
    name: 'handles that nobody confirms',
    reason: 'it gives the handle that the document claims; ours only one whose host names the account, too',
    methods: ['getIdentityByDid'],
    shows: (answer, facts, { did }) =>
      facts.unconfirmedDids.has(String(did)) ? (withoutFields(answer, new Set(['handle'])) as Answer) : answer,
  },
  {
    name: 'order of labels',
    reason: 'it gives the labels of one subject in the order of its table',
    methods: ['getLabels'],
    shows: anyOrder('labels'),
  },
  {
    name: 'order of OP threads',
    reason: 'it gives the threads of a batch in the order of its table; the URIs of one are in order',
    methods: ['getPostRecords'],
    shows: anyOrder('opThreads'),
  },
  {
    name: 'order of known actors',
    reason: 'it gives the actors of one result in the order of its table, or those of one millisecond in any',
    methods: ['getFollowsFollowing', 'getKnownLikers'],
    shows: sortsIn('results', 'dids'),
  },
  {
    name: 'order of tagged suggestions',
    reason: 'they come in the order of its table; ours in that of the operator',
    methods: ['getSuggestedEntities'],
    shows: anyOrder('entities'),
  },
  {
    name: 'order of follow suggestions',
    reason:
      'all but the first two that an operator ordered are shuffled; of an actor, those liked as often come in any order',
    methods: ['getFollowSuggestions'],
    shows: orderedFirst,
  },
  {
    name: 'any of several lists',
    reason: 'of several lists that hold the target it names the one that its database finds first',
    methods: ['getBidirectionalBlockViaList', 'getActorMutesActorViaList'],
    shows: hasField('listUri'),
  },
  {
    name: 'either side of a mutual block',
    reason: 'of a mutual block it names the one that its database finds first, so any that exists counts as equal',
    methods: ['getBidirectionalBlock'],
    shows: sideOfBlock,
  },
  {
    name: 'pairs asked both ways',
    reason: 'it confuses the pairs (a, b) and (b, a) within one batch; we distinguish them',
    methods: ['getBlockExistence'],
    skips: ({ pairs }) => {
      const asked = pairs as readonly { readonly a: string; readonly b: string }[];
      return asked.some(({ a, b }) => a !== b && asked.some((other) => other.a === b && other.b === a));
    },
  },
  {
    name: 'bounds of ours',
    reason:
      'a request names at most 100 targets (getFollowsFollowing), 200 subjects (getKnownLikers) or 100 issuers ' +
      '(getLabels); 1,000 list blocks and 1,000 list mutes of an actor count, 200 trusted verifiers, 1,000 joins of the ' +
      "first hour of a starter pack's week, 100,000 members of a list in its feed. It has no bounds",
    methods: ['getFollowsFollowing', 'getKnownLikers'],
    skips: ({ targetDids, subjectUris }) =>
      ((targetDids ?? []) as readonly string[]).length > 100 || ((subjectUris ?? []) as readonly string[]).length > 200,
  },
  {
    name: 'methods that it does not answer',
    reason: 'they throw there, or always answer the same; ours do what their names and messages promise',
    methods: [
      'getFeedGeneratorStatus',
      'getSitemapIndex',
      'getSitemapPage',
      'getSiteStandardRecordsByURI',
      'getSiteStandardRecordsByRef',
      'getVerificationsIssued',
      'getVerificationsReceived',
      'getAllLabelers',
      'getNewUserCountForRange',
    ],
  },
  {
    name: 'profiles under other keys',
    reason: 'it stores profiles whose key is not `self`, although nobody uses them; we refuse them',
    ignores: (collection, rkey) => collection === 'app.bsky.actor.profile' && rkey !== 'self',
  },
  {
    name: 'relationships with actors never seen',
    reason:
      'it answers nothing of a target that it has not seen, even if followed, muted or blocked; we answer what there ' +
      'is. No history names such an actor',
    methods: ['getRelationships'],
  },
  {
    name: 'age assurance before its actor is seen',
    reason: 'its update finds no row and is lost; ours counts once the actor is seen. No history does so',
    methods: ['getActors'],
  },
  {
    name: 'tags of actors',
    reason: 'it always answers none; ours are those of operators. No history sets any',
    methods: ['getActors'],
  },
  {
    name: 'refused events',
    reason:
      'an event that rules about speakers or hosts refuse does not make its actor known. No history has such a rule',
  },
  {
    name: 'records without notices in muted threads',
    reason:
      'it fails to index a like, repost or reply of which muted threads hold back every notice; mended in its code',
  },
  {
    name: 'feed items of reposts',
    reason: 'an update of a post deletes the feed items of its reposts, and nothing brings them back',
    mend: sql`insert into feed_item (type, uri, cid, "postUri", "originatorDid", "sortAt")
      select 'repost', record.uri, record.cid, record.json::json->'subject'->>'uri', record.did,
        least(record.json::json->>'createdAt', record."indexedAt")
      from record where record.uri like '%/app.bsky.feed.repost/%'
        and exists (select 1 from post where post.uri = record.json::json->'subject'->>'uri')
      on conflict do nothing`,
  },
  {
    name: 'quotes of updated posts',
    reason: 'an update of a post deletes the list of its quotes, and nothing brings it back',
    mend: sql`insert into quote (uri, cid, subject, "subjectCid", "createdAt", "indexedAt")
      select post.uri, post.cid, embed."embedUri", embed."embedCid", post."createdAt", post."indexedAt"
      from post_embed_record as embed join post on post.uri = embed."postUri"
      where embed."embedUri" like '%/app.bsky.feed.post/%'
        and exists (select 1 from post as quoted where quoted.uri = embed."embedUri")
      on conflict do nothing`,
  },
  {
    name: 'gates of updated posts',
    reason:
      'an update or a re-creation of a post makes it say that it has no gates, and so does a gate before its post',
    mend: sql`update post set
      "hasThreadGate" = exists (select 1 from thread_gate where thread_gate."postUri" = post.uri),
      "hasPostGate" = exists (select 1 from post_gate where post_gate."postUri" = post.uri)`,
  },
  {
    name: 'counts of posts',
    reason: 'it counts inside concurrent transactions, of which the last writer wins',
    mend: sql`update post_agg set
      "likeCount" = (select count(*) from "like" where "like".subject = post_agg.uri),
      "repostCount" = (select count(*) from repost where repost.subject = post_agg.uri),
      "replyCount" = (select count(*) from post as reply where reply."replyParent" = post_agg.uri
        and reply."violatesThreadGate" is not true)`,
  },
  {
    name: 'counts of quotes',
    reason:
      'it counts quotes of one version of a post but lists those of all, and of a post that is gone only later ones; ' +
      'we count all posts that quote it',
    mend: sql`update post_agg set
      "quoteCount" = (select count(*) from post_embed_record as embed join post on post.uri = embed."postUri"
        where embed."embedUri" = post_agg.uri)`,
  },
  {
    name: 'counts of actors who never posted or followed',
    reason: 'it counts their lists, feeds, starter packs and drafts only once they post, follow or are followed',
    mend: sql`insert into profile_agg (did) select did from actor on conflict do nothing`,
  },
  {
    name: 'counts of actors',
    reason: 'it counts inside concurrent transactions, of which the last writer wins',
    mend: sql`update profile_agg set
      "followersCount" = (select count(*) from follow where follow."subjectDid" = profile_agg.did),
      "followsCount" = (select count(*) from follow where follow.creator = profile_agg.did),
      "postsCount" = (select count(*) from post where post.creator = profile_agg.did)`,
  },
  {
    name: 'replies in OP threads',
    reason: 'an update or a re-creation of such a reply leaves it deleted in the OP thread',
    mend: sql`update op_thread_reply set "deletedAt" = null
      where exists (select 1 from post where post.uri = op_thread_reply.uri)`,
  },
  {
    name: 'what a deleted account leaves',
    reason: 'it deletes the records of an account, but not their feed items; we undo every effect',
    mend: sql`delete from feed_item where not exists (select 1 from record where record.uri = feed_item.uri)`,
  },
  {
    name: 'OP threads of a deleted account',
    reason: 'it deletes the posts of an account, but not its OP threads; we undo every effect',
    mend: sql`delete from op_thread_reply
      where not exists (select 1 from actor where actor.did = split_part(op_thread_reply.uri, '/', 3))`,
  },
  {
    name: 'packs of a deleted account',
    reason: 'it deletes the records of an account, but lists its starter packs; we undo every effect',
    mend: sql`delete from starter_pack
      where not exists (select 1 from record where record.uri = starter_pack.uri)`,
  },
  {
    name: 'verifications by a deleted account',
    reason: 'it deletes the records of an account, but not what they verify; we undo every effect',
    mend: sql`delete from verification
      where not exists (select 1 from record where record.uri = verification.uri)`,
  },
  {
    name: 'quotes by a deleted account',
    reason: 'it deletes the posts of an account, but lists them as quotes; we undo every effect',
    mend: sql`delete from quote where not exists (select 1 from post where post.uri = quote.uri)`,
  },
  {
    name: 'quotes of a deleted account',
    reason: 'it keeps the list of the quotes of a post that went with its account, but not of another deleted post',
    mend: sql`delete from quote where exists (select 1 from actor where actor.did = split_part(quote.subject, '/', 3))
      and not exists (select 1 from post where post.uri = quote.subject)`,
  },
];
