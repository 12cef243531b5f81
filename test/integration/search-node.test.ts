/** A node with its threads of search: live, and built again by itself beside serving. */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RemoteLog } from '../../src/log/remote-log.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import { nodeStatusMessage } from '../../src/wire/node-status.ts';
import {
  type PostQuery,
  type SearchStatus,
  searchAnswer,
  searchCatchUpRequest,
  searchRequest,
  searchSlotRequest,
  searchStatusAnswer,
  searchVerifyAnswer,
} from '../../src/wire/search-messages.ts';
import { CommitAppender } from '../support/commit-appender.ts';
import { type LoneNode, startLoneNode } from '../support/lone-node.ts';
import { makeMemoryFolder } from '../support/memory-folder.ts';
import { recordOp } from '../support/record-op.ts';
import { fillDisk, mountSmallDisk } from '../support/small-disk.ts';
import { until } from '../support/until.ts';
import { didOf } from './reads-network.ts';

const slots = 4;
const alice = didOf('alice');
const post = 'app.bsky.feed.post';
let folder: string;
let node: LoneNode;
let log: RemoteLog;
let commits: CommitAppender;

async function start(): Promise<void> {
  node = await startLoneNode({ slots, applyThreads: 2, searchThreads: 2, folder });
  log = new RemoteLog({ map: () => node.map, caller: node.client });
}

beforeEach(async () => {
  folder = makeMemoryFolder('skyshard-search-node-');
  commits = new CommitAppender();
  await start();
});
afterEach(() => node[Symbol.asyncDispose]());

async function call(method: string, payload: Uint8Array = Buffer.alloc(0)): Promise<Uint8Array> {
  return await node.client.call({ node: 'n0', method, payload, timeoutMs: 10_000 });
}

async function write(text: string, rkey: string): Promise<void> {
  const record = { $type: post, text, createdAt: new Date(commits.timeMs).toISOString() };
  await commits.commit(log, alice, [recordOp({ collection: post, rkey }, record)]);
}

async function found(word: string): Promise<string[]> {
  const query: PostQuery = {
    kind: 'posts',
    sort: 'latest',
    all: [[{ kind: 'text', value: word }]],
    none: [],
    sinceMs: null,
    untilMs: Date.now() + 60_000,
    followed: null,
    after: null,
    limit: 100,
  };
  try {
    return searchAnswer.decode(await call(nodeCalls.search, searchRequest.encode(query))).hits.map(({ key }) => key);
  } catch (thrown) {
    expect(thrown).toMatchObject({ code: 'Unavailable' });
    return ['unavailable'];
  }
}

async function catchUp(timeoutMs = 10_000): Promise<void> {
  await call(nodeCalls.searchCatchUp, searchCatchUpRequest.encode({ timeoutMs }));
}

/** Tells whether all that is in the log is applied. */
async function isApplied(): Promise<boolean> {
  const { slots: each } = nodeStatusMessage.decode(await call(nodeCalls.status));
  return each.every(({ waiting, cursor, head }) => waiting === 0 && cursor >= head);
}

async function status(): Promise<SearchStatus> {
  return searchStatusAnswer.decode(await call(nodeCalls.searchStatus));
}

async function untilFound(word: string, count: number): Promise<void> {
  await until(async () => (await found(word)).filter((key) => key.startsWith('at:')).length === count);
}

describe('a node', () => {
  it('finds what was applied, soon', async () => {
    await write('hello world', 'one');
    await untilFound('hello', 1);
    expect(await found('hello')).toEqual([`at://${alice}/${post}/one`]);
    await write('hello again', 'two');
    await untilFound('hello', 2);
    const { posts, problem, slots: each } = await status();
    expect({ posts, problem, slots: each.length }).toEqual({ posts: 2, problem: '', slots });
    expect(each.every(({ state, isServed }) => state === 'ready' && isServed)).toBe(true);
    await until(async () => (await status()).slots.every(({ waiting }) => waiting === 0));
    const metrics = await node.registry.metrics();
    expect(metrics).toContain('skyshard_search_rows{kind="posts"} 2');
  });

  it('says when all is found that is applied, and what is missing at the end of its time', async () => {
    for (let round = 1; round <= 5; round++) {
      await write(`hello ${round}`, `r${round}`);
      await until(isApplied);
      await catchUp();
      expect((await found('hello')).length).toBe(round);
    }
    // Both at once, so that the wait is there before the slots are built, one after the other.
    const rebuild = call(nodeCalls.searchRebuild, searchSlotRequest.encode({ slot: null }));
    await expect(catchUp(0)).rejects.toMatchObject({
      code: 'DeadlineExceeded',
      message: expect.stringMatching(/the search index is behind: \d slots are being built/),
    });
    await rebuild;
    await catchUp();
    expect((await found('hello')).length).toBe(5);
  });

  it('answers a wait at once without an index', async () => {
    await using bare = await startLoneNode({ slots, applyThreads: 1 });
    const payload = searchCatchUpRequest.encode({ timeoutMs: 1 });
    const answer = await bare.client.call({ node: 'n0', method: nodeCalls.searchCatchUp, payload, timeoutMs: 5_000 });
    expect(answer.length).toBe(0);
  });

  it('starts an index thread again that is killed, says so, and loses nothing', async () => {
    await node[Symbol.asyncDispose]();
    const workers: Worker[] = [];
    const take = (worker: Worker): void => void workers.push(worker);
    process.on('worker', take);
    try {
      await start();
      const before = workers.length;
      const rounds = 4;
      for (let round = 0; round < rounds; round++) {
        for (let index = 0; index < 10; index++) await write(`hello ${round}`, `r${round}-${index}`);
        // It is started last, and again each time.
        await workers.at(-1)!.terminate();
        await expect(status()).rejects.toMatchObject({
          code: 'Unavailable',
          message: expect.stringContaining('the index thread has failed, and is started again'),
        });
        expect((await call(nodeCalls.status)).length).toBeGreaterThan(0);
        await until(() => workers.length === before + round + 1, 30_000);
      }
      await until(isApplied);
      await catchUp();
      expect((await found('hello')).length).toBe(10 * rounds);
      expect((await status()).problem).toBe('');
      expect(node.notes.filter((note) => note.startsWith('the index thread has failed')).length).toBe(rounds);
    } finally {
      process.off('worker', take);
    }
  }, 120_000);

  it('goes on after a restart, with what came while it had no index', async () => {
    await write('hello one', 'one');
    await untilFound('hello', 1);
    await node[Symbol.asyncDispose]();
    node = await startLoneNode({ slots, applyThreads: 1, searchThreads: 0, folder });
    log = new RemoteLog({ map: () => node.map, caller: node.client });
    await write('hello two', 'two');
    await expect(call(nodeCalls.searchStatus)).rejects.toMatchObject({ code: 'Unimplemented' });
    await node[Symbol.asyncDispose]();
    await start();
    await untilFound('hello', 2);
  });

  it('builds an index again that is damaged, and answers other calls meanwhile', async () => {
    for (let index = 0; index < 20; index++) await write(`hello ${index}`, `r${index}`);
    await untilFound('hello', 20);
    await node[Symbol.asyncDispose]();
    const path = join(folder, 'search', 'index.db');
    expect(readdirSync(join(folder, 'search'))).toContain('index.db');
    const file = openSync(path, 'r+');
    writeSync(file, Buffer.alloc(64 * 1024, 0xa5), 0, 64 * 1024, 0);
    closeSync(file);
    await start();
    expect((await call(nodeCalls.status)).length).toBeGreaterThan(0);
    await untilFound('hello', 20);
    await until(async () => (await status()).problem === '');
  });

  it('serves on while the disk of its index is full, says so, and goes on by itself', async (context) => {
    await node[Symbol.asyncDispose]();
    const disk = join(folder, 'search');
    const filler = join(disk, 'filler');
    mkdirSync(disk, { recursive: true });
    const problem = mountSmallDisk(disk, 4);
    if (problem !== null) return context.skip(problem);
    try {
      await start();
      await write('hello first', 'first');
      await untilFound('hello', 1);
      fillDisk(filler, 0);
      for (let index = 0; index < 40; index++) await write(`hello ${'much to say '.repeat(20)}${index}`, `r${index}`);
      await until(async () => (await status()).problem.includes('the disk is full'));
      expect((await call(nodeCalls.status)).length).toBeGreaterThan(0);
      const whileFull = await found('hello');
      expect(whileFull.every((key) => key === 'unavailable' || key.startsWith('at:'))).toBe(true);
      rmSync(filler);
      await untilFound('hello', 41);
      expect((await status()).problem).toBe('');
    } finally {
      await node[Symbol.asyncDispose]();
      execFileSync('umount', ['-l', disk]);
      await start();
    }
  }, 120_000);

  it('builds and compares on demand', async () => {
    for (let index = 0; index < 10; index++) await write(`hello ${index}`, `r${index}`);
    await untilFound('hello', 10);
    await call(nodeCalls.searchRebuild, searchSlotRequest.encode({ slot: null }));
    const slotsSeen: number[] = [];
    await until(async () => (await status()).slots.every(({ state }) => state === 'ready'));
    for (let slot = 0; slot < slots; slot++) {
      const verified = searchVerifyAnswer.decode(
        await call(nodeCalls.searchVerify, searchSlotRequest.encode({ slot })),
      );
      expect(verified).toMatchObject({ stored: verified.indexed, sampled: verified.stored, missing: [] });
      slotsSeen.push(verified.stored);
    }
    expect(slotsSeen.reduce((sum, count) => sum + count, 0)).toBe(10);
    expect((await found('hello')).length).toBe(10);
  });
});
