/** Finds the posts below an anchor by looking up the replies to each post, level by level. */
import { ByteWriter } from '../../base/bytes.ts';
import { timeBytes } from '../../base/time-bytes.ts';
import { isLiveReply } from '../../slot/table/thread-reply.ts';
import { prefixEnd } from '../../storage/environment.ts';
import { scanSteps } from '../lookup/page.ts';
import type { SlicedRead } from '../lookup/turn.ts';
import { rowMicros, type Thread } from './thread.ts';
import type { Below, ThreadFinds } from './thread-finds.ts';

/** Rows of replies that one walk reads, deleted ones included; further ones are left out. */
const threadRowsMax = 10_000;

const keyWriter = new ByteWriter(1024);

/** The walk's posts are its anchor and then those that it has found, in order. */
class LevelWalk {
  readonly #thread: Thread;
  readonly #finds: ThreadFinds;
  readonly #postsMax: number;
  #rowsLeft = threadRowsMax;

  constructor(thread: Thread, finds: ThreadFinds, postsMax: number) {
    this.#thread = thread;
    this.#finds = finds;
    this.#postsMax = postsMax;
  }

  get isFull(): boolean {
    return this.#finds.count >= this.#postsMax || this.#rowsLeft <= 0;
  }

  /** Adds the replies to a post that exist, newest first. */
  *addRepliesTo(parent: number): SlicedRead<void> {
    const { state, children, turn } = this.#thread;
    const { bytes, starts } = this.#finds.posts;
    const prefix = keyWriter
      .clear()
      .bytes(children)
      .raw(bytes, starts[parent]!, starts[parent + 1]!)
      .finish();
    const range = { start: prefixEnd(prefix), end: prefix, isReverse: true, limit: this.#rowsLeft };
    for (const step of scanSteps(state.rows, range)) {
      for (const { key } of step) {
        if (this.isFull) return;
        this.#addReply(key, prefix.length);
        if (turn.isOver(rowMicros)) yield;
      }
    }
    if (turn.isOver(rowMicros)) yield;
  }

  #addReply(child: Buffer, timeAt: number): void {
    this.#rowsLeft--;
    const { state, replies } = this.#thread;
    const { posts } = this.#finds;
    const key = keyWriter
      .clear()
      .bytes(replies)
      .raw(child, timeAt + timeBytes)
      .view();
    const value = state.rows.getVolatile(key);
    if (value === undefined || !isLiveReply(value)) return;
    const { count } = posts;
    const post = posts.add(key, replies.length, key.length);
    if (post < count) return;
    posts.setTime(post, child, timeAt);
    this.#finds.add(post);
  }
}

/** Finds the posts below the anchor. */
export function* findByLevels(
  thread: Thread,
  finds: ThreadFinds,
  { anchor, levels, postsMax }: Below,
): SlicedRead<void> {
  finds.clear();
  const top = finds.posts.add(anchor, 0, anchor.length);
  const walk = new LevelWalk(thread, finds, postsMax);
  if (levels > 0) yield* walk.addRepliesTo(top);
  for (let level = 2, from = 0; level <= levels && from < finds.count; level++) {
    const levelEnd = finds.count;
    for (; from < levelEnd && !walk.isFull; from++) yield* walk.addRepliesTo(finds.found[from]!);
    if (walk.isFull) return;
  }
}
