/** Pools from which requests of a bench are drawn, gathered from the generated network. */

import { seededRandom } from '../src/base/seeded-random.ts';
import type { CommitEntry } from '../src/entry/entry.ts';
import { labelers } from './serving-extras.ts';
import { type Extra, subjectOf, uriOfOp } from './serving-network.ts';

/** Keys in requests. The lists by a count begin with the highest. */
export type RequestPools = {
  readonly records: number;
  readonly posts: readonly string[];
  readonly actors: readonly string[];
  /** They follow 484 others; these few (95), and these many (1,807). */
  readonly viewers: readonly string[];
  readonly viewersOfFew: readonly string[];
  readonly viewersOfMany: readonly string[];
  /** Roots of threads of 45 and of 688 replies. */
  readonly threads: readonly string[];
  readonly longThreads: readonly string[];
  readonly authorsByPosts: readonly string[];
  readonly actorsByFollows: readonly string[];
  readonly actorsByFollowers: readonly string[];
  readonly actorsByNotices: readonly string[];
  readonly postsByLikes: readonly string[];
  readonly labelers: readonly string[];
  readonly lists: readonly string[];
  /** Two sets of actors who block lists, and are on lists. */
  readonly blockViewers: readonly string[];
  readonly blockTargets: readonly string[];
};

/** How many keys each pool keeps. */
const kept = { posts: 20_000, actors: 5_000, mostMax: 100 } as const;

class Tally {
  readonly #countByKey = new Map<string, number>();

  add(key: string): void {
    this.#countByKey.set(key, (this.#countByKey.get(key) ?? 0) + 1);
  }

  most(): string[] {
    const sorted = [...this.#countByKey].sort((a, b) => b[1] - a[1]);
    return sorted.slice(0, kept.mostMax).map(([key]) => key);
  }
}

export class PoolGatherer {
  readonly #posts: string[] = [];
  readonly #actors: string[] = [];
  readonly #byPosts = new Tally();
  readonly #byFollows = new Tally();
  readonly #byFollowers = new Tally();
  readonly #byNotices = new Tally();
  readonly #byLikes = new Tally();
  readonly #extras: Record<Extra, string[]> = {
    viewer: [],
    viewerOfFew: [],
    viewerOfMany: [],
    thread: [],
    longThread: [],
    list: [],
    blockViewer: [],
    blockTarget: [],
    friend: [],
  };
  /** They follow each other only. */
  readonly #friends = new Set<string>();
  #records = 0;

  addExtra(kind: Extra, key: string): void {
    this.#extras[kind].push(key);
    if (kind === 'blockViewer' || kind === 'friend') this.#friends.add(key);
  }

  add({ did, ops }: CommitEntry): void {
    const isFriend = this.#friends.has(did);
    for (const op of ops) {
      this.#records++;
      switch (op.collection) {
        case 'app.bsky.actor.profile':
          this.#actors.push(did);
          break;
        case 'app.bsky.feed.post':
          this.#posts.push(uriOfOp(did, op));
          this.#byPosts.add(did);
          break;
        case 'app.bsky.graph.follow':
          if (isFriend) break;
          this.#byFollows.add(did);
          this.#byFollowers.add(subjectOf(op));
          break;
        case 'app.bsky.feed.like': {
          const subject = subjectOf(op);
          this.#byLikes.add(subject);
          this.#byNotices.add(subject.slice(5, subject.indexOf('/', 5)));
          break;
        }
        default:
      }
    }
  }

  pools(seed: number): RequestPools {
    const random = seededRandom(seed);
    const sample = (keys: readonly string[], count: number): string[] =>
      keys.length <= count ? [...keys] : Array.from({ length: count }, () => keys[random.below(keys.length)]!);
    return {
      records: this.#records,
      posts: sample(this.#posts, kept.posts),
      actors: sample(this.#actors, kept.actors),
      viewers: this.#extras.viewer,
      viewersOfFew: this.#extras.viewerOfFew,
      viewersOfMany: this.#extras.viewerOfMany,
      threads: this.#extras.thread,
      longThreads: this.#extras.longThread,
      authorsByPosts: this.#byPosts.most(),
      actorsByFollows: this.#byFollows.most(),
      actorsByFollowers: this.#byFollowers.most(),
      actorsByNotices: this.#byNotices.most(),
      postsByLikes: this.#byLikes.most(),
      labelers,
      lists: this.#extras.list,
      blockViewers: this.#extras.blockViewer,
      blockTargets: this.#extras.blockTarget,
    };
  }
}
