/**
 * A seeded model of a social network, as a stream of events: who writes, likes or deletes what.
 *
 * Owns: the order of events and the mix of their kinds. Memory is bounded by the count of actors
 * and the windows of `GraphState`. The same options and times give the same bytes.
 */
import { nsid } from '../../atproto/collection.ts';
import { actorFlag } from './demo-actors.ts';
import { type GraphEvent, GraphState, type SocialGraphOptions } from './graph-state.ts';
import { drawPostCommit } from './post-drawing.ts';
import { drawRareCommit } from './rare-records.ts';
import { engagementRecord, subjectRecord } from './record-shapes.ts';
import { weightedChoice } from './skewed-choice.ts';

/** The mix of the real network, in percent of records. Joins add their profile records. */
const drawKind = weightedChoice([
  ['like', 58],
  ['follow', 16],
  ['post', 15],
  ['repost', 7],
  ['delete', 2],
  ['block', 1],
  ['rare', 0.8],
  ['profile', 0.2],
] as const);

const drawAccountKind = weightedChoice([
  ['handle', 3],
  ['deactivate', 2],
  ['reactivate', 2],
] as const);

export class SocialGraph {
  readonly state: GraphState;
  readonly #accountEvents: number;

  constructor(options: SocialGraphOptions) {
    this.state = new GraphState(options);
    this.#accountEvents = options.accountEvents ?? 0;
  }

  /** Returns the next event, at `timeMs`; times must not fall. */
  next(timeMs: number): GraphEvent {
    this.state.moveTo(timeMs);
    for (;;) {
      const event = this.state.take();
      if (event !== undefined) return event;
      this.#draw();
    }
  }

  /** Returns the next event that was already drawn, if any. */
  take(): GraphEvent | undefined {
    return this.state.take();
  }

  #draw(): void {
    if (this.#accountEvents > 0 && this.state.random.next() < this.#accountEvents && this.#drawAccount()) return;
    drawOfKind[drawKind(this.state.random)](this.state);
  }

  /** Returns false when nothing could happen. */
  #drawAccount(): boolean {
    const { actors, random, inactive, nowMs: timeMs } = this.state;
    const kind = drawAccountKind(random);
    if (kind === 'reactivate') {
      const actor = inactive.shift();
      if (actor === undefined) return false;
      actors.set(actor, actorFlag.inactive, false);
      this.state.emit({ kind: 'account', actor, timeMs, active: true });
      return true;
    }
    const actor = actors.drawActive(random);
    if (actors.has(actor, actorFlag.inactive) || !actors.has(actor, actorFlag.joined)) return false;
    if (kind === 'handle') {
      this.state.emit({ kind: 'handle', actor, timeMs, handle: actors.changeHandle(actor) });
      return true;
    }
    // The most popular stay, so that printed examples keep working.
    if (actor < 8 || inactive.length * 20 >= actors.count) return false;
    actors.set(actor, actorFlag.inactive, true);
    inactive.push(actor);
    this.state.emit({ kind: 'account', actor, timeMs, active: false });
    return true;
  }
}

function drawLike(graph: GraphState): void {
  const actor = graph.actors.drawActive(graph.random);
  const via = graph.random.next() < 0.03 ? graph.reposts.any(graph.random) : undefined;
  const post = via?.post ?? graph.drawPost();
  if (!post?.isAlive || !graph.liked.add(actor, post.number) || !graph.enter(actor)) return;
  graph.engaged.add(post);
  const collection = nsid.like;
  graph.commitRecord(actor, collection, engagementRecord(collection, post, via ?? null, graph.createdAt()));
}

function drawRepost(graph: GraphState): void {
  const actor = graph.actors.drawActive(graph.random);
  const post = graph.drawPost();
  if (!post?.isAlive || !graph.reposted.add(actor, post.number) || !graph.enter(actor)) return;
  graph.engaged.add(post);
  const collection = nsid.repost;
  const op = graph.commitRecord(actor, collection, engagementRecord(collection, post, null, graph.createdAt()));
  graph.reposts.add({ ...graph.strongRef(actor, op), post });
}

function drawSubject(graph: GraphState, collection: typeof nsid.follow | typeof nsid.block): void {
  const actor = graph.actors.drawActive(graph.random);
  const subject = graph.actors.drawPopular(graph.random);
  if (subject === actor) return;
  if (!graph.subjects.add(actor, subject) || !graph.enter(actor)) return;
  graph.commitRecord(actor, collection, subjectRecord(collection, graph.actors.did(subject), graph.createdAt()));
}

function drawDelete(graph: GraphState): void {
  const record = graph.records.any(graph.random);
  if (!record?.isAlive || !graph.enter(record.actor)) return;
  record.isAlive = false;
  if (record.post !== null) record.post.isAlive = false;
  const { actor, collection, rkey, value } = record;
  graph.commit(actor, [{ action: 'delete', collection, rkey, value: null, cid: null, block: null, removed: value }]);
}

function drawProfileEdit(graph: GraphState): void {
  const actor = graph.actors.drawActive(graph.random);
  if (graph.enter(actor)) graph.putProfile(actor);
}

const drawOfKind = {
  like: drawLike,
  follow: (graph: GraphState) => drawSubject(graph, nsid.follow),
  post: drawPostCommit,
  repost: drawRepost,
  delete: drawDelete,
  block: (graph: GraphState) => drawSubject(graph, nsid.block),
  rare: drawRareCommit,
  profile: drawProfileEdit,
} as const;
