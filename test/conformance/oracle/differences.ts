/**
 * The differences from the official plane that are meant, each with its reason. Everything else is a failure.
 *
 * Besides these: page tokens are never compared (ours are spelled differently, and the oracle only follows them), and
 * items of one millisecond may come in any order (`sort-ties.ts`).
 */
import type { Outcome } from './ask.ts';
import type { Facts } from './facts.ts';
import type { Answer, MethodRow, Request } from './method-row.ts';

/**
 * Codes of ours that stand for a refusal of the official plane.
 *
 * A malformed AT-URI or page token makes the official plane fail with `Internal`; ours says whose fault it is, with the
 * code that the AppView turns into a client error.
 */
const refusalsByOfficialCode: Readonly<Record<string, readonly string[]>> = {
  Internal: ['Internal', 'InvalidArgument'],
};

/** Says whether our refusal may stand for the official one. */
export function isSameRefusal(official: Outcome & { ok: false }, other: Outcome & { ok: false }): boolean {
  return (refusalsByOfficialCode[official.code] ?? [official.code]).includes(other.code);
}

/**
 * What the plane under test does not answer yet; set to false as the parts are built.
 *
 * `verdicts`: replies and quotes that a gate forbids are not seeded. `lists`: what lists block and mute is left out.
 */
export const notBuiltYet = { verdicts: true, lists: true } as const;

const listFields = new Set(['mutedByList', 'blockedByList', 'blockingByList']);

/** Removes the fields of the parts that are not built yet. */
export function withoutUnbuilt(row: MethodRow, answer: unknown): unknown {
  if (!notBuiltYet.lists) return answer;
  // Whether a block exists counts those by list, so of this answer only the direct blocks are left.
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
 * Methods whose official pages lose items, so that only the official answer in one page is a reference.
 *
 * Notifications are paged by time alone: what shares the millisecond of a page's last item is never shown.
 */
export const officialWalksLoseItems: ReadonlySet<string> = new Set(['getNotifications']);

/**
 * Rows that are not compared once an account is deleted, since the official plane leaves traces of it.
 *
 * It deletes the account's records but neither recounts what they counted for nor removes their feed items, quotes and
 * places in OP threads; we take back every effect.
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
 * Says whether a record is one that the oracle asks for.
 *
 * The official plane keeps the bytes of a profile whose rkey is not `self`, though it is nobody's profile; we refuse it.
 */
export function isAskedFor(collection: string, rkey: string): boolean {
  return collection !== 'app.bsky.actor.profile' || rkey === 'self';
}

/** Says whether the two planes mean to agree on the answer to a request. */
export function isComparable(row: MethodRow, request: Request, facts: Facts): boolean {
  switch (row.method) {
    case 'getThread': {
      // Below a deleted post the official plane still finds replies; we do not know the root of what is gone. The AppView
      // shows nothing in either case.
      const uri = String(request['postUri']);
      return (
        !facts.foreignRootUris.has(uri) && (facts.sortedAtMsByUri.has(uri) || facts.unknownDids.includes(didIn(uri)))
      );
    }
    case 'getUnreadNotificationCount':
      return !facts.disputedDids.has(String(request['actorDid']));
    case 'getQuotesBySubjectSorted': {
      // Quotes of a post that never was: the official plane lists them, we wait for the post.
      const { uri } = (request['subject'] ?? {}) as { readonly uri?: string };
      return uri === undefined || uri === '' || facts.dids.includes(didIn(uri));
    }
    default:
      return true;
  }
}

/** Leaves out the items that one of the planes gives and the other means not to. */
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

/** Removes replies that claim a root which their parent does not have. */
export function withoutForeignRoots(uris: readonly unknown[], facts: Facts): readonly unknown[] {
  // The official plane hangs them below their parent; we index a thread by the root that each reply claims.
  return uris.filter((uri) => !facts.foreignRootUris.has(String(uri)));
}

/**
 * The official plane joins follows with its table of actors, so that the edge appears once the actor does; we keep no
 * row of strangers in the owner's slot and answer the edge at once.
 */
function withoutStrangers(items: readonly unknown[], facts: Facts): readonly unknown[] {
  const known = new Set(facts.dids);
  return items.filter((item) => {
    const { actorDid, subjectDid } = item as Answer;
    return known.has(String(actorDid)) && known.has(String(subjectDid));
  });
}

/**
 * When a duplicate takes the place of a deleted record, the official plane keeps the notice of the deleted one, which
 * the AppView never shows; we send one for the duplicate. A reply with a foreign root tells nobody here.
 */
function withoutDisputedNotices(items: readonly unknown[], facts: Facts): readonly unknown[] {
  return items.filter((item) => {
    const uri = String((item as Answer)['uri']);
    return facts.sortedAtMsByUri.has(uri) && !facts.promotedUris.has(uri) && !facts.foreignRootUris.has(uri);
  });
}

/** The official plane lists reposts of posts that do not exist, and gives own items twice to who follows himself. */
function withoutMissingPosts(items: readonly unknown[], facts: Facts): readonly unknown[] {
  const existing = items.filter((item) => facts.sortedAtMsByUri.has(String((item as Answer)['uri'])));
  return [...new Map(existing.map((item) => [JSON.stringify(item), item])).values()];
}

function didIn(uri: string): string {
  return uri.split('/')[2] ?? '';
}
