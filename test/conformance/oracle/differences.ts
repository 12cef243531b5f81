/**
 * The intended differences from the official plane, with their reasons; any other is a failure.
 *
 * Two more: page tokens differ, so they are followed and never compared, and items of one
 * millisecond may come in any order (`sort-ties.ts`).
 */
import { type RawBuilder, sql } from 'kysely';
import type { Outcome } from './ask.ts';
import type { Facts } from './facts.ts';
import type { Answer, MethodRow, Request } from './method-row.ts';

/**
 * Our codes that count as equal to a refusal of the official plane.
 *
 * A malformed AT-URI or page token is `Internal` on the official plane. Our code blames the
 * request, and the AppView turns it into a client error.
 */
const refusalsByOfficialCode: Readonly<Record<string, readonly string[]>> = {
  Internal: ['Internal', 'InvalidArgument'],
};

/** True when our refusal counts as equal to the official one. */
export function isSameRefusal(official: Outcome & { ok: false }, other: Outcome & { ok: false }): boolean {
  return (refusalsByOfficialCode[official.code] ?? [official.code]).includes(other.code);
}

/**
 * What the plane under test does not answer yet; set to false once built.
 *
 * `verdicts`: replies and quotes that gates forbid are not seeded. `lists`: blocks and mutes by
 * list are not compared.
 */
export const notBuiltYet = { verdicts: true, lists: true } as const;

const listFields = new Set(['mutedByList', 'blockedByList', 'blockingByList']);

/** Removes the fields of unbuilt parts. */
export function withoutUnbuilt(row: MethodRow, answer: unknown): unknown {
  if (!notBuiltYet.lists) return answer;
  // `exists` includes blocks by list, so only the direct blocks are compared.
  const fields = row.method === 'getBlockExistence' ? new Set([...listFields, 'exists']) : listFields;
  return withoutFields(answer, fields);
}

function withoutFields(value: unknown, fields: ReadonlySet<string>): unknown {
  if (Array.isArray(value)) return value.map((item) => withoutFields(item, fields));
  if (typeof value !== 'object' || value === null) return value;
  const kept = Object.entries(value).filter(([key]) => !fields.has(key));
  return Object.fromEntries(kept.map(([key, inner]) => [key, withoutFields(inner, fields)]));
}

/**
 * Methods whose official pages lose items, so that only one whole page is a reference.
 *
 * Notifications are paged by time alone: items in the millisecond of a page's last item get lost.
 */
export const officialWalksLoseItems: ReadonlySet<string> = new Set(['getNotifications']);

/**
 * Rows that are not compared once an account is deleted, as the official plane keeps traces of it.
 *
 * It deletes the account's records, but neither recounts their subjects nor removes their feed
 * items, quotes and posts in OP threads; we undo every effect.
 */
export const staleAfterAccountDeletion: ReadonlySet<string> = new Set([
  'getCountsForUsers',
  'getInteractionCounts',
  'getQuotesBySubjectSorted',
  'getTimeline',
  'getThread',
  'getPostRecords (with OP threads)',
]);

/**
 * True for records that the oracle requests.
 *
 * The official plane stores profiles whose rkey is not `self`, although nobody uses them; we refuse
 * them.
 */
export function isAskedFor(collection: string, rkey: string): boolean {
  return collection !== 'app.bsky.actor.profile' || rkey === 'self';
}

/** True when both planes should give the same answer to a request. */
export function isComparable(row: MethodRow, request: Request, facts: Facts): boolean {
  switch (row.method) {
    case 'getThread': {
      // The official plane still finds replies below a deleted post; we no longer know its root.
      // The AppView shows nothing in either case.
      const uri = String(request['postUri']);
      return (
        !facts.foreignRootUris.has(uri) && (facts.sortedAtMsByUri.has(uri) || facts.unknownDids.includes(didIn(uri)))
      );
    }
    case 'getUnreadNotificationCount':
      return !facts.disputedDids.has(String(request['actorDid']));
    case 'getQuotesBySubjectSorted': {
      // The official plane lists quotes of a post that never existed; we wait for the post.
      const { uri } = (request['subject'] ?? {}) as { readonly uri?: string };
      return uri === undefined || uri === '' || facts.dids.includes(didIn(uri));
    }
    default:
      return true;
  }
}

/** Removes items that only one of the planes is meant to return. */
export function comparableItems(row: MethodRow, items: readonly unknown[], facts: Facts): readonly unknown[] {
  switch (row.method) {
    case 'getFollows':
    case 'getFollowers':
      return withoutStrangers(items, facts);
    case 'getNotifications':
      return withoutDisputedNotices(items, facts);
    case 'getTimeline':
      return withoutMissingPosts(items, facts);
    default:
      return items;
  }
}

/** Removes replies whose root differs from that of their parent. */
export function withoutForeignRoots(uris: readonly unknown[], facts: Facts): readonly unknown[] {
  // The official plane shows them below their parent; we index replies by the root that they claim.
  return uris.filter((uri) => !facts.foreignRootUris.has(String(uri)));
}

/**
 * The official plane hides follows of actors that it has not seen; we keep no actors of other slots
 * and return such follows at once.
 */
function withoutStrangers(items: readonly unknown[], facts: Facts): readonly unknown[] {
  const known = new Set(facts.dids);
  return items.filter((item) => {
    const { actorDid, subjectDid } = item as Answer;
    return known.has(String(actorDid)) && known.has(String(subjectDid));
  });
}

/**
 * When a duplicate replaces a deleted record, the official plane keeps the old notice, which the
 * AppView never shows; we notify of the duplicate. Our replies with a foreign root notify nobody.
 * It keeps the notice of a like, repost, follow or profile that is updated, with its first time;
 * our notices have the time of the record as it is.
 */
function withoutDisputedNotices(items: readonly unknown[], facts: Facts): readonly unknown[] {
  return items.filter((item) => {
    const uri = String((item as Answer)['uri']);
    const isDisputed = facts.promotedUris.has(uri) || facts.foreignRootUris.has(uri) || facts.updatedUris.has(uri);
    return facts.sortedAtMsByUri.has(uri) && !isDisputed;
  });
}

/** Official timelines have reposts of missing posts, and own items twice for self-followers. */
function withoutMissingPosts(items: readonly unknown[], facts: Facts): readonly unknown[] {
  const existing = items.filter((item) => facts.sortedAtMsByUri.has(String((item as Answer)['uri'])));
  return [...new Map(existing.map((item) => [JSON.stringify(item), item])).values()];
}

function didIn(uri: string): string {
  return uri.split('/')[2] ?? '';
}

/** A repair of the official plane's tables before they serve as a reference. */
export interface Mend {
  readonly name: string;
  /** What the official plane loses, which we do not. */
  readonly reason: string;
  readonly statement: RawBuilder<unknown>;
}

/** Differences that are mended in the official plane's tables, as every answer depends on them. */
export const officialMends: readonly Mend[] = [
  {
    name: 'feed items of reposts',
    reason: 'an update of a post deletes the feed items of its reposts, and nothing brings them back',
    statement: sql`insert into feed_item (type, uri, cid, "postUri", "originatorDid", "sortAt")
      select 'repost', record.uri, record.cid, record.json::json->'subject'->>'uri', record.did,
        least(record.json::json->>'createdAt', record."indexedAt")
      from record where record.uri like '%/app.bsky.feed.repost/%'
        and exists (select 1 from post where post.uri = record.json::json->'subject'->>'uri')
      on conflict do nothing`,
  },
  {
    name: 'quotes of updated posts',
    reason: 'an update of a post deletes the list of its quotes, and nothing brings it back',
    statement: sql`insert into quote (uri, cid, subject, "subjectCid", "createdAt", "indexedAt")
      select post.uri, post.cid, embed."embedUri", embed."embedCid", post."createdAt", post."indexedAt"
      from post_embed_record as embed join post on post.uri = embed."postUri"
      where embed."embedUri" like '%/app.bsky.feed.post/%'
        and exists (select 1 from post as quoted where quoted.uri = embed."embedUri")
      on conflict do nothing`,
  },
  {
    name: 'counts of posts',
    reason: 'it counts inside concurrent transactions, of which the last writer wins',
    statement: sql`update post_agg set
      "likeCount" = (select count(*) from "like" where "like".subject = post_agg.uri),
      "repostCount" = (select count(*) from repost where repost.subject = post_agg.uri),
      "replyCount" = (select count(*) from post as reply where reply."replyParent" = post_agg.uri
        and reply."violatesThreadGate" is not true)`,
  },
  {
    name: 'counts of quotes',
    reason: 'it counts quotes of one version of a post, but lists those of all; we count the list',
    statement: sql`update post_agg set
      "quoteCount" = (select count(*) from quote where quote.subject = post_agg.uri)
      where exists (select 1 from post where post.uri = post_agg.uri)`,
  },
  {
    name: 'counts of actors',
    reason: 'it counts inside concurrent transactions, of which the last writer wins',
    statement: sql`update profile_agg set
      "followersCount" = (select count(*) from follow where follow."subjectDid" = profile_agg.did),
      "followsCount" = (select count(*) from follow where follow.creator = profile_agg.did),
      "postsCount" = (select count(*) from post where post.creator = profile_agg.did)`,
  },
];
