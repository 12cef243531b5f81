/**
 * What gates make of replies and quotes in the model: all is as it was when the post was indexed.
 *
 * `isContested`: what the slots make of it depends on what arrived first.
 */
import { type Model, type ModelRecord, uriOf } from './model.ts';
import { mentionsOf, parseUri, quoteOf, type Ref, replyRefsOf, type Value } from './model-record.ts';

const post = 'app.bsky.feed.post';
const threadGate = 'app.bsky.feed.threadgate';
const postGate = 'app.bsky.feed.postgate';

export type GateVerdict = { readonly isViolating: boolean; readonly isContested: boolean };

const allowed: GateVerdict = { isViolating: false, isContested: false };

function recordAt(model: Model, ref: Ref, timeMs: number): ModelRecord | null {
  return model.versions.at(uriOf(ref), timeMs);
}

/** Whether some record of a subject was such at a time, and whether one was that is so no more. */
function anyAt(
  model: Model,
  timeMs: number,
  { collection, subject }: { readonly collection: string; readonly subject: string },
  isSuch: (record: ModelRecord) => boolean,
): { readonly is: boolean; readonly hasEnded: boolean; readonly endsLater: boolean; readonly wasSwept: boolean } {
  let is = false;
  let hasEnded = false;
  let endsLater = false;
  let wasSwept = false;
  for (const [uri, versions] of model.versions.about(collection, subject)) {
    for (const [index, { fromMs, record }] of versions.entries()) {
      if (record === null || record.value['subject'] !== subject || !isSuch(record)) continue;
      const untilMs = versions[index + 1]?.fromMs ?? Number.POSITIVE_INFINITY;
      if (fromMs <= timeMs && timeMs < untilMs) is = true;
      if (untilMs !== Number.POSITIVE_INFINITY) hasEnded = true;
      if (fromMs <= timeMs && timeMs < untilMs && untilMs !== Number.POSITIVE_INFINITY) endsLater = true;
      if (model.swept.has(uri)) wasSwept = true;
    }
  }
  return { is, hasEnded, endsLater, wasSwept };
}

function rulesOf(gate: Value): readonly { readonly $type?: string; readonly list?: string }[] {
  return gate['allow'] as readonly { readonly $type?: string; readonly list?: string }[];
}

/** The URIs of replies that the gate of a reply's thread hid when it was indexed. */
export function hiddenFor(model: Model, root: Ref, indexedMs: number): readonly string[] {
  const gate = recordAt(model, { ...root, collection: threadGate }, indexedMs);
  return (gate?.value['hiddenReplies'] ?? []) as readonly string[];
}

/** Whether the gate of its thread forbids a reply. */
export function replyVerdict(model: Model, reply: ModelRecord): GateVerdict {
  const root = replyRefsOf(reply)?.root;
  const parent = replyRefsOf(reply)?.parent;
  if (root === undefined || parent === undefined) return allowed;
  const isIndexed = [root, parent, reply].every((ref) => ref.collection === post && ref.rkey.length <= 256);
  if (!isIndexed) return allowed;
  const isContested = model.deleted.has(root.did) || model.deleted.has(reply.did);
  const gate = recordAt(model, { ...root, collection: threadGate }, reply.indexedMs);
  if (gate === null || root.did === reply.did || !Array.isArray(gate.value['allow']))
    return { isViolating: false, isContested };
  const names = new Set(rulesOf(gate.value).map(({ $type }) => $type?.split('#')[1]));
  const rootPost = recordAt(model, root, reply.indexedMs);
  const isMentioned = rootPost !== null && mentionsOf(rootPost.value).includes(reply.did);
  const followed = followAt(model, root.did, reply.did, reply.indexedMs);
  // The end of a snapshot removes records later than all events, and other changes come in between.
  const isSwept = model.swept.has(uriOf({ ...root, collection: threadGate }));
  const isSweptContested = (names.has('mentionRule') && isSwept) || (names.has('followingRule') && followed.wasSwept);
  if (
    (names.has('mentionRule') && isMentioned) ||
    (names.has('followerRule') && reply.isFollower) ||
    (names.has('followingRule') && followed.is)
  ) {
    return { isViolating: false, isContested: isContested || isSweptContested };
  }
  const lists = rulesOf(gate.value).flatMap(({ list }) => (list === undefined ? [] : [list]));
  const listed = anyAt(
    model,
    reply.indexedMs,
    { collection: 'app.bsky.graph.listitem', subject: reply.did },
    ({ value }) => lists.includes(String(value['list'])),
  );
  // Of a follow that came in with the reply, or after it, the end is noted once somebody asks.
  const following = followAt(model, reply.did, root.did, reply.indexedMs);
  const isFollower = names.has('followerRule') && following.is;
  const isFollowContested =
    names.has('followerRule') && (following.endsLater || (model.losesFolders && following.hasEnded));
  const isListContested =
    lists.some((list) => model.deleted.has(parseUri(list)?.did ?? '')) || (model.losesFolders && listed.hasEnded);
  return {
    isViolating: !listed.is && !isFollower,
    isContested: isContested || isListContested || isSweptContested || isFollowContested,
  };
}

function followAt(model: Model, follower: string, subject: string, timeMs: number): ReturnType<typeof anyAt> {
  return anyAt(model, timeMs, { collection: 'app.bsky.graph.follow', subject }, ({ did }) => did === follower);
}

/** Whether the gate of the quoted post forbids a quote. */
export function quoteVerdict(model: Model, quote: ModelRecord): GateVerdict {
  const subject = quoteOf(quote.value);
  if (subject === undefined) return allowed;
  const isContested = model.deleted.has(subject.did) || model.deleted.has(quote.did);
  const gate = recordAt(model, { ...subject, collection: postGate }, quote.indexedMs);
  const rules = (gate?.value['embeddingRules'] ?? []) as readonly { readonly $type?: string }[];
  const isDisabled = rules.some(({ $type }) => $type === `${postGate}#disableRule`);
  return { isViolating: isDisabled && subject.did !== quote.did, isContested };
}

/** What does not depend on the order of arrival; the rest is not compared. */
export type Comparable = {
  /** Notices of a recipient from a source; null asks for all sources. */
  isNoticeCompared(recipient: string, sourceUri: string | null): boolean;
  /** Whether a mute of its thread hides a notice, by its `causeId`. */
  isNoticeHidden(id: string): boolean;
  isVerdictCompared(uri: string): boolean;
  isReplyCountCompared(parentUri: string): boolean;
};

/** Returns what of a model's facts slots must agree with. */
export function comparableOf(model: Model): Comparable {
  const contested = new Set<string>();
  const parents = new Set<string>();
  for (const record of model.records.values()) {
    if (record.collection !== post) continue;
    const isReplyContested = replyVerdict(model, record).isContested;
    if (isReplyContested || quoteVerdict(model, record).isContested) contested.add(uriOf(record));
    if (isReplyContested) parents.add(uriOf(replyRefsOf(record)!.parent));
  }
  return {
    isNoticeCompared: (recipient, sourceUri) => {
      if (model.deleted.has(recipient)) return false;
      if (sourceUri === null) return model.contested.size === 0 && contested.size === 0;
      return !model.contested.has(sourceUri) && !contested.has(sourceUri);
    },
    isNoticeHidden: () => false,
    isVerdictCompared: (uri) => !contested.has(uri),
    isReplyCountCompared: (parentUri) => !parents.has(parentUri),
  };
}
