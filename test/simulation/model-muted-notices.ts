/**
 * Which notices the mutes of threads hide: those that came while their thread was muted.
 *
 * Owns: when each notice came. Parts of a history are settled one by one, so what came in a part
 * met the mutes of its beginning. One that may have come twice, or in the part in which the post
 * came that it is about, is contested and not compared.
 */
import { type Model, uriOf } from './model.ts';
import { type Comparable, comparableOf } from './model-gates.ts';
import { causeId, causesOf, type NoticeCause } from './model-notices.ts';
import { type Ref, replyRefsOf } from './model-record.ts';

const post = 'app.bsky.feed.post';

type Arrival = { readonly part: number; readonly isHidden: boolean };

/** Returns the root of the thread of a post that is stored. */
function rootOf(model: Model, subject: Ref): string | undefined {
  const record = model.records.get(uriOf(subject));
  return record === undefined ? undefined : uriOf(replyRefsOf(record)?.root ?? subject);
}

export class MutedNotices {
  readonly #model: Model;
  #arrivals = new Map<string, Arrival>();

  constructor(model: Model) {
    this.#model = model;
  }

  /** Ends a part: what notifies now and did not at its beginning has come in it. */
  endPart(): void {
    const model = this.#model;
    const arrivals = new Map<string, Arrival>();
    for (const cause of causesOf(model)) {
      const root = cause.subject?.collection === post ? rootOf(model, cause.subject) : undefined;
      const isHidden = root !== undefined && model.mutes.threads.get(cause.recipient)?.has(root) === true;
      const id = causeId(cause);
      arrivals.set(id, this.#arrivals.get(id) ?? { part: model.part, isHidden });
    }
    this.#arrivals = arrivals;
    model.part++;
  }

  #isContested(cause: NoticeCause): boolean {
    const model = this.#model;
    const { recipient, source, subject, reason } = cause;
    if (subject?.collection !== post || !model.mutes.threads.has(recipient)) return false;
    if (model.losesFolders) return true;
    const { part } = this.#arrivals.get(causeId(cause))!;
    const changes = (ref: Ref): readonly number[] => model.changes.get(uriOf(ref)) ?? [];
    const cameOnce = (ref: Ref, lastPart: number): boolean => changes(ref).length === 1 && changes(ref)[0]! <= lastPart;
    if (!cameOnce(source, part) || !cameOnce(subject, part - 1)) return true;
    if (reason === 'quote') return changes({ ...subject, collection: 'app.bsky.feed.postgate' }).length > 0;
    if (reason !== 'reply') return false;
    const { root, parent } = replyRefsOf(model.records.get(uriOf(source))!)!;
    if (changes({ ...root, collection: 'app.bsky.feed.threadgate' }).length > 0) return true;
    // A post above it that comes later has all below it notify again.
    for (let above: Ref | undefined = parent, height = 0; above !== undefined && height < 8; height++) {
      if (changes(above).length > 0 && !cameOnce(above, part)) return true;
      above = uriOf(above) === uriOf(root) ? undefined : model.threads.get(uriOf(root))?.get(uriOf(above))?.parent;
    }
    return false;
  }

  /** Returns what slots must agree with. */
  comparable(): Comparable & { readonly hiddenCount: number } {
    const gates = comparableOf(this.#model);
    const contested = new Set<string>();
    const hidden = new Set<string>();
    for (const cause of causesOf(this.#model)) {
      const { recipient, source } = cause;
      if (this.#isContested(cause)) contested.add(`${recipient} ${uriOf(source)}`).add(recipient);
      else if (this.#arrivals.get(causeId(cause))!.isHidden) hidden.add(causeId(cause));
    }
    return {
      ...gates,
      isNoticeCompared: (recipient, sourceUri) =>
        gates.isNoticeCompared(recipient, sourceUri) &&
        !contested.has(sourceUri === null ? recipient : `${recipient} ${sourceUri}`),
      isNoticeHidden: (id) => hidden.has(id),
      hiddenCount: hidden.size,
    };
  }
}
