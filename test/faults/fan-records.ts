/** The repos of the load: a post of each actor, and the follows and likes of its fans. */
import { cidOfDigest, recordDigestOf } from '../../src/atproto/cid.ts';
import { deleteOp } from '../../src/atproto/repo-op.ts';
import type { CommitEntry } from '../../src/entry/entry.ts';
import { slotOf } from '../../src/shardmap/slot-of.ts';
import { recordOp } from '../support/record-op.ts';
import type { EdgeKind, FanWrite } from './known-answers.ts';

const letters = '234567abcdefghijklmnopqrstuvwxyz';
const createdAt = '2025-01-01T00:00:00.000Z';
const firstMs = Date.UTC(2025, 0, 1);
const postRkey = '3leofrprk222a';
const collections: Readonly<Record<EdgeKind, string>> = { follow: 'app.bsky.graph.follow', like: 'app.bsky.feed.like' };

/** Returns a TID that ascends with the number. */
function tidOf(number: number): string {
  let text = '';
  for (let rest = number, digit = 0; digit < 8; digit++, rest = Math.floor(rest / 32))
    text = letters[rest % 32]! + text;
  return `3leof${text}`;
}

/** Returns the DID of the `number`th account of a slot. */
export function didIn(slot: number, number: number, slots: number): string {
  for (let at = number * 1_000; ; at++) {
    const did = `did:web:n${at}.example`;
    if (slotOf(did, slots) === slot) return did;
  }
}

/** Returns one who does what a fan did, once more. */
export function ghostOf(fan: string): string {
  return fan.replace('did:web:', 'did:web:again-');
}

/** Returns the AT-URI of an actor's post. */
export function postUriOf(did: string): string {
  return `at://${did}/app.bsky.feed.post/${postRkey}`;
}

/** Returns the commit by which an actor posts. */
export function postOf(did: string): CommitEntry {
  const ops = [postOpOf(did)];
  return { kind: 'commit', did, rev: tidOf(0), since: null, eventMs: firstMs, ops };
}

/** Returns what nothing but the post of an actor says. */
export function postTextOf(did: string): string {
  return `a post of ${did}`;
}

function postOpOf(did: string): ReturnType<typeof recordOp> {
  const collection = 'app.bsky.feed.post';
  return recordOp({ collection, rkey: postRkey }, { $type: collection, text: postTextOf(did), createdAt });
}

/** Returns the key of a fan's record about an actor, the same each time. */
function rkeyOf(actor: number): string {
  return tidOf(1_000 + actor);
}

/** Returns the AT-URI of a fan's record about an actor. */
export function edgeUriOf(kind: EdgeKind, fan: string, actor: number): string {
  return `at://${fan}/${collections[kind]}/${rkeyOf(actor)}`;
}

/** Returns the commit of a write. `actors` are their DIDs. */
export function commitOf({ fan, kind, actor, isThere, commit }: FanWrite, actors: readonly string[]): CommitEntry {
  const path = { collection: collections[kind], rkey: rkeyOf(actor) };
  const did = actors[actor]!;
  const post = { uri: postUriOf(did), cid: cidOfDigest(recordDigestOf(postOpOf(did).cid)!) };
  const subject = kind === 'follow' ? did : post;
  const op = isThere
    ? recordOp(path, { $type: path.collection, subject, createdAt })
    : deleteOp(path.collection, path.rkey);
  const since = commit === 0 ? null : tidOf(commit);
  return { kind: 'commit', did: fan, rev: tidOf(commit + 1), since, eventMs: firstMs + commit, ops: [op] };
}
