/** A seeded set of posts by many authors, for benches that need records but no whole network. */
import { createHash } from 'node:crypto';
import { tidOf } from '../src/atproto/tid.ts';
import { seededRandom } from '../src/base/seeded-random.ts';
import { composeText } from '../src/demo/model/post-text.ts';
import type { CommitEntry } from '../src/entry/entry.ts';
import { recordOp } from '../test/support/record-op.ts';

export type PostSetOptions = { readonly seed: number; readonly posts: number; readonly authors: number };

const startMs = Date.UTC(2025, 0, 1);
const stepMs = 500;

export function authorDid(seed: number, index: number): string {
  const digest = createHash('sha256').update(`author ${seed} ${index}`).digest();
  let name = '';
  for (let at = 0; at < 24; at++) name += 'abcdefghijklmnopqrstuvwxyz234567'[digest[at]! & 31];
  return `did:plc:${name}`;
}

/** Yields one commit per post, oldest first, by random authors. */
export function* postCommits(options: PostSetOptions): Generator<CommitEntry, void, undefined> {
  const random = seededRandom(options.seed);
  const dids = Array.from({ length: options.authors }, (_unused, index) => authorDid(options.seed, index));
  for (let index = 0; index < options.posts; index++) {
    const eventMs = startMs + index * stepMs;
    const { text, lang } = composeText(random, null);
    const langs = lang === null ? {} : { langs: [lang] };
    const post = { text, $type: 'app.bsky.feed.post', ...langs, createdAt: new Date(eventMs).toISOString() };
    const rkey = tidOf(eventMs * 1000, 1);
    const op = recordOp({ collection: 'app.bsky.feed.post', rkey }, post);
    yield { kind: 'commit', did: dids[random.below(dids.length)]!, rev: rkey, since: null, eventMs, ops: [op] };
  }
}
