/**
 * Everything readable after settling, as flat facts derived from the model's records, threads,
 * claims.
 *
 * A fact is a key and a text. `slot-facts.ts` reads the same facts from slots; both must be equal.
 */

import { type Model, type ModelRecord, uriOf } from './model.ts';
import { type Comparable, comparableOf, quoteVerdict, replyVerdict } from './model-gates.ts';
import { causeId, causesOf, comesBefore, type NoticeCause, noticeKey } from './model-notices.ts';
import { privateNamespaces } from './model-private.ts';
import { edgeOf, hasImages, hasVideo, packOf, quoteOf, type Ref, replyRefsOf, textOfSubject } from './model-record.ts';

export type Facts = Map<string, string>;

/** Hours are counted from year 0. */
const biasMs = 62_167_219_200_000;
const postCollection = 'app.bsky.feed.post';
const actorCountByCollection: Readonly<Record<string, string>> = {
  [postCollection]: 'posts',
  'app.bsky.graph.list': 'lists',
  'app.bsky.feed.generator': 'feeds',
  'app.bsky.graph.starterpack': 'starterPacks',
};
const actorCountByKind: Readonly<Record<string, string>> = {
  follow: 'follows',
  like: 'likes',
  repost: 'reposts',
  block: 'blocks',
  'list-block': 'listBlocks',
};
const recordCountByKind: Readonly<Record<string, string>> = {
  like: 'likes',
  repost: 'reposts',
  quote: 'quotes',
};

class FactWriter {
  readonly facts: Facts = new Map();
  readonly #counts = new Map<string, Map<string, number>>();

  put(key: string, value: unknown): void {
    if (this.facts.has(key)) throw new Error(`two facts with one key: ${key}`);
    this.facts.set(key, JSON.stringify(value));
  }

  count(key: string, name: string): void {
    const counts = this.#counts.get(key) ?? new Map<string, number>();
    this.#counts.set(key, counts.set(name, (counts.get(name) ?? 0) + 1));
  }

  finish(): Facts {
    for (const [key, counts] of this.#counts) this.put(key, Object.fromEntries([...counts].sort()));
    return this.facts;
  }
}

/** Returns everything that must be readable after a history. */
export function factsOfModel(model: Model, compared: Comparable = comparableOf(model)): Facts {
  const writer = new FactWriter();
  writeActors(model, writer);
  for (const record of model.records.values()) writeRecord(model, writer, record, compared);
  writeEdges(model, writer);
  writePrivate(model, writer);
  writeThreads(model, writer);
  writeNotices(model, writer, compared);
  model.operators.writeFacts((key, value) => writer.put(key, value));
  return writer.finish();
}

/** The claim with the greatest (time, DID) holds a handle, unless it was released. */
function holderOf(model: Model, handle: string): string | null {
  let best: { did: string; timeMs: number; isReleased: boolean } | undefined;
  for (const [did, claim] of model.claims.get(handle) ?? []) {
    const isBetter =
      best === undefined || claim.timeMs > best.timeMs || (claim.timeMs === best.timeMs && did > best.did);
    if (isBetter) best = { did, ...claim };
  }
  return best === undefined || best.isReleased ? null : best.did;
}

function writeActors(model: Model, writer: FactWriter): void {
  for (const [did, actor] of model.actors) {
    const handle = actor.handle !== null && holderOf(model, actor.handle) === did ? actor.handle : null;
    writer.put(`actor ${did}`, {
      handle,
      status: actor.status,
      takedownRef: actor.takedownRef,
      isTrusted: actor.isTrusted,
    });
  }
  for (const handle of model.claims.keys()) {
    const did = holderOf(model, handle);
    if (did !== null) writer.put(`handle ${handle}`, did);
  }
  for (const [did, repo] of model.repos) if (repo.rev !== '') writer.put(`repo ${did}`, repo.rev);
  for (const did of model.resyncNeeded) writer.put(`resync ${did}`, true);
  for (const [did, seenMs] of model.seenMs) writer.put(`seen ${did}`, seenMs);
  for (const [did, mutes] of model.mutes.actors)
    for (const [subject, scope] of mutes) writer.put(`mute ${did} ${subject}`, scope);
  for (const [did, lists] of model.mutes.lists) for (const list of lists) writer.put(`list-mute ${did} ${list}`, true);
  for (const [did, roots] of model.mutes.threads)
    for (const root of roots) writer.put(`thread-mute ${did} ${root}`, true);
  for (const [blob, ref] of model.blobTakedowns) writer.put(`blob ${blob}`, ref);
}

function writePrivate(model: Model, writer: FactWriter): void {
  for (const { did, namespace, key, subject, isIndexed, payload } of model.privateData.all()) {
    writer.put(`private ${did} ${namespace} ${key}`, { isIndexed, payload });
    if (isIndexed && namespace === privateNamespaces.draft) writer.count(`counts ${did}`, 'drafts');
    if (isIndexed && namespace === privateNamespaces.subscription) writer.put(`subscription ${did} ${subject}`, key);
    if (!isIndexed || namespace !== privateNamespaces.bookmark) continue;
    const [of, collection, rkey] = subject.slice(5).split('/') as [string, string, string];
    writer.put(`in bookmark ${textOfSubject({ did: of, ref: { did: of, collection, rkey } })} 0 ${did} ${key}`, true);
    writer.count(`record-counts ${subject}`, 'bookmarks');
  }
}

function writeRecord(model: Model, writer: FactWriter, record: ModelRecord, compared: Comparable): void {
  const { did, collection, rkey, cid, json, indexedMs, sortMs, takedownRef, tags } = record;
  const gateOf = (gate: string): boolean =>
    model.records.has(uriOf({ did, collection: `app.bsky.feed.${gate}`, rkey }));
  const isPost = collection === postCollection;
  const verdicts = isPost && compared.isVerdictCompared(uriOf(record)) ? verdictsOf(model, record) : 0;
  const gates = isPost ? (gateOf('threadgate') ? 4 : 0) + (gateOf('postgate') ? 8 : 0) + verdicts : 0;
  writer.put(`record ${uriOf(record)}`, { cid, json, indexedMs, sortMs, takedownRef, tags, gates });
  const count = actorCountByCollection[collection];
  if (count !== undefined) writer.count(`counts ${did}`, count);
  if (isPost) writePost(model, writer, record, compared);
  const pack = collection === 'app.bsky.actor.profile' ? packOf(record.value) : undefined;
  if (pack === undefined) return;
  writeIncoming(writer, 'join', record, { did: pack.did, ref: pack });
  const hour = Math.floor((sortMs + biasMs) / 3_600_000);
  for (const name of [String(hour), 'all']) writer.count(`joins ${uriOf(pack)}`, name);
}

function verdictsOf(model: Model, post: ModelRecord): number {
  return (replyVerdict(model, post).isViolating ? 1 : 0) + (quoteVerdict(model, post).isViolating ? 2 : 0);
}

function writePost(model: Model, writer: FactWriter, post: ModelRecord, compared: Comparable): void {
  const refs = replyRefsOf(post);
  const isOwnThread = refs?.root.did === post.did;
  const flags =
    (refs === undefined ? 0 : 1) +
    (isOwnThread ? 2 : 0) +
    (hasImages(post.value) ? 4 : 0) +
    (hasVideo(post.value) ? 8 : 0) +
    16;
  writer.put(`feed ${post.did} ${post.sortMs} ${post.collection} ${post.rkey}`, { flags, post: null });
  const quote = quoteOf(post.value);
  if (quote !== undefined) writeIncoming(writer, 'quote', post, { did: quote.did, ref: quote });
  if (refs === undefined) return;
  writeIncoming(writer, 'reply', post, { did: refs.parent.did, ref: refs.parent });
  if (!replyVerdict(model, post).isViolating && compared.isReplyCountCompared(uriOf(refs.parent)))
    writer.count(`record-counts ${uriOf(refs.parent)}`, 'replies');
}

function writeIncoming(
  writer: FactWriter,
  kind: string,
  source: ModelRecord,
  subject: { did: string; ref: Ref | null },
): void {
  writer.put(`in ${kind} ${textOfSubject(subject)} ${source.sortMs} ${source.did} ${source.rkey}`, true);
  if (kind === 'follow') writer.count(`counts ${subject.did}`, 'followers');
  const count = recordCountByKind[kind];
  if (count !== undefined && subject.ref !== null) writer.count(`record-counts ${uriOf(subject.ref)}`, count);
}

function writeEdges(model: Model, writer: FactWriter): void {
  for (const [key, line] of model.edges) {
    const [first, ...waiting] = line;
    const { kind, subject } = edgeOf(first!)!;
    writer.put(`edge ${key}`, { sortMs: first!.sortMs, rkey: first!.rkey, waiting: waiting.map(({ rkey }) => rkey) });
    const count = actorCountByKind[kind];
    if (count !== undefined) writer.count(`counts ${first!.did}`, count);
    if (kind !== 'list-block') writeIncoming(writer, kind, first!, subject);
    if (kind === 'list-item') writer.count(`members ${uriOf(subject.ref!)}`, 'members');
    if (kind === 'verification' && model.actors.get(first!.did)?.isTrusted === true) {
      const { handle = '', displayName = '' } = first!.value;
      const said = { rkey: first!.rkey, sortMs: first!.sortMs, handle, displayName };
      writer.put(`verified ${subject.did} by ${first!.did}`, said);
    }
    if (kind !== 'repost') continue;
    const isShown = subject.ref!.collection === postCollection && model.records.has(uriOf(subject.ref!));
    const flags = isShown ? 16 : 0;
    for (const record of line) {
      const post = uriOf(subject.ref!);
      writer.put(`feed ${record.did} ${record.sortMs} ${record.collection} ${record.rkey}`, { flags, post });
    }
  }
}

function writeThreads(model: Model, writer: FactWriter): void {
  for (const [root, thread] of model.threads) {
    for (const [reply, { parent, sortMs, deletedMs, isTakenDown }] of thread) {
      writer.put(`thread ${root} ${reply}`, { parent: uriOf(parent), sortMs, deletedMs, isTakenDown });
      writer.put(`child ${root} ${uriOf(parent)} ${sortMs} ${reply}`, true);
    }
  }
}

function writeNotices(model: Model, writer: FactWriter, { isNoticeCompared, isNoticeHidden }: Comparable): void {
  const best = new Map<string, NoticeCause>();
  for (const cause of causesOf(model)) {
    if (!isNoticeCompared(cause.recipient, uriOf(cause.source))) continue;
    const key = noticeKey(cause);
    const known = best.get(key);
    if (known === undefined || comesBefore(cause, known)) best.set(key, cause);
  }
  const unread = new Map<string, number>();
  for (const [key, cause] of best) {
    const { recipient, reason, subject, isTakenDown } = cause;
    const isMuted = isNoticeHidden(causeId(cause));
    writer.put(key, { reason, subject: subject === null ? null : uriOf(subject), isTakenDown, isMuted });
    if (!isMuted && isUnread(model, cause)) unread.set(recipient, (unread.get(recipient) ?? 0) + 1);
  }
  for (const [recipient, count] of unread) {
    if (isNoticeCompared(recipient, null)) writer.put(`unread ${recipient}`, count);
  }
}

/** A verification's end is never unread, and its beginning only while it lasts. */
function isUnread(model: Model, { recipient, reason, source, sortMs, isTakenDown }: NoticeCause): boolean {
  if (isTakenDown || reason === 'unverified' || sortMs <= (model.seenMs.get(recipient) ?? Number.NEGATIVE_INFINITY))
    return false;
  if (reason !== 'verified') return true;
  return [...model.edges.values()].some(([first]) => {
    const isSame = uriOf(first!) === uriOf(source) && first!.sortMs === sortMs;
    return isSame && edgeOf(first!)!.subject.did === recipient;
  });
}
