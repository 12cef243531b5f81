/**
 * How soon what is written is found: posts by a word of their own, accounts by a new name.
 *
 * A node with threads of search, in this process, takes posts at a fixed rate. For a sample of them
 * the time counts from the acknowledgement by the log, which is before the post is applied, until
 * a query finds it; queries are asked every few milliseconds. So figures are never too good.
 *
 * Arguments: `--per-second N` (100), `--seconds N` (60; --quick: 8), `--before N` posts (20,000).
 */
import { parseArgs } from 'node:util';
import { nsid } from '../src/atproto/collection.ts';
import { systemClock } from '../src/base/clock.ts';
import { seededRandom } from '../src/base/seeded-random.ts';
import { RemoteLog } from '../src/log/remote-log.ts';
import { readSearchText } from '../src/router/plan/search-text.ts';
import { nodeCalls } from '../src/wire/node-calls.ts';
import { type SearchQuery, searchAnswer, searchCatchUpRequest, searchRequest } from '../src/wire/search-messages.ts';
import { CommitAppender } from '../test/support/commit-appender.ts';
import { type LoneNode, startLoneNode } from '../test/support/lone-node.ts';
import { recordOp } from '../test/support/record-op.ts';
import { type BenchOptions, type BenchResult, LatencyRecorder, runOpenLoop } from './report.ts';
import { textOf } from './search-corpus.ts';

export const question = 'How long after the log has it is a post found, and an account by its new name?';

const slots = 16;
const authors = 500;
const sampleEvery = 5;
const nameEvery = 50;
const pollMs = 10;
const foundMsMax = 60_000;
const slotMapBytes = 2 ** 33;

/** Writes to a node and asks it. */
class Writer {
  readonly #node: LoneNode;
  readonly #log: RemoteLog;
  readonly #commits = new CommitAppender();
  readonly #random;

  constructor(node: LoneNode, seed: number) {
    this.#node = node;
    this.#log = new RemoteLog({ map: () => node.map, caller: node.client });
    this.#random = seededRandom(seed);
    this.#commits.timeMs = systemClock.nowMs();
  }

  #didOf(number: number): string {
    return `did:web:a${number % authors}.example`;
  }

  async #commit(number: number, collection: string, rkey: string, record: object): Promise<void> {
    const op = recordOp({ collection, rkey }, { $type: collection, ...record });
    await this.#commits.commit(this.#log, this.#didOf(number), [op]);
  }

  async post(number: number): Promise<void> {
    const text = `${textOf(this.#random)} own${number}`.slice(0, 280);
    const createdAt = new Date(systemClock.nowMs()).toISOString();
    await this.#commit(number, nsid.post, `r${number}`, { text: `own${number} ${text}`, createdAt });
  }

  async name(number: number): Promise<void> {
    await this.#commit(number, nsid.profile, 'self', { displayName: `name${number}` });
  }

  async #call(method: string, payload: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    return await this.#node.client.call({ node: 'n0', method, payload, timeoutMs });
  }

  async caughtUp(): Promise<void> {
    const timeoutMs = 300_000;
    await this.#call(nodeCalls.searchCatchUp, searchCatchUpRequest.encode({ timeoutMs }), timeoutMs);
  }

  /** Asks until there is a hit. */
  async found(query: SearchQuery): Promise<void> {
    const endMs = systemClock.monotonicMs() + foundMsMax;
    for (;;) {
      const answer = await this.#call(nodeCalls.search, searchRequest.encode(query), foundMsMax);
      if (searchAnswer.decode(answer).hits.length > 0) return;
      if (systemClock.monotonicMs() > endMs) throw new Error(`not found after ${foundMsMax} ms`);
      await systemClock.sleep(pollMs);
    }
  }
}

function postQuery(number: number): SearchQuery {
  const { all, none } = readSearchText(`own${number}`, 'q');
  const untilMs = systemClock.nowMs() + 86_400_000;
  return { kind: 'posts', sort: 'latest', all, none, sinceMs: null, untilMs, followed: null, after: null, limit: 1 };
}

function nameQuery(number: number): SearchQuery {
  return { kind: 'actors', text: `name${number}`, isTypeahead: true, after: null, limit: 1 };
}

export async function run({ quick, seed, args, print }: BenchOptions): Promise<BenchResult> {
  const { values } = parseArgs({
    args: [...args],
    options: { 'per-second': { type: 'string' }, seconds: { type: 'string' }, before: { type: 'string' } },
  });
  const perSecond = Number(values['per-second'] ?? 100);
  const seconds = Number(values.seconds ?? (quick ? 8 : 60));
  const before = Number(values.before ?? (quick ? 2_000 : 20_000));
  const node = await startLoneNode({ slots, applyThreads: 1, searchThreads: 1, slotMapBytes });
  try {
    return await measure(node, { seed, perSecond, seconds, before, print });
  } finally {
    await node[Symbol.asyncDispose]();
  }
}

type Load = Pick<BenchOptions, 'seed' | 'print'> & {
  readonly perSecond: number;
  readonly seconds: number;
  readonly before: number;
};

async function measure(node: LoneNode, { seed, perSecond, seconds, before, print }: Load): Promise<BenchResult> {
  const writer = new Writer(node, seed);
  print(`writing ${before} posts first`);
  const atOnce = 200;
  for (let from = 0; from < before; from += atOnce)
    await Promise.all(Array.from({ length: atOnce }, (_unused, at) => writer.post(from + at)));
  await writer.caughtUp();
  const [posts, names] = [new LatencyRecorder(), new LatencyRecorder()];
  const waiting: Promise<void>[] = [];
  const measure = (query: SearchQuery, into: LatencyRecorder): void => {
    const startMs = systemClock.monotonicMs();
    waiting.push(writer.found(query).then(() => into.record(systemClock.monotonicMs() - startMs)));
  };
  const written = await runOpenLoop({
    perSecond,
    durationMs: seconds * 1_000,
    send: async (index) => {
      const number = before + index;
      await writer.post(number);
      if (index % sampleEvery === 0) measure(postQuery(number), posts);
      if (index % nameEvery !== 0) return;
      await writer.name(number);
      measure(nameQuery(number), names);
    },
  });
  await Promise.all(waiting);
  return {
    dataSize: `${before} posts, then ${perSecond} a second for ${seconds} s, in ${slots} slots`,
    figures: {
      written: written.count,
      unsent: written.unsent,
      failed: written.failed,
      posts_measured: posts.count,
      post_found: posts.percentiles(),
      names_measured: names.count,
      name_found: names.percentiles(),
    },
  };
}
