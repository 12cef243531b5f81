/** A thread is what a walk of plain objects finds, however its replies hang together. */
import { rmSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { decodeMessage } from '../../../src/proto/codec.ts';
import { MessageWriter } from '../../../src/proto/message-writer.ts';
import { writeThread } from '../../../src/read/answer/thread-walk.ts';
import { SlotLookup } from '../../../src/read/lookup/slot-lookup.ts';
import { Turn } from '../../../src/read/lookup/turn.ts';
import { recordKey } from '../../../src/slot/table/record-row.ts';
import { SlotState, slotTableNames } from '../../../src/slot/table/slot-state.ts';
import {
  type PostRef,
  postBytes,
  postUri,
  putThreadChild,
  putThreadReply,
  type ThreadReply,
} from '../../../src/slot/table/thread-reply.ts';
import { Environment } from '../../../src/storage/environment.ts';
import type { ThreadRequest } from '../../../src/wire/thread-messages.ts';
import { tidOf } from '../../simulation/history-record.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';
import '../../support/property-seed.ts';

const postsMax = 5_000;
const startMs = Date.UTC(2026, 0, 1);

let folder = '';
let environment: Environment;
let state: SlotState;
let threads = 0;

beforeAll(() => {
  folder = makeMemoryFolder('skyshard-threads-');
  environment = Environment.open({ path: folder, mapBytes: 2 ** 30, tables: slotTableNames, isDurable: false });
  state = new SlotState(0, environment);
  state.isKnownComplete = true;
});

afterAll(async () => {
  await environment.close();
  rmSync(folder, { recursive: true, force: true });
});

type Reply = {
  readonly post: PostRef;
  readonly parent: PostRef;
  readonly sortMs: number;
  readonly isDeleted: boolean;
};

type Network = { readonly root: PostRef; readonly hasRoot: boolean; readonly replies: readonly Reply[] };

function didOfAuthor(number: number): string {
  if (number % 9 === 8) return `did:web:a${number}.example.com`;
  return `did:plc:${'abcdefgh'[number % 8]!.repeat(23)}${'abcdefghijklmnopqrstuvwxyz'[number % 26]}`;
}

/** Stores a thread as the slot of its root does. */
function store({ root, hasRoot, replies }: Network): void {
  environment.transact(() => {
    const owner = state.ensureOwner(root.did);
    if (hasRoot) state.rows.put(recordKey(owner, 'app.bsky.feed.post', root.rkey), Buffer.alloc(40));
    for (const { post, parent, sortMs, isDeleted } of replies) {
      const row: ThreadReply = {
        reply: post,
        parent,
        sortMs,
        deletedMs: isDeleted ? sortMs + 1 : null,
        isTakenDown: false,
        judgement: { indexedMs: sortMs, version: 1, isFollower: false, isAllowed: null, verdict: 'clear' },
      };
      putThreadReply(state, owner, root.rkey, row, []);
      putThreadChild(state, owner, root.rkey, row);
    }
  });
}

const never = { ...systemClock, monotonicMs: () => 0 };
/** Each look at it ends the turn. */
let hastyMs = 0;
const hasty = { ...systemClock, monotonicMs: () => hastyMs++ * 1_000 };

function read(request: ThreadRequest, clock: typeof never): { uris: readonly string[]; turns: number } {
  const turn = new Turn(clock);
  const into = new MessageWriter();
  const walk = writeThread(into, new SlotLookup(1, () => state), request, turn);
  for (let turns = 1; ; turns++) {
    turn.begin();
    if (walk.next().done === true) return { uris: decodeMessage('GetThreadResponse', into.view()).uris, turns };
  }
}

/** The same by plain objects. */
function expected({ root, hasRoot, replies }: Network, anchor: PostRef, above: number, below: number): string[] {
  const byUri = new Map(replies.map((reply) => [postUri(reply.post), reply]));
  const rootUri = postUri(root);
  const ancestors: string[] = [];
  for (let uri: string | undefined = postUri(anchor); uri !== undefined && ancestors.length <= above; ) {
    const reply: Reply | undefined = uri === rootUri ? undefined : byUri.get(uri);
    const isThere = uri === rootUri ? hasRoot : reply !== undefined && !reply.isDeleted;
    if (!isThere || ancestors.includes(uri)) break;
    ancestors.push(uri);
    uri = reply === undefined ? undefined : postUri(reply.parent);
  }
  const newestFirst = (a: Reply, b: Reply): number =>
    b.sortMs - a.sortMs || Buffer.compare(postBytes(b.post), postBytes(a.post));
  const childrenByUri = Map.groupBy(
    replies.filter(({ isDeleted }) => !isDeleted),
    ({ parent }) => postUri(parent),
  );
  const found: Reply[] = [];
  const seen = new Set([postUri(anchor)]);
  let level = [postUri(anchor)];
  for (let depth = 1; depth <= below && level.length > 0; depth++) {
    const next: Reply[] = [];
    for (const parent of level) {
      for (const child of (childrenByUri.get(parent) ?? []).sort(newestFirst)) {
        if (seen.has(postUri(child.post))) continue;
        seen.add(postUri(child.post));
        next.push(child);
      }
    }
    found.push(...next);
    level = next.map(({ post }) => postUri(post));
  }
  const kept = found.slice(0, postsMax - ancestors.length);
  return [...ancestors, ...kept.sort((a, b) => b.sortMs - a.sortMs).map(({ post }) => postUri(post))];
}

const drawnReply = fc.record({
  author: fc.nat(30),
  /** Of the posts so far, counted from the newest; -1 for one of another thread. */
  parent: fc.oneof({ weight: 4, arbitrary: fc.nat(3) }, { weight: 3, arbitrary: fc.nat(400) }, fc.constant(-1)),
  seconds: fc.nat(20),
  isDeleted: fc.boolean(),
  rkey: fc.constantFrom('tid', 'tid', 'tid', 'tid', 'word'),
});

const drawnNetwork = fc.record({
  replies: fc.array(drawnReply, { maxLength: 400, size: 'max' }),
  /** Replies whose parent comes after them, or is below them, or themselves. */
  bends: fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 4 }),
  isOwnReply: fc.boolean(),
  hasRoot: fc.boolean(),
  deletedShare: fc.nat(3),
});

function networkOf(drawn: typeof drawnNetwork extends fc.Arbitrary<infer Value> ? Value : never): Network {
  const number = threads++;
  const root = { did: didOfAuthor(number % 30), rkey: tidOf(startMs + number) };
  const posts: PostRef[] = [root];
  const replies: Reply[] = drawn.replies.map(({ author, parent, seconds, isDeleted, rkey }, index) => {
    const post = { did: didOfAuthor(author), rkey: rkey === 'tid' ? tidOf(startMs + 5_000 + index) : `word${index}` };
    const stranger = { did: didOfAuthor(author), rkey: 'elsewhere' };
    const above = parent < 0 ? stranger : posts[Math.max(0, posts.length - 1 - parent)]!;
    posts.push(post);
    return {
      post,
      parent: above,
      sortMs: startMs + seconds * 1_000,
      isDeleted: isDeleted && index % 4 < drawn.deletedShare,
    };
  });
  // A root may be a reply to a post of its own thread.
  if (drawn.isOwnReply && replies.length > 0)
    replies.push({ post: root, parent: replies[0]!.post, sortMs: startMs, isDeleted: false });
  for (const [from, to] of drawn.bends) {
    if (replies.length === 0) break;
    const bent = from % replies.length;
    replies[bent] = { ...replies[bent]!, parent: replies[to % replies.length]!.post };
  }
  return { root, hasRoot: drawn.hasRoot, replies };
}

describe('a thread around a post', () => {
  it('is what is above and below it, within limits, in one turn and in many', () => {
    const limits = fc.constantFrom([10, 10], [0, 0], [1, 1], [3, 2], [10_000, 10_000]);
    fc.assert(
      fc.property(drawnNetwork, fc.array(fc.nat(), { maxLength: 3 }), limits, (drawn, picks, [above, below]) => {
        const network = networkOf(drawn);
        store(network);
        const { root, replies } = network;
        const anchors = picks.filter(() => replies.length > 0).map((pick) => replies[pick % replies.length]!.post);
        for (const anchor of [root, ...anchors, { did: root.did, rkey: 'none' }]) {
          const request = { root: postUri(root), anchor: postUri(anchor), above: above!, below: below! };
          const uris = expected(network, anchor, above!, below!);
          expect(read(request, never)).toEqual({ uris, turns: 1 });
          expect(read(request, hasty).uris).toEqual(uris);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('has 5,000 posts at most, without the deepest and then the oldest', () => {
    for (const count of [6_000, 10_500]) {
      const root = { did: didOfAuthor(0), rkey: tidOf(startMs + threads++) };
      const replies: Reply[] = [];
      for (let index = 0; index < count; index++) {
        const post = { did: didOfAuthor(index % 26), rkey: tidOf(startMs + 60_000 + index) };
        const parent = index < 20 ? root : replies[index % 20]!.post;
        replies.push({ post, parent, sortMs: startMs + ((index * 7_919) % 5_000), isDeleted: index % 50 === 49 });
      }
      const network = { root, hasRoot: true, replies };
      store(network);
      const request = { root: postUri(root), anchor: postUri(root), above: 10, below: 10 };
      const { uris, turns } = read(request, hasty);
      expect(uris).toHaveLength(postsMax);
      expect(turns).toBeGreaterThan(10);
      expect(uris).toEqual(expected(network, root, 10, 10));
    }
  });
});
