/** Draws posts: roots, replies in deep and shallow threads, quotes, and their thread gates. */
import { nsid } from '../../atproto/collection.ts';
import type { GraphOp, GraphState, RecentPost } from './graph-state.ts';
import { composeText, type Mention } from './post-text.ts';
import { type PostEmbed, postRecord, threadgateRecord } from './record-shapes.ts';
import { weightedChoice } from './skewed-choice.ts';

const replyShare = 0.42;
const quoteShare = 0.05;
const mentionShare = 0.05;
/** Threads grow no deeper than this. */
const depthMax = 400;

const drawRootEmbed = weightedChoice<PostEmbed>([
  ['none', 80],
  ['images', 11],
  ['external', 7],
  ['video', 2],
]);

const drawReplyEmbed = weightedChoice<PostEmbed>([
  ['none', 96],
  ['images', 3],
  ['external', 1],
]);

/** Draws a parent: half the time a reply, mostly a new one, so that some threads run deep. */
function drawParent(graph: GraphState): RecentPost | undefined {
  if (graph.random.next() < 0.5) {
    const reply = graph.replies.newer(graph.random);
    if (reply?.isAlive && reply.depth < depthMax) return reply;
  }
  return graph.drawPost();
}

function drawMention(graph: GraphState): Mention | null {
  if (graph.random.next() >= mentionShare) return null;
  const actor = graph.actors.drawPopular(graph.random);
  return { did: graph.actors.did(actor), handle: graph.actors.handle(actor) };
}

/** Emits one post, sometimes with its thread gate in the same commit. */
export function drawPostCommit(graph: GraphState): void {
  const { random, actors } = graph;
  const parent = random.next() < replyShare ? drawParent(graph) : undefined;
  // The author of a thread answers in it more than others do.
  const author = parent !== undefined && random.next() < 0.25 ? parent.rootActor : actors.drawAuthor(random);
  const quoted = random.next() < quoteShare ? graph.drawPost() : undefined;
  if (!graph.enter(author)) return;
  const isReply = parent?.isAlive === true;
  const value = postRecord(random, {
    composed: composeText(random, drawMention(graph)),
    reply: isReply ? { root: parent.root, parent } : null,
    quoted: quoted?.isAlive ? quoted : null,
    embed: isReply ? drawReplyEmbed(random) : drawRootEmbed(random),
    createdAt: graph.createdAt(),
  });
  const op = graph.write(nsid.post, graph.nextRkey(), value);
  const post = graph.publish(author, op, isReply ? parent : null);
  const ops: GraphOp[] = [op];
  if (!isReply && random.next() < 0.005) ops.push(gateOf(graph, post));
  graph.commit(author, ops);
}

function gateOf(graph: GraphState, post: RecentPost): GraphOp {
  post.hasGate = true;
  const value = threadgateRecord(post.uri, ['mentionRule', 'followingRule'], graph.createdAt());
  return graph.write(nsid.threadGate, post.rkey, value);
}
