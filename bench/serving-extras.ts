/**
 * Lists and labels of the serving benches, after the rest of the network.
 *
 * The lists share the authors out, so that no two of the lists that one actor blocks have a member
 * in common: the official plane's block queries fail there. Who blocks lists posts nothing, has no
 * profile, and follows friends who do neither, so that requests of other methods are drawn from the
 * same actors as without them, and answered in the same way.
 */
import { cidOfBlock } from '../src/atproto/cid.ts';
import type { RepoOp } from '../src/atproto/repo-op.ts';
import { xxh32 } from '../src/base/xxh32.ts';
import type { CommitEntry, IdentityEntry, LabelEntry } from '../src/entry/entry.ts';
import type { ExtraWriter } from './extra-writer.ts';

/** `blockViewer`, `blockTarget`: actors who block lists, and are on lists. */
export type ListExtra = 'list' | 'blockViewer' | 'blockTarget' | 'friend';

const sizes = { lists: 64, membersMax: 150, blockers: 80, listsOfBlocker: 3, friends: 150 } as const;

/** Returns a did:plc that depends on a text alone. */
export function didOfText(text: string): string {
  return `did:plc:${cidOfBlock(Buffer.from(text)).text.slice(16, 40)}`;
}

/** Those whose labels are stored. */
export const labelers: readonly string[] = Array.from({ length: 3 }, (_unused, index) =>
  didOfText(`serving labeler ${index}`),
);
const labelledCollections = new Set(['app.bsky.actor.profile', 'app.bsky.feed.post']);
const labelValues = ['porn', 'spam', '!warn', 'graphic-media'] as const;

/** Yields the labels of new posts and actors: each fourth has one, and each sixteenth a second. */
export function* labelsOf(did: string, ops: readonly RepoOp[], eventMs: number): Generator<LabelEntry> {
  for (const { collection, rkey } of ops) {
    if (!labelledCollections.has(collection)) continue;
    const record = collection === 'app.bsky.actor.profile' ? null : { collection, rkey };
    const hash = xxh32(Buffer.from(`${did}/${collection}/${rkey}`));
    const count = hash % 16 === 0 ? 2 : hash % 4 === 0 ? 1 : 0;
    for (let index = 0; index < count; index++) {
      const src = labelers[((hash >>> 8) + index) % labelers.length]!;
      const val = labelValues[(hash >>> 16) % labelValues.length]!;
      const cts = new Date(eventMs).toISOString();
      yield { kind: 'label', did, label: { subject: { did, record }, src, cid: '', val, neg: false, cts, exp: null } };
    }
  }
}

/** Yields the friends of every other blocker, the viewers: they follow each other. */
function* friendEntries(
  writer: ExtraWriter,
  blockers: readonly string[],
  onExtra: (kind: ListExtra, key: string) => void,
): Generator<CommitEntry | IdentityEntry> {
  const friends = Array.from({ length: sizes.friends }, (_unused, index) => didOfText(`serving friend ${index}`));
  const viewers = blockers.filter((_did, index) => index % 2 === 0);
  for (const [index, friend] of friends.entries()) {
    onExtra('friend', friend);
    yield writer.identity(friend, `friend${index}.skyshard.test`);
    for (const viewer of viewers) {
      yield writer.commit(friend, 'app.bsky.graph.follow', { subject: viewer });
      yield writer.commit(viewer, 'app.bsky.graph.follow', { subject: friend });
    }
  }
}

/** Yields lists, their members, and those who block lists. */
export function* listEntries(
  writer: ExtraWriter,
  authors: readonly string[],
  onExtra: (kind: ListExtra, key: string) => void,
): Generator<CommitEntry | IdentityEntry> {
  const blockers = Array.from({ length: sizes.blockers }, (_unused, index) => didOfText(`serving blocker ${index}`));
  for (const [index, did] of blockers.entries()) {
    onExtra(index % 2 === 0 ? 'blockViewer' : 'blockTarget', did);
    yield writer.identity(did, `blocker${index}.skyshard.test`);
  }
  const memberCount = Math.min(sizes.membersMax, Math.floor(authors.length / sizes.lists));
  const lists: string[] = [];
  for (let index = 0; index < sizes.lists; index++) {
    const did = didOfText(`serving list owner ${index}`);
    yield writer.identity(did, `lists${index}.skyshard.test`);
    const purpose = `app.bsky.graph.defs#${index % 2 === 0 ? 'modlist' : 'curatelist'}`;
    const made = writer.commit(did, 'app.bsky.graph.list', { name: `List ${index}`, purpose });
    yield made;
    const list = `at://${did}/app.bsky.graph.list/${made.ops[0]!.rkey}`;
    lists.push(list);
    onExtra('list', list);
    const members = [
      ...authors.slice(index * memberCount, (index + 1) * memberCount),
      ...blockers.filter((_did, blocker) => blocker % sizes.lists === index),
    ];
    for (const subject of members) yield writer.commit(did, 'app.bsky.graph.listitem', { subject, list });
  }
  yield* friendEntries(writer, blockers, onExtra);
  for (const [index, did] of blockers.entries()) {
    for (let at = 1; at <= sizes.listsOfBlocker; at++)
      yield writer.commit(did, 'app.bsky.graph.listblock', { subject: lists[(index + at * 7) % lists.length]! });
  }
}
