/** Finds good examples in a demo network: the liked, the discussed, the followed, the busy. */
import { type Collection, nsid } from '../../atproto/collection.ts';
import type { DagMap } from '../../atproto/dag-value.ts';
import type { DemoActors } from './demo-actors.ts';

/** A post is null when there is none. */
export type DemoExamples = {
  readonly popularDid: string;
  readonly popularHandle: string;
  /** An account that follows many. */
  readonly readerDid: string;
  readonly likedPostUri: string | null;
  /** The root of a thread with many replies. */
  readonly threadUri: string | null;
};

class TopCount<Key> {
  readonly #counts = new Map<Key, number>();

  add(key: Key): void {
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }

  /** Returns the accepted key that was added most often. */
  top(accepts: (key: Key) => boolean): Key | undefined {
    let best: Key | undefined;
    let bestCount = 0;
    for (const [key, count] of this.#counts) {
      if (count <= bestCount || !accepts(key)) continue;
      best = key;
      bestCount = count;
    }
    return best;
  }
}

/** Counts the subjects of records, to find the examples among them. */
export class ExampleTally {
  readonly #likes = new TopCount<string>();
  readonly #replies = new TopCount<string>();
  readonly #followers = new TopCount<string>();
  readonly #follows = new TopCount<number>();
  readonly #posts = new Set<string>();

  observe(actor: number, uri: string, collection: Collection, value: DagMap): void {
    if (collection === nsid.post) {
      this.#posts.add(uri);
      const reply = value['reply'] as { readonly root: { readonly uri: string } } | undefined;
      if (reply !== undefined) this.#replies.add(reply.root.uri);
    } else if (collection === nsid.like) {
      this.#likes.add((value['subject'] as { readonly uri: string }).uri);
    } else if (collection === nsid.follow) {
      this.#followers.add(String(value['subject']));
      this.#follows.add(actor);
    }
  }

  examples(actors: DemoActors): DemoExamples {
    const isKnownPost = (uri: string): boolean => this.#posts.has(uri);
    const popularDid = this.#followers.top(() => true) ?? actors.did(0);
    let popular = 0;
    while (popular < actors.count - 1 && actors.did(popular) !== popularDid) popular++;
    return {
      popularDid: actors.did(popular),
      popularHandle: actors.handle(popular),
      readerDid: actors.did(this.#follows.top(() => true) ?? 0),
      likedPostUri: this.#likes.top(isKnownPost) ?? null,
      threadUri: this.#replies.top(isKnownPost) ?? null,
    };
  }
}
