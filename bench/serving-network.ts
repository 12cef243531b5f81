/**
 * The network of the serving benches: the seeded social graph, readers of many, long threads, and
 * lists and labels as `serving-extras.ts` adds them.
 *
 * It has only what both planes are asked for: profiles, posts, likes, reposts, follows, blocks,
 * lists and labels, created once and never deleted, no two for one subject. Both planes then agree,
 * whatever the order of their background work.
 */
import { Cid } from '../src/atproto/cid.ts';
import type { RepoOp } from '../src/atproto/repo-op.ts';
import type { CommitEntry, IdentityEntry, LabelEntry } from '../src/entry/entry.ts';
import { jsonOfOp } from '../test/support/record-op.ts';
import { ExtraWriter } from './extra-writer.ts';
import { graphEntries } from './graph-output.ts';
import { postCommits } from './post-set.ts';
import { didOfText, type ListExtra, labelsOf, listEntries } from './serving-extras.ts';

/** These determine a network. */
export type ServingNetworkOptions = {
  readonly seed: number;
  readonly records: number;
  /** `graph`: the social graph. `posts`: posts alone, for benches that need many bytes to read. */
  readonly kind: 'graph' | 'posts';
};

/** Returns the name of the network in folder names. */
export function networkKey({ kind, seed, records }: ServingNetworkOptions): string {
  return `${kind}-${seed}-${records}-${servingNetworkVersion}`;
}

/** Raised when the network changes, so that no cached older one is used. */
const servingNetworkVersion = 5;

/** Additions to the graph. */
const extra = { postsOfViewer: 5, replyDepthMax: 6 } as const;
/** What the viewers of a kind follow, and the replies of the threads of a kind. */
const followsByKind = { viewer: 484, viewerOfFew: 95, viewerOfMany: 1_807 } as const;
const repliesByKind = { thread: 45, longThread: 688 } as const;
type ViewerKind = keyof typeof followsByKind;
type ThreadKind = keyof typeof repliesByKind;

/**
 * Networks of as many records have more of each kind than a bench has requests in flight; smaller
 * ones, for tests and quick runs, have few.
 */
const largeRecordsMin = 100_000;

/** Returns how many viewers or threads of a kind a network has. */
function extrasOf({ records }: ServingNetworkOptions, kind: ViewerKind | ThreadKind): number {
  if (records >= largeRecordsMin) return 64;
  return kind === 'viewerOfMany' || kind === 'longThread' ? 2 : 10;
}

/** What a network is made of. */
export type ServingEntry = CommitEntry | IdentityEntry | LabelEntry;
/** Keys that requests use. */
export type Extra = ViewerKind | ThreadKind | ListExtra;
type Ref = { readonly uri: string; readonly cid: string };
type Root = Ref & { readonly did: string };

const keptCollections = new Set([
  'app.bsky.actor.profile',
  'app.bsky.feed.post',
  'app.bsky.feed.like',
  'app.bsky.feed.repost',
  'app.bsky.graph.follow',
  'app.bsky.graph.block',
]);
const pairedCollections = new Set([...keptCollections].slice(2));

export function uriOfOp(did: string, op: RepoOp): string {
  return `at://${did}/${op.collection}/${op.rkey}`;
}

/** Returns what a like or repost (a URI), or a follow or block (a DID), refers to. */
export function subjectOf(op: RepoOp): string {
  const { subject } = JSON.parse(jsonOfOp(op)) as { subject: string | Ref };
  return typeof subject === 'string' ? subject : subject.uri;
}

/** Yields the network's entries, oldest first, and reports additions that requests can use. */
export function* servingEntries(
  options: ServingNetworkOptions,
  onExtra: (kind: Extra, key: string) => void,
): Generator<ServingEntry, void, undefined> {
  if (options.kind === 'posts') {
    yield* postEntries(options, onExtra);
    return;
  }
  const actors = Math.max(800, Math.round(options.records / 60));
  const pairs = new Set<string>();
  const authors = new Set<string>();
  const roots: Root[] = [];
  for (const entry of graphEntries({ ...options, actors })) {
    if (entry.kind === 'identity') {
      yield entry;
      continue;
    }
    const ops = entry.ops.filter((op) => isKept(entry.did, op, pairs));
    if (ops.length === 0) continue;
    authors.add(entry.did);
    for (const op of ops) {
      if (op.collection === 'app.bsky.feed.post' && !jsonOfOp(op).includes('"reply":{'))
        roots.push({ did: entry.did, uri: uriOfOp(entry.did, op), cid: new Cid(op.cid).text });
    }
    yield { ...entry, ops };
    yield* labelsOf(entry.did, ops, entry.eventMs);
  }
  const writer = new ExtraWriter(options.seed);
  const audience = { options, writer, authors: [...authors], onExtra };
  for (const kind of ['viewer', 'viewerOfFew', 'viewerOfMany'] as const) yield* viewerEntries(audience, kind);
  // No two threads have a root in common.
  yield* threadEntries(audience, 'thread', (index) => roots[roots.length - 1 - index * 3]!);
  yield* threadEntries(audience, 'longThread', (index) => roots[roots.length - 2 - index * 3]!);
  yield* listEntries(writer, audience.authors, onExtra);
}

/** Yields fifty posts each of many authors, and the viewers who follow them. */
function* postEntries(
  options: ServingNetworkOptions,
  onExtra: (kind: Extra, key: string) => void,
): Generator<ServingEntry, void, undefined> {
  const authors = new Set<string>();
  const counts = { seed: options.seed, posts: options.records, authors: Math.ceil(options.records / 50) };
  for (const entry of postCommits(counts)) {
    authors.add(entry.did);
    yield entry;
  }
  yield* viewerEntries({ options, writer: new ExtraWriter(options.seed), authors: [...authors], onExtra }, 'viewer');
}

function isKept(did: string, op: RepoOp, pairs: Set<string>): boolean {
  if (op.action !== 'create' || !keptCollections.has(op.collection)) return false;
  if (!pairedCollections.has(op.collection)) return true;
  const pair = `${did} ${op.collection} ${subjectOf(op)}`;
  if (pairs.has(pair)) return false;
  pairs.add(pair);
  return true;
}

/** Those who are followed and reply, and who writes that. */
type Audience = {
  readonly options: ServingNetworkOptions;
  readonly writer: ExtraWriter;
  readonly authors: readonly string[];
  readonly onExtra: (kind: Extra, key: string) => void;
};

function* viewerEntries({ options, writer, authors, onExtra }: Audience, kind: ViewerKind): Generator<ServingEntry> {
  for (let index = 0; index < extrasOf(options, kind); index++) {
    const did = didOfText(`serving ${kind} ${index}`);
    onExtra(kind, did);
    yield writer.identity(did, `${kind.toLowerCase()}${index}.skyshard.test`);
    yield writer.commit(did, 'app.bsky.actor.profile', { displayName: `Viewer ${index}` }, 'self');
    const followed = new Set<string>();
    const count = Math.min(followsByKind[kind], authors.length);
    while (followed.size < count) followed.add(writer.pick(authors));
    for (const subject of followed) yield writer.commit(did, 'app.bsky.graph.follow', { subject });
    for (let post = 0; post < extra.postsOfViewer; post++)
      yield writer.commit(did, 'app.bsky.feed.post', { text: `post ${post}` });
  }
}

function* threadEntries(
  { options, writer, authors, onExtra }: Audience,
  kind: ThreadKind,
  rootOf: (index: number) => Root,
): Generator<ServingEntry> {
  for (let index = 0; index < extrasOf(options, kind); index++) {
    const { did, ...root } = rootOf(index);
    onExtra(kind, root.uri);
    const posts: (Ref & { readonly depth: number })[] = [{ ...root, depth: 0 }];
    for (let reply = 0; reply < repliesByKind[kind]; reply++) {
      const parents = posts.filter(({ depth }) => depth < extra.replyDepthMax);
      const { depth, ...parent } = writer.random.next() < 0.3 ? posts[0]! : writer.pick(parents);
      const author = writer.random.next() < 0.2 ? did : writer.pick(authors);
      const entry = writer.commit(author, 'app.bsky.feed.post', { text: `reply ${reply}`, reply: { root, parent } });
      const op = entry.ops[0]!;
      posts.push({ uri: uriOfOp(author, op), cid: new Cid(op.cid).text, depth: depth + 1 });
      yield entry;
    }
  }
}
