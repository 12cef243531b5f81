/** Draws records of the collections that make up less than a hundredth of the network. */
import { nsid } from '../../atproto/collection.ts';
import { actorFlag } from './demo-actors.ts';
import type { GraphOp, GraphState } from './graph-state.ts';
import {
  chatDeclarationRecord,
  generatorRecord,
  type ListPurpose,
  labelerRecord,
  listItemRecord,
  listRecord,
  notificationDeclarationRecord,
  postgateRecord,
  type ReplyRule,
  starterPackRecord,
  statusRecord,
  subjectRecord,
  threadgateRecord,
  verificationRecord,
} from './record-shapes.ts';
import { weightedChoice } from './skewed-choice.ts';

const drawRareKind = weightedChoice([
  ['list-item', 46],
  ['list', 8],
  ['list-block', 5],
  ['threadgate', 12],
  ['postgate', 6],
  ['generator', 5],
  ['starter-pack', 4],
  ['status', 4],
  ['verification', 4],
  ['labeler', 1],
  ['notification-declaration', 2],
  ['chat-declaration', 3],
] as const);

type RareKind = ReturnType<typeof drawRareKind>;

const drawPurpose = weightedChoice<ListPurpose>([
  ['curatelist', 60],
  ['modlist', 40],
]);

/** Emits one commit of a rare collection, or nothing when what it needs does not exist yet. */
export function drawRareCommit(graph: GraphState): void {
  const kind = drawRareKind(graph.random);
  if (kind === 'list-item') addListItem(graph);
  else if (kind === 'threadgate' || kind === 'postgate') addGate(graph, kind);
  else addOfAnyActor(graph, kind);
}

function addOfAnyActor(graph: GraphState, kind: Exclude<RareKind, 'list-item' | 'threadgate' | 'postgate'>): void {
  const actor = graph.actors.drawActive(graph.random);
  if (!graph.enter(actor)) return;
  switch (kind) {
    case 'list':
      addList(graph, actor);
      break;
    case 'list-block':
      addListBlock(graph, actor);
      break;
    case 'generator':
      addGenerator(graph, actor);
      break;
    case 'starter-pack':
      addStarterPack(graph, actor);
      break;
    case 'verification':
      addVerification(graph);
      break;
    default:
      putSelfRecord(graph, actor, kind);
  }
}

function addList(graph: GraphState, actor: number): void {
  const collection = nsid.list;
  const value = listRecord(graph.random, drawPurpose(graph.random), graph.createdAt());
  const op = graph.write(collection, graph.nextRkey(), value);
  graph.lists.add({ ...graph.strongRef(actor, op), actor });
  graph.commit(actor, [op]);
}

function addListItem(graph: GraphState): void {
  const list = graph.lists.any(graph.random);
  if (list === undefined || !graph.enter(list.actor)) return;
  const subject = graph.actors.did(graph.actors.drawPopular(graph.random));
  graph.commitRecord(list.actor, nsid.listItem, listItemRecord(list.uri, subject, graph.createdAt()));
}

function addListBlock(graph: GraphState, actor: number): void {
  const list = graph.lists.any(graph.random);
  if (list === undefined || list.actor === actor) return;
  const collection = nsid.listBlock;
  graph.commitRecord(actor, collection, subjectRecord(collection, list.uri, graph.createdAt()));
}

function addGate(graph: GraphState, kind: 'threadgate' | 'postgate'): void {
  const post = graph.posts.newer(graph.random);
  if (!post?.isAlive || post.hasGate || (kind === 'threadgate' && post.depth > 0) || !graph.enter(post.actor)) return;
  post.hasGate = true;
  const value =
    kind === 'postgate'
      ? postgateRecord(post.uri, graph.createdAt())
      : threadgateRecord(post.uri, drawReplyRules(graph, post.actor), graph.createdAt());
  graph.commit(post.actor, [graph.write(`app.bsky.feed.${kind}`, post.rkey, value)]);
}

/** Draws who may reply: everyone (the gate only hides), nobody, or a few rules. */
function drawReplyRules(graph: GraphState, actor: number): ReplyRule[] | null {
  const chance = graph.random.next();
  if (chance < 0.2) return null;
  if (chance < 0.4) return [];
  if (chance < 0.6) return ['mentionRule'];
  if (chance < 0.8) return ['followerRule', 'mentionRule'];
  const list = graph.lists.any(graph.random);
  return list?.actor === actor ? [{ list: list.uri }] : ['followingRule'];
}

function addGenerator(graph: GraphState, actor: number): void {
  // Keys of feed generators may be words; every third is.
  const rkey = graph.random.below(3) === 0 ? `feed-${graph.random.below(1_000_000)}` : graph.nextRkey();
  const service = 'did:web:feeds.example.com';
  const op = graph.write(nsid.generator, rkey, generatorRecord(graph.random, service, graph.createdAt()));
  graph.feeds.add(graph.strongRef(actor, op));
  graph.commit(actor, [op]);
}

/** A starter pack comes with its list and the list's first items, in one commit. */
function addStarterPack(graph: GraphState, actor: number): void {
  const createdAt = graph.createdAt();
  const list = graph.write(nsid.list, graph.nextRkey(), listRecord(graph.random, 'referencelist', createdAt));
  const { uri } = graph.strongRef(actor, list);
  const ops: GraphOp[] = [list];
  const subjects = new Set(Array.from({ length: 7 }, () => graph.actors.drawPopular(graph.random)));
  for (const subject of subjects) {
    const value = listItemRecord(uri, graph.actors.did(subject), createdAt);
    ops.push(graph.write(nsid.listItem, graph.nextRkey(), value));
  }
  const feed = graph.feeds.any(graph.random);
  const pack = starterPackRecord(graph.random, uri, feed?.uri ?? null, createdAt);
  ops.push(graph.write(nsid.starterPack, graph.nextRkey(), pack));
  graph.commit(actor, ops);
}

/** The most popular actors verify others. */
function addVerification(graph: GraphState): void {
  const verifier = graph.random.below(Math.min(3, graph.actors.count));
  const subject = graph.actors.drawPopular(graph.random);
  if (subject === verifier || !graph.enter(verifier)) return;
  const { actors } = graph;
  const value = verificationRecord(
    actors.did(subject),
    actors.handle(subject),
    actors.displayName(subject),
    graph.createdAt(),
  );
  graph.commitRecord(verifier, nsid.verification, value);
}

function putSelfRecord(
  graph: GraphState,
  actor: number,
  kind: 'status' | 'labeler' | 'notification-declaration' | 'chat-declaration',
): void {
  const { random } = graph;
  if (kind === 'status') {
    const value = statusRecord(random, graph.createdAt());
    graph.commitSelf(actor, nsid.status, actorFlag.status, value);
  } else if (kind === 'labeler') {
    graph.commitSelf(actor, nsid.labeler, actorFlag.labeler, labelerRecord(graph.createdAt()));
  } else if (kind === 'notification-declaration') {
    const value = notificationDeclarationRecord((['followers', 'mutuals', 'none'] as const)[random.below(3)]!);
    graph.commitSelf(actor, nsid.notificationDeclaration, actorFlag.notificationDeclaration, value);
  } else {
    const value = chatDeclarationRecord((['all', 'following', 'none'] as const)[random.below(3)]!);
    graph.commitSelf(actor, nsid.chatDeclaration, actorFlag.chatDeclaration, value);
  }
}
