/** What notifies whom, as it follows from the model's records, edges and threads. */
import { type Model, type ModelRecord, type ModelReply, uriOf } from './model.ts';
import { hiddenFor, quoteVerdict, replyVerdict } from './model-gates.ts';
import { edgeOf, mentionsOf, packOf, quoteOf, type Ref, viaOf } from './model-record.ts';

const postCollection = 'app.bsky.feed.post';

export type NoticeCause = {
  readonly recipient: string;
  readonly source: Ref;
  readonly reason: string;
  readonly subject: Ref | null;
  readonly sortMs: number;
  readonly isTakenDown: boolean;
};

const classByReason: Readonly<Record<string, string>> = { mention: 'post', quote: 'post', reply: 'post' };
const rankByReason = ['mention', 'quote', 'reply'];

/** Names the row of a notice, in which a post has one for all its reasons. */
export function noticeKey({ recipient, sortMs, reason, source }: NoticeCause): string {
  return `notice ${recipient} ${sortMs} ${classByReason[reason] ?? reason} ${uriOf(source)}`;
}

/** Names one reason of a row. */
export function causeId(cause: NoticeCause): string {
  return `${noticeKey(cause)} ${cause.reason} ${cause.subject === null ? '' : uriOf(cause.subject)}`;
}

/** True for a reason of a post that counts before another of it. */
export function comesBefore(one: NoticeCause, other: NoticeCause): boolean {
  return rankByReason.indexOf(one.reason) < rankByReason.indexOf(other.reason);
}

/** Yields every notice, muted or not. */
export function* causesOf(model: Model): Generator<NoticeCause> {
  for (const record of model.records.values()) yield* causesOfRecord(model, record);
  for (const [first] of model.edges.values()) yield* causesOfEdge(first!);
  for (const thread of model.threads.values()) {
    for (const row of thread.values()) if (row.deletedMs === null) yield* causesOfReply(model, thread, row);
  }
  for (const { recipient, source, reason, sortMs } of model.news) {
    yield { recipient, source, reason, subject: null, sortMs, isTakenDown: false };
  }
}

function* causesOfRecord(model: Model, record: ModelRecord): Generator<NoticeCause> {
  const isTakenDown = record.takedownRef !== null;
  const base = { source: record, sortMs: record.sortMs, isTakenDown };
  if (record.collection === 'app.bsky.actor.profile') {
    const pack = packOf(record.value);
    const reason = 'starterpack-joined';
    if (pack !== undefined) yield { ...base, recipient: pack.did, reason, subject: pack, sortMs: record.indexedMs };
  }
  if (record.collection !== postCollection) return;
  for (const recipient of mentionsOf(record.value)) {
    if (recipient !== record.did) yield { ...base, recipient, reason: 'mention', subject: null };
  }
  const quote = quoteOf(record.value);
  if (quote !== undefined && quote.did !== record.did && !quoteVerdict(model, record).isViolating)
    yield { ...base, recipient: quote.did, reason: 'quote', subject: quote };
}

function* causesOfEdge(record: ModelRecord): Generator<NoticeCause> {
  const { kind, subject } = edgeOf(record)!;
  const base = { source: record, sortMs: record.sortMs, isTakenDown: record.takedownRef !== null };
  if (kind === 'follow') yield { ...base, recipient: subject.did, reason: kind, subject: null };
  if ((kind !== 'like' && kind !== 'repost') || subject.did === record.did) return;
  yield { ...base, recipient: subject.did, reason: kind, subject: subject.ref };
  const via = viaOf(record.value);
  if (via !== undefined && via.did !== record.did)
    yield { ...base, recipient: via.did, reason: `${kind}-via-repost`, subject: via };
}

/**
 * Notifies the nearest four ancestors in the thread, each author once, up to an unknown parent or
 * a hidden reply.
 */
function* causesOfReply(
  model: Model,
  thread: ReadonlyMap<string, ModelReply>,
  row: ModelReply,
): Generator<NoticeCause> {
  const record = model.records.get(uriOf(row.reply))!;
  if (replyVerdict(model, record).isViolating) return;
  const hidden = hiddenFor(model, row.root, record.indexedMs);
  const notified = new Set([row.reply.did]);
  let ancestor = row.parent;
  for (let height = 1; height <= 4; height++) {
    const isRoot = uriOf(ancestor) === uriOf(row.root);
    const above = isRoot ? undefined : thread.get(uriOf(ancestor));
    if (!isRoot && above === undefined) return;
    const { reply: source, sortMs, isTakenDown } = row;
    if (!notified.has(ancestor.did)) {
      yield { recipient: ancestor.did, source, reason: 'reply', subject: ancestor, sortMs, isTakenDown };
      notified.add(ancestor.did);
    }
    if (above === undefined || hidden.includes(uriOf(ancestor))) return;
    ancestor = above.parent;
  }
}
