/**
 * The intended differences from the official plane, each with its name and reason; any other is a
 * failure.
 */
import { type RawBuilder, sql } from 'kysely';
import type { Outcome } from './ask.ts';
import { isStranger, withoutFields } from './difference-rules.ts';
import type { Facts } from './facts.ts';
import type { Answer, MethodName, MethodRow, Request } from './method-row.ts';

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
    reason: 'each plane has its own, so they are followed and never compared',
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
    name: 'notices of foreign roots',
    reason: 'it judges by the parent alone; our replies with a foreign root notify nobody',
    methods: ['getNotifications'],
    leavesOut: (item, facts) => facts.foreignRootUris.has(uriOf(item)),
  },
  {
    name: 'notices of replies older than a post above them',
    reason: 'it then notifies one actor once, never the late author; we notify as if all had come in order',
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
      'it keeps the notice of an updated like, follow or profile with its first time; ours has that of the record',
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
    name: 'times of drafts',
    reason: 'each plane times a private write by its own clock',
    methods: ['getActorDrafts'],
    reduces: (items) => withoutFields(items, new Set(['createdAt', 'updatedAt'])) as readonly unknown[],
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
    reason: 'it counts quotes of one version of a post, but lists those of all; we count the list',
    mend: sql`update post_agg set
      "quoteCount" = (select count(*) from quote where quote.subject = post_agg.uri)
      where exists (select 1 from post where post.uri = post_agg.uri)`,
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

/** The differences that concern a row. */
function differencesOf({ method }: MethodRow): readonly Difference[] {
  return intendedDifferences.filter(({ methods }) => methods?.includes(method) ?? true);
}

/** True when our refusal counts as equal to the official one. */
export function isSameRefusal(official: Outcome & { ok: false }, other: Outcome & { ok: false }): boolean {
  const accepted = intendedDifferences.flatMap(({ refusals }) => refusals?.[official.code] ?? []);
  return official.code === other.code || accepted.includes(other.code);
}

/** True when both planes should give the same answer to a request. */
export function isComparable(row: MethodRow, request: Request, facts: Facts): boolean {
  return differencesOf(row).every(({ skips }) => skips?.(request, facts) !== true);
}

/** Returns the items that both planes should return. */
export function comparableItems(row: MethodRow, items: readonly unknown[], facts: Facts): readonly unknown[] {
  const differences = differencesOf(row);
  const kept = items.filter((item) => differences.every(({ leavesOut }) => leavesOut?.(item, facts) !== true));
  return differences.reduce<readonly unknown[]>((left, { reduces }) => reduces?.(left) ?? left, kept);
}

/** True for methods of which only one whole page of the official plane is a reference. */
export function officialWalksLoseItems(row: MethodRow): boolean {
  return differencesOf(row).some(({ losesItems }) => losesItems === true);
}

/** True when a failure of the official plane is intended to be none of ours. */
export function mayOfficialFail(row: MethodRow): boolean {
  return differencesOf(row).some(({ officialMayFail }) => officialMayFail === true);
}

/** Returns the repairs of the official plane's tables, in order. */
export function officialMends(): readonly RawBuilder<unknown>[] {
  return intendedDifferences.flatMap(({ mend }) => mend ?? []);
}

/**
 * True for records that the oracle requests.
 *
 * The official plane stores profiles whose rkey is not `self`, although nobody uses them; we refuse
 * them.
 */
export function isAskedFor(collection: string, rkey: string): boolean {
  return collection !== 'app.bsky.actor.profile' || rkey === 'self';
}

/**
 * Rows that are not compared once an account is deleted: the official plane deletes its records,
 * but does not count again what they counted for; we undo every effect.
 */
export const staleAfterAccountDeletion: ReadonlySet<string> = new Set(['getInteractionCounts']);
