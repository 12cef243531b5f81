/** What a walk of a thread finds below its anchor; the next walk reuses the memory. */
import type { MessageWriter } from '../../proto/message-writer.ts';
import { appendPostField } from '../../slot/packing/key-text.ts';
import { grown, ThreadPosts } from './thread-posts.ts';
import { orderedMax, TimeOrder } from './time-order.ts';

/** Which posts are found: up to so many levels below the anchor, and so many of them. */
export type Below = { readonly anchor: Buffer; readonly levels: number; readonly postsMax: number };

const keptBytesMax = 2 ** 18;

export class ThreadFinds {
  readonly posts = new ThreadPosts();
  readonly order = new TimeOrder();
  /** The posts that were found, level by level. */
  found: Int32Array = new Int32Array(1_024);
  count = 0;

  /** True while the memory is worth keeping. */
  get isSmall(): boolean {
    return this.posts.bytes.length <= keptBytesMax;
  }

  clear(): void {
    this.posts.clear();
    this.order.clear();
    this.count = 0;
  }

  add(post: number): void {
    if (this.count === this.found.length) this.found = grown(this.found, 2 * this.count);
    this.found[this.count++] = post;
  }

  /** Writes the URIs of what was found as fields: newest first, of one time in order. */
  write(into: MessageWriter, field: number): void {
    const { posts, order, found, count } = this;
    order.clear();
    for (let index = 0; index < count; index++) {
      const post = found[index]!;
      order.add(orderedMax - 1 - index, posts.timeHighs[post]!, posts.timeLows[post]!);
    }
    order.sort();
    for (let position = count - 1; position >= 0; position--) {
      const post = found[orderedMax - 1 - order.at(position)]!;
      appendPostField(into, field, posts.bytes, posts.starts[post]!);
    }
  }
}
