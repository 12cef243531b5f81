/**
 * The state that the demo's social graph draws from, and the ways to write to it.
 *
 * Owns: actors, windows of recent things (all bounded), TIDs, and the queue of drawn events.
 */

import { CborWriter } from '../../atproto/cbor-writer.ts';
import { Cid, cidOfBlock } from '../../atproto/cid.ts';
import { type Collection, nsid } from '../../atproto/collection.ts';
import type { DagMap } from '../../atproto/dag-value.ts';
import { type SeededRandom, seededRandom } from '../../base/seeded-random.ts';
import { actorFlag, DemoActors } from './demo-actors.ts';
import { RecentPairs, RecentRing } from './recent-ring.ts';
import { profileRecord, type StrongRef } from './record-shapes.ts';
import { TidClock } from './tid-clock.ts';

/** One record operation, with the block that a commit carries. */
export type GraphOp = {
  readonly action: 'create' | 'update' | 'delete';
  readonly collection: Collection;
  readonly rkey: string;
  /** Null for a delete, like `cid` and `block`. `JSON.stringify` gives the served JSON. */
  readonly value: DagMap | null;
  /** 36 bytes. */
  readonly cid: Uint8Array | null;
  readonly block: Buffer | null;
  /** The value that a delete removes, else null. */
  readonly removed: DagMap | null;
};

/** `actor` is an index for `DemoActors`. */
export type GraphEvent =
  | { readonly kind: 'join'; readonly actor: number; readonly timeMs: number }
  | { readonly kind: 'handle'; readonly actor: number; readonly timeMs: number; readonly handle: string }
  | { readonly kind: 'account'; readonly actor: number; readonly timeMs: number; readonly active: boolean }
  | GraphCommit;

/** Ops of one repo under one rev. */
export type GraphCommit = {
  readonly kind: 'commit';
  readonly actor: number;
  readonly timeMs: number;
  readonly rev: string;
  readonly ops: readonly GraphOp[];
};

/** A post that can still be liked, answered, quoted. */
export type RecentPost = StrongRef & {
  readonly actor: number;
  readonly rkey: string;
  /** Unique among recent posts, for `RecentPairs`. */
  readonly number: number;
  readonly root: StrongRef;
  readonly rootActor: number;
  readonly depth: number;
  readonly appeal: number;
  isAlive: boolean;
  hasGate: boolean;
};

/** A record that can still be deleted. */
export type RecentRecord = {
  readonly actor: number;
  readonly collection: Collection;
  readonly rkey: string;
  readonly value: DagMap;
  readonly post: RecentPost | null;
  isAlive: boolean;
};

export type SocialGraphOptions = {
  /** Decides who the actors are. */
  readonly seed: number;
  /** Decides what they do; differs from `seed` when a network goes on after a pause. */
  readonly choiceSeed?: number;
  readonly actors: number;
  /** Share of events that change a handle or an account's state; 0 leaves them out. */
  readonly accountEvents?: number;
};

/** Capacities of the rings of recent things, in items. */
const window = {
  posts: 8192,
  engaged: 4096,
  replies: 2048,
  records: 8192,
  lists: 512,
  reposts: 512,
  feeds: 128,
} as const;

export class GraphState {
  readonly actors: DemoActors;
  readonly random: SeededRandom;
  readonly posts = new RecentRing<RecentPost>(window.posts);
  readonly replies = new RecentRing<RecentPost>(window.replies);
  readonly engaged = new RecentRing<RecentPost>(window.engaged);
  readonly reposts = new RecentRing<StrongRef & { readonly post: RecentPost }>(window.reposts);
  readonly lists = new RecentRing<StrongRef & { readonly actor: number }>(window.lists);
  readonly feeds = new RecentRing<StrongRef>(window.feeds);
  readonly records = new RecentRing<RecentRecord>(window.records);
  readonly inactive: number[] = [];
  /** Follows and blocks together, so that nobody blocks an account that they follow. */
  readonly subjects: RecentPairs;
  readonly liked = new RecentPairs(2 ** 18);
  readonly reposted = new RecentPairs(2 ** 16);
  readonly #tids: TidClock;
  readonly #writer = new CborWriter();
  readonly #pending: GraphEvent[] = [];
  #postCount = 0;
  #nowMs = 0;

  constructor(options: SocialGraphOptions) {
    this.actors = new DemoActors(options.seed, options.actors);
    this.random = seededRandom(options.choiceSeed ?? options.seed);
    this.#tids = new TidClock(options.seed);
    this.subjects = new RecentPairs(Math.min(2 ** 22, 2 ** Math.ceil(Math.log2(options.actors * 64))));
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Sets the time of the next draws, which must not fall. */
  moveTo(timeMs: number): void {
    this.#nowMs = timeMs;
  }

  /** Makes all later keys and revs sort above this TID. */
  passTid(tid: string): void {
    this.#tids.pass(tid);
  }

  emit(event: GraphEvent): void {
    this.#pending.push(event);
  }

  /** Removes and returns the oldest drawn event. */
  take(): GraphEvent | undefined {
    return this.#pending.shift();
  }

  /** Returns whether the actor can act now. An actor that has not joined joins first. */
  enter(actor: number): boolean {
    if (this.actors.has(actor, actorFlag.inactive)) return false;
    if (!this.actors.has(actor, actorFlag.joined)) this.join(actor);
    return true;
  }

  /** Lets an actor join: an identity event, then mostly a profile. */
  join(actor: number): void {
    this.actors.set(actor, actorFlag.joined, true);
    this.emit({ kind: 'join', actor, timeMs: this.#nowMs });
    if (this.random.next() < 0.95) this.putProfile(actor);
  }

  createdAt(): string {
    const chance = this.random.next();
    // Clients set this field freely: some write late, a few have a fast clock.
    if (chance < 0.03) return isoTime(this.#nowMs - this.random.below(3_600_000));
    if (chance < 0.033) return isoTime(this.#nowMs + this.random.below(86_400_000));
    return isoTime(this.#nowMs);
  }

  nextRkey(): string {
    return this.#tids.next(this.#nowMs);
  }

  /** Returns an op that writes a record, with its block and CID. */
  write(collection: Collection, rkey: string, value: DagMap, isUpdate = false): GraphOp {
    const block = this.#writer.record(value).finish();
    const cid = cidOfBlock(block).bytes;
    return { action: isUpdate ? 'update' : 'create', collection, rkey, value, cid, block, removed: null };
  }

  /** Makes a record available for later deletion; those with a fixed key are only ever edited. */
  addDeletable(actor: number, op: GraphOp, post: RecentPost | null): void {
    this.records.add({ actor, collection: op.collection, rkey: op.rkey, value: op.value!, post, isAlive: true });
  }

  strongRef(actor: number, op: GraphOp): StrongRef {
    return { uri: `at://${this.actors.did(actor)}/${op.collection}/${op.rkey}`, cid: new Cid(op.cid!).text };
  }

  /** Emits one commit, whose rev is above the keys of its records. */
  commit(actor: number, ops: readonly GraphOp[]): void {
    this.#pending.push({ kind: 'commit', actor, timeMs: this.#nowMs, rev: this.nextRkey(), ops });
  }

  /** Writes one record under a new key, in its own commit. */
  commitRecord(actor: number, collection: Collection, value: DagMap): GraphOp {
    const op = this.write(collection, this.nextRkey(), value);
    this.addDeletable(actor, op, null);
    this.commit(actor, [op]);
    return op;
  }

  /** Writes the record with the key `self`, over an existing one. */
  commitSelf(actor: number, collection: Collection, flag: number, value: DagMap): void {
    const op = this.write(collection, 'self', value, this.actors.has(actor, flag));
    this.actors.set(actor, flag, true);
    this.commit(actor, [op]);
  }

  /** Makes a written post visible to others. */
  publish(actor: number, op: GraphOp, parent: RecentPost | null): RecentPost {
    const ref = this.strongRef(actor, op);
    const post = this.addPost({
      ...ref,
      actor,
      rkey: op.rkey,
      root: parent === null ? ref : parent.root,
      rootActor: parent === null ? actor : parent.rootActor,
      depth: parent === null ? 0 : parent.depth + 1,
    });
    this.addDeletable(actor, op, post);
    return post;
  }

  addPost(known: Omit<RecentPost, 'number' | 'appeal' | 'isAlive' | 'hasGate'>): RecentPost {
    const post: RecentPost = {
      ...known,
      number: this.#postCount++ % 2 ** 26,
      appeal: this.actors.appeal(known.actor) * this.random.next() ** 3,
      isAlive: true,
      hasGate: false,
    };
    this.posts.add(post);
    if (post.depth > 0) this.replies.add(post);
    return post;
  }

  /** Draws a post to react to: a recently engaged one, else the more appealing of two new ones. */
  drawPost(): RecentPost | undefined {
    if (this.random.next() < 0.62) {
      const hot = this.engaged.any(this.random);
      if (hot?.isAlive) return hot;
    }
    const one = this.posts.newer(this.random);
    const other = this.posts.newer(this.random);
    if (!one?.isAlive) return other?.isAlive ? other : undefined;
    return other?.isAlive && other.appeal > one.appeal ? other : one;
  }

  putProfile(actor: number): void {
    const value = profileRecord(this.random, this.actors.displayName(actor), this.createdAt());
    this.commitSelf(actor, nsid.profile, actorFlag.profile, value);
  }
}

const isoCache = { timeMs: Number.NaN, text: '' };

/** Formats a time as records do. Many events share a millisecond, so the last one is cached. */
function isoTime(timeMs: number): string {
  if (timeMs !== isoCache.timeMs) {
    isoCache.timeMs = timeMs;
    isoCache.text = new Date(timeMs).toISOString();
  }
  return isoCache.text;
}
