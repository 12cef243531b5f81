/**
 * What must be true after a stream of events is applied: counts for a sample of actors and posts.
 *
 * Uses none of the data plane's code, so that checks compare with an independent result. Two live
 * records of one actor for one subject count once, as in the data plane.
 */
import { Cid } from '../src/atproto/cid.ts';
import type { DagMap } from '../src/atproto/dag-value.ts';
import type { DemoActors } from '../src/demo/model/demo-actors.ts';
import type { GraphEvent, GraphOp } from '../src/demo/model/graph-state.ts';

export type ActorTruth = {
  readonly did: string;
  readonly handle: string;
  readonly followers: number;
  readonly follows: number;
  readonly posts: number;
};
/** Counts of a post that still exists. */
export type PostTruth = {
  readonly uri: string;
  readonly cid: string;
  readonly likes: number;
  readonly reposts: number;
  readonly replies: number;
};
export type Truth = {
  readonly records: number;
  readonly byCollection: Readonly<Record<string, number>>;
  readonly actors: readonly ActorTruth[];
  readonly posts: readonly PostTruth[];
};

/** Sizes of the samples. */
const sample = { popularActors: 32, otherActors: 96, posts: 2000 } as const;

/** Counts live records by actor. */
class Tally {
  readonly #liveByActor = new Map<number, number>();

  change(actor: number, by: number): void {
    const live = (this.#liveByActor.get(actor) ?? 0) + by;
    if (live <= 0) this.#liveByActor.delete(actor);
    else this.#liveByActor.set(actor, live);
  }

  get distinct(): number {
    return this.#liveByActor.size;
  }
}

type ActorTallies = { readonly followers: Tally; readonly follows: Map<string, number>; posts: number };
type PostTallies = {
  readonly cid: string;
  readonly likes: Tally;
  readonly reposts: Tally;
  replies: number;
  /** Some replies may violate a gate and not count, which this sample does not compute. */
  hasGate: boolean;
};

export class GroundTruth {
  readonly #actors: DemoActors;
  readonly #tallies = new Map<number, ActorTallies>();
  readonly #actorByDid = new Map<string, number>();
  readonly #posts = new Map<string, PostTallies>();
  readonly #byCollection = new Map<string, number>();
  readonly #postEvery: number;
  #postsSeen = 0;
  #records = 0;

  /** Shape: `records` is about how many will come, over which the sampled posts spread. */
  constructor(actors: DemoActors, records: number) {
    this.#actors = actors;
    this.#postEvery = Math.max(1, Math.floor((records * 0.15) / sample.posts));
    const step = Math.max(1, Math.floor(actors.count / sample.otherActors));
    for (let actor = 0; actor < actors.count; actor += actor < sample.popularActors ? 1 : step) {
      this.#tallies.set(actor, { followers: new Tally(), follows: new Map(), posts: 0 });
      this.#actorByDid.set(actors.did(actor), actor);
    }
  }

  observe(event: GraphEvent): void {
    if (event.kind !== 'commit') return;
    for (const op of event.ops) {
      this.#records++;
      this.#observeOp(event.actor, op);
    }
  }

  #observeOp(actor: number, op: GraphOp): void {
    if (op.action === 'update') return;
    const by = op.action === 'create' ? 1 : -1;
    const value = op.value ?? op.removed!;
    this.#byCollection.set(op.collection, (this.#byCollection.get(op.collection) ?? 0) + by);
    switch (op.collection) {
      case 'app.bsky.graph.follow':
        this.#observeFollow(actor, String(value['subject']), by);
        return;
      case 'app.bsky.feed.like':
        this.#posts.get(uriIn(value['subject']))?.likes.change(actor, by);
        return;
      case 'app.bsky.feed.repost':
        this.#posts.get(uriIn(value['subject']))?.reposts.change(actor, by);
        return;
      case 'app.bsky.feed.post':
        this.#observePost(actor, op, value, by);
        return;
      case 'app.bsky.feed.threadgate': {
        const post = this.#posts.get(String(value['post']));
        if (post !== undefined) post.hasGate = true;
      }
    }
  }

  #observeFollow(actor: number, subjectDid: string, by: number): void {
    const subject = this.#actorByDid.get(subjectDid);
    if (subject !== undefined) this.#tallies.get(subject)!.followers.change(actor, by);
    const follows = this.#tallies.get(actor)?.follows;
    if (follows === undefined) return;
    const live = (follows.get(subjectDid) ?? 0) + by;
    if (live <= 0) follows.delete(subjectDid);
    else follows.set(subjectDid, live);
  }

  #observePost(actor: number, op: GraphOp, value: DagMap, by: number): void {
    const tallies = this.#tallies.get(actor);
    if (tallies !== undefined) tallies.posts += by;
    const reply = value['reply'] as { readonly root: DagMap; readonly parent: DagMap } | undefined;
    if (reply !== undefined) {
      const parent = this.#posts.get(uriIn(reply.parent));
      if (parent !== undefined) parent.replies += by;
    }
    const uri = `at://${this.#actors.did(actor)}/${op.collection}/${op.rkey}`;
    if (by < 0) {
      this.#posts.delete(uri);
      return;
    }
    // Replies are not sampled: a gate on their root decides about the replies below them.
    if (reply !== undefined || this.#postsSeen++ % this.#postEvery !== 0) return;
    const cid = new Cid(op.cid!).text;
    this.#posts.set(uri, { cid, likes: new Tally(), reposts: new Tally(), replies: 0, hasGate: false });
  }

  truth(): Truth {
    const actors = [...this.#tallies].map(([actor, tallies]) => ({
      did: this.#actors.did(actor),
      handle: this.#actors.handle(actor),
      followers: tallies.followers.distinct,
      follows: tallies.follows.size,
      posts: tallies.posts,
    }));
    const posts = [...this.#posts].flatMap(([uri, tallies]) => {
      if (tallies.hasGate) return [];
      const { cid, likes, reposts, replies } = tallies;
      return [{ uri, cid, likes: likes.distinct, reposts: reposts.distinct, replies }];
    });
    return { records: this.#records, byCollection: Object.fromEntries(this.#byCollection), actors, posts };
  }
}

function uriIn(ref: unknown): string {
  return (ref as { readonly uri: string }).uri;
}
