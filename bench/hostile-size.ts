/**
 * What does a page cost of the largest list, thread and account, and how long do writes wait?
 *
 * One slot holds a list of a million members, a thread of 100,000 replies and an account that
 * follows 500,000 others within one second. Their pages are walked to the end, in process and with
 * one request at a time, three times; the best of each page counts. `hold_ms` is the longest turn
 * of the event loop of any page, `cpu_ms` the CPU of a page, `heap_mb` by how much the heap and
 * what is outside of it were above the start at most. After every turn another account of the slot
 * writes a post: `write` is how long until that is applied and on disk, in the same thread as the
 * reads, and `write_idle` the same without reads.
 *
 * Arguments: the share of these sizes, 1 by default.
 */
import { decodeMessage, encodeMessage } from '../src/proto/codec.ts';
import { createReadHandlers } from '../src/read/handler/read-handlers.ts';
import { encodeTimeline } from '../src/wire/feed-messages.ts';
import { encodeFollowsOf, followsPageLimit, openFollowsOfAnswer } from '../src/wire/follows-messages.ts';
import { nodeCalls } from '../src/wire/node-calls.ts';
import { encodeThread } from '../src/wire/thread-messages.ts';
import { didOf, numberedDid, ReadsNetwork } from '../test/integration/reads-network.ts';
import { type BenchOptions, type BenchResult, type Figures, LatencyRecorder } from './report.ts';
import { hold, TurnMeter } from './turn-meter.ts';

export const question =
  'What does a page cost of a list of a million, a thread of 100,000 and an account with 500,000 follows?';

const full = { members: 1_000_000, replies: 100_000, follows: 500_000 } as const;
type Sizes = Readonly<Record<keyof typeof full, number>>;

const recordsPerCommit = 1_000;
const commitsPerReport = 100;
const rounds = 3;
const writesIdle = 200;
const [lister, starter, replier, follower, neighbour] = [
  didOf('lister'),
  didOf('starter'),
  didOf('replier'),
  didOf('follower'),
  didOf('neighbour'),
];
const list = { did: lister, collection: 'app.bsky.graph.list', rkey: 'many' } as const;
const listUri = `at://${list.did}/${list.collection}/${list.rkey}`;

/** A walk: the request of a page after a token, '' for the first, and the token in an answer. */
type Walk = {
  readonly method: string;
  readonly page: (after: string) => Uint8Array;
  readonly next: (answer: Buffer) => string;
};

function fill(network: ReadsNetwork, sizes: Sizes, print: (line: string) => void): string {
  for (const did of [lister, starter, replier, follower, neighbour]) network.identity(did, null);
  const createdAt = network.now;
  network.put(lister, list.collection, { name: 'l', purpose: 'app.bsky.graph.defs#curatelist', createdAt }, list.rkey);
  const root = network.post(starter, 'root');
  const putAll = (did: string, collection: string, count: number, make: (index: number) => object): void => {
    for (let from = 0, commits = 1; from < count; from += recordsPerCommit, commits++) {
      const length = Math.min(recordsPerCommit, count - from);
      network.putAll(
        did,
        collection,
        Array.from({ length }, (_unused, index) => make(from + index)),
      );
      network.settle();
      if (commits % commitsPerReport === 0) print(`  ${from + length} of ${count} ${collection}`);
    }
  };
  putAll(replier, 'app.bsky.feed.post', sizes.replies, () => ({ text: 'r', createdAt, reply: { root, parent: root } }));
  putAll(follower, 'app.bsky.graph.follow', sizes.follows, (index) => ({ subject: numberedDid(index), createdAt }));
  putAll(lister, 'app.bsky.graph.listitem', sizes.members, (index) => ({
    subject: numberedDid(index),
    list: listUri,
    createdAt,
  }));
  return root.uri;
}

const once = (): string => '';

function walksOf(rootUri: string): Readonly<Record<string, Walk>> {
  const limit = 1_000;
  const nodePage = (did: string) => (after: string) => encodeFollowsOf({ did, after, limit: followsPageLimit });
  const nodeNext = (answer: Buffer): string => openFollowsOfAnswer(answer).next;
  return {
    'members of the list': {
      method: 'bsky.GetListMembers',
      page: (cursor) => encodeMessage('GetListMembersRequest', { listUri, limit, cursor }),
      next: (answer) => decodeMessage('GetListMembersResponse', answer).cursor,
    },
    'members of the list, pages of a node': { method: nodeCalls.membersOf, page: nodePage(listUri), next: nodeNext },
    'feed of the list': {
      method: nodeCalls.listFeed,
      page: () => encodeTimeline({ did: listUri, before: null, limit: 51 }),
      next: once,
    },
    'count of the list': {
      method: 'bsky.GetListCount',
      page: () => encodeMessage('GetListCountRequest', { listUri }),
      next: once,
    },
    follows: {
      method: 'bsky.GetFollows',
      page: (cursor) => encodeMessage('GetFollowsRequest', { actorDid: follower, limit, cursor }),
      next: (answer) => decodeMessage('GetFollowsResponse', answer).cursor,
    },
    'follows, pages of a node': { method: nodeCalls.followsOf, page: nodePage(follower), next: nodeNext },
    timeline: {
      method: nodeCalls.timeline,
      page: () => encodeTimeline({ did: follower, before: null, limit: 51 }),
      next: once,
    },
    thread: {
      method: nodeCalls.thread,
      page: () => encodeThread({ root: rootUri, anchor: rootUri, above: 1_000, below: 1_000 }),
      next: once,
    },
  };
}

/** Writes one post of an account of the same slot. Returns how long that took. Units: ms. */
function write(network: ReadsNetwork): number {
  const meter = new TurnMeter();
  meter.turnBegins();
  network.post(neighbour, 'n');
  network.settle();
  meter.turnEnded();
  return meter.holdMs;
}

function memoryBytes(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

async function measure(network: ReadsNetwork, walk: Walk): Promise<Figures> {
  // Cold caches for each walk.
  const { handlers } = createReadHandlers({
    slots: 1,
    stateOf: (slot) => network.cluster.slots[slot]?.state,
    refreshReads: () => {},
    recordCacheBytes: 2 ** 24,
  });
  const { method, page, next } = walk;
  const context = { method, epoch: 1, deadlineMs: Number.MAX_SAFE_INTEGER };
  const startBytes = memoryBytes();
  const writes = new LatencyRecorder();
  /** By page: the best of all rounds, which other processes disturb. */
  const best: { holdMs: number; totalMs: number }[] = [];
  let [answerBytes, peakBytes] = [0, startBytes];
  for (let round = 0; round < rounds; round++) {
    let after = '';
    for (let at = 0; at === 0 || after !== ''; at++) {
      const { answer, holdMs, totalMs } = await hold(
        () => handlers.get(method)!(page(after), context),
        () => writes.record(write(network)),
      );
      const known = best[at] ?? { holdMs, totalMs };
      best[at] = { holdMs: Math.min(known.holdMs, holdMs), totalMs: Math.min(known.totalMs, totalMs) };
      answerBytes = Math.max(answerBytes, answer.length);
      peakBytes = Math.max(peakBytes, memoryBytes());
      after = next(Buffer.from(answer));
      writes.record(write(network));
    }
  }
  return {
    pages: best.length,
    hold_ms: Math.max(...best.map(({ holdMs }) => holdMs)),
    cpu_ms: best.reduce((sum, { totalMs }) => sum + totalMs, 0) / best.length,
    answer_kb: answerBytes / 1000,
    heap_mb: (peakBytes - startBytes) / 2 ** 20,
    write: writes.percentiles(),
  };
}

export async function run({ args, quick, print }: BenchOptions): Promise<BenchResult> {
  const share = Number(args[0] ?? (quick ? 0.01 : 1));
  const sizes = {
    members: full.members * share,
    replies: full.replies * share,
    follows: full.follows * share,
  };
  const network = new ReadsNetwork({ slots: 1, mapBytes: 2 ** 33 });
  try {
    const rootUri = fill(network, sizes, print);
    const idle = new LatencyRecorder();
    for (let count = 0; count < writesIdle; count++) idle.record(write(network));
    const figures: Record<string, Figures> = {};
    for (const [name, walk] of Object.entries(walksOf(rootUri))) {
      figures[name] = await measure(network, walk);
      print(`  ${name}: ${JSON.stringify(figures[name])}`);
    }
    const { members, replies, follows } = sizes;
    return {
      dataSize: `${members} members, ${replies} replies and ${follows} follows in one slot`,
      figures: { write_idle: idle.percentiles(), ...figures },
    };
  } finally {
    await network[Symbol.asyncDispose]();
  }
}
