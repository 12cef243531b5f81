/** The remote log: chunk sizes, order through faults, backpressure, and closing. */
import { afterEach, describe, expect, it } from 'vitest';
import { DataPlaneError } from '../../../src/base/data-plane-error.ts';
import type { Entry } from '../../../src/entry/entry.ts';
import { decodeEntry } from '../../../src/entry/entry-codec.ts';
import { type ChunkOutcome, decodeAppend, encodeOutcomes, readChunk } from '../../../src/log/chunk.ts';
import { EntriesRefused, refusalOf } from '../../../src/log/entries-refused.ts';
import { entryBytesMax } from '../../../src/log/entry-limit.ts';
import { RemoteLog, type RemoteLogOptions } from '../../../src/log/remote-log.ts';
import { parseShardMap } from '../../../src/shardmap/shard-map.ts';
import { slotOf } from '../../../src/shardmap/slot-of.ts';
import type { NodeCall, NodeCaller } from '../../../src/wire/node-caller.ts';
import { until } from '../../support/until.ts';

const map = parseShardMap({
  epoch: 1,
  slots: 4,
  nodes: { a: { host: '127.0.0.1', port: 1 }, b: { host: '127.0.0.1', port: 2 } },
  shards: [
    { name: 'first', primary: 'a', slots: ['0-1'] },
    { name: 'second', primary: 'b', slots: ['2-3'] },
  ],
});

type Fault = 'refuse' | 'lose-call' | 'lose-answer' | 'hold';

/** Records what is appended to each slot, and applies one of `faults` to each call. */
class FaultyNodes implements NodeCaller {
  readonly revsBySlot = new Map<number, string[]>();
  readonly calls: { node: string; entryCount: number }[] = [];
  readonly faults: Fault[] = [];
  /** Reported by every slot. */
  batchBytes = 65_536;
  /** Revs that nodes call malformed, and how: their chunk, or the whole call. */
  readonly poison = new Map<string, 'chunk' | 'call'>();
  /** Of how many slots each is one: a chunk is refused that holds what is another one's. */
  slots = 4;
  #release: (() => void)[] = [];

  async call({ node, payload }: NodeCall): Promise<Uint8Array> {
    const fault = this.faults.shift();
    const chunks = decodeAppend(payload).map((bytes) => readChunk(bytes));
    this.calls.push({ node, entryCount: chunks.reduce((count, chunk) => count + chunk.items.length, 0) });
    if (fault === 'hold') await new Promise<void>((resolve) => this.#release.push(resolve));
    if (fault === 'lose-call') throw new DataPlaneError('Unavailable', 'lost on the way');
    const outcomes = chunks.map(({ slot, items }, index): ChunkOutcome => {
      // Only the first slot of a call is refused.
      if (fault === 'refuse' && index === 0) return { status: 'refused', code: 'StorageFull', message: 'no room' };
      const isOf = (entry: Entry): boolean => !('did' in entry) || slotOf(entry.did, this.slots) === slot;
      if (!items.every((item) => isOf(decodeEntry(item))))
        return { status: 'refused', code: 'WrongEpoch', message: 'the slot has split' };
      const revs = this.revsBySlot.get(slot) ?? [];
      this.revsBySlot.set(slot, revs);
      const faults = items.map((item) => this.poison.get(revOf(decodeEntry(item))));
      if (faults.includes('call')) throw new DataPlaneError('InvalidArgument', 'a malformed call');
      if (faults.includes('chunk')) return { status: 'refused', code: 'InvalidArgument', message: 'malformed' };
      for (const item of items) revs.push(revOf(decodeEntry(item)));
      return { status: 'durable', batchBytes: this.batchBytes };
    });
    if (fault === 'lose-answer') throw new DataPlaneError('DeadlineExceeded', 'no answer came');
    return encodeOutcomes(outcomes);
  }

  get heldCount(): number {
    return this.#release.length;
  }

  release(): void {
    for (const release of this.#release.splice(0)) release();
  }
}

function revOf(entry: Entry): string {
  return entry.kind === 'sync' ? entry.rev : '';
}

const logs: RemoteLog[] = [];

function openLog(nodes: FaultyNodes, options: Partial<RemoteLogOptions> = {}): RemoteLog {
  const log = new RemoteLog({ caller: nodes, map: () => map, ...options });
  logs.push(log);
  return log;
}

afterEach(async () => {
  for (const log of logs.splice(0)) await log[Symbol.asyncDispose]();
});

/** A DID for each slot. */
const didBySlot = [0, 1, 2, 3].map((slot) => {
  for (let number = 0; ; number++)
    if (slotOf(`did:web:n${number}.example`, 4) === slot) return `did:web:n${number}.example`;
});

function append(log: RemoteLog, slot: number, rev: string): Promise<void> {
  const did = didBySlot[slot]!;
  return log.append(did, { kind: 'sync', did, rev, eventMs: 0 });
}

/** Returns the revs in the order of their first appends. */
function firstTimes(revs: readonly string[]): string[] {
  return [...new Set(revs)];
}

describe('the remote log', () => {
  it('keeps the order of each account when slots are doubled while entries wait and are on their way', async () => {
    const nodes = new FaultyNodes();
    const doubledJson = {
      epoch: 2,
      slots: 8,
      doubling: true,
      nodes: { a: { host: '127.0.0.1', port: 1 }, b: { host: '127.0.0.1', port: 2 } },
      shards: [
        { name: 'first', primary: 'a', slots: ['0-1', '4-5'] },
        { name: 'second', primary: 'b', slots: ['2-3', '6-7'] },
      ],
    };
    let inForce = map;
    const log = openLog(nodes, { map: () => inForce });
    // Of each slot one that stays, and one that goes to its child.
    const dids = Array.from({ length: 8 }, (_unused, slot) => {
      for (let number = 0; ; number++)
        if (slotOf(`did:web:n${number}.example`, 8) === slot) return `did:web:n${number}.example`;
    });
    const appends: Promise<void>[] = [];
    let count = 0;
    const appendSome = (): void => {
      for (let turn = 0; turn < 20; turn++, count++)
        for (const [slot, did] of dids.entries())
          appends.push(log.append(did, { kind: 'sync', did, rev: `${slot} ${count}`, eventMs: 0 }));
    };
    nodes.faults.push('hold', 'hold', 'hold', 'hold');
    appendSome();
    await until(() => nodes.heldCount === 4);
    appendSome();
    // Those that are on their way come to slots that have split, and are refused.
    nodes.slots = 8;
    appendSome();
    inForce = parseShardMap(doubledJson);
    appendSome();
    nodes.release();
    await until(() => nodes.calls.length > 4);
    appendSome();
    await Promise.all(appends);
    const all = Array.from({ length: count }, (_unused, number) => number);
    for (let slot = 0; slot < 8; slot++)
      expect(nodes.revsBySlot.get(slot), `slot ${slot}`).toEqual(all.map((number) => `${slot} ${number}`));
  });

  it('makes chunks as large as the batches of their slots', async () => {
    const nodes = new FaultyNodes();
    const log = openLog(nodes);
    const countOfChunk = async (): Promise<number> => {
      const from = nodes.calls.length;
      await Promise.all(Array.from({ length: 8_000 }, (_unused, number) => append(log, 0, `rev ${number}`)));
      return Math.max(...nodes.calls.slice(from).map(({ entryCount }) => entryCount));
    };
    const small = await countOfChunk();
    nodes.batchBytes = 3 * 65_536;
    await append(log, 0, 'reported');
    const large = await countOfChunk();
    expect(small).toBeLessThan(3_000);
    expect(large / small).toBeGreaterThan(2.9);
    expect(large / small).toBeLessThan(3.1);
    expect(log.pendingBytes).toBe(0);
  });

  it('keeps the order of each slot through refusals, lost calls and lost answers', async () => {
    const nodes = new FaultyNodes();
    const retries: string[] = [];
    const log = openLog(nodes, { onRetry: (_node, { code, message }) => void retries.push(`${code} ${message}`) });
    nodes.faults.push('refuse', 'lose-call', 'lose-answer', 'refuse', 'lose-answer');
    const meant = didBySlot.map((): string[] => []);
    const appends: Promise<void>[] = [];
    for (let number = 0; number < 200; number++) {
      const slot = number % 4;
      const rev = String(number).padStart(4, '0');
      meant[slot]!.push(rev);
      appends.push(append(log, slot, rev));
      if (number % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(appends);
    expect(nodes.faults).toEqual([]);
    for (const [slot, revs] of meant.entries()) expect(firstTimes(nodes.revsBySlot.get(slot)!)).toEqual(revs);
    expect(log.pendingBytes).toBe(0);
    expect(retries).toContainEqual(expect.stringContaining('StorageFull no room'));
    expect(retries).toContainEqual(expect.stringContaining('DeadlineExceeded'));
  });

  it('has one call for each slot in flight, and sends later entries in the next', async () => {
    const nodes = new FaultyNodes();
    const log = openLog(nodes);
    nodes.faults.push('hold');
    const first = append(log, 0, 'r1');
    await until(() => nodes.heldCount === 1);
    const others = ['r2', 'r3', 'r4'].map((rev) => append(log, 0, rev));
    const elsewhere = append(log, 2, 'r5');
    await elsewhere;
    expect(nodes.calls).toEqual([
      { node: 'a', entryCount: 1 },
      { node: 'b', entryCount: 1 },
    ]);
    nodes.release();
    await Promise.all([first, ...others]);
    expect(nodes.calls.at(-1)).toEqual({ node: 'a', entryCount: 3 });
  });

  it('makes its callers wait while too much is in flight', async () => {
    const nodes = new FaultyNodes();
    const log = openLog(nodes, { pendingBytesMax: 100 });
    nodes.faults.push('hold');
    const appends = Array.from({ length: 10 }, (_unused, index) => append(log, 0, `r${index}`));
    expect(log.pendingBytes).toBeGreaterThan(100);
    let isReady = false;
    const ready = log.waitForCapacity().then(() => {
      isReady = true;
    });
    await until(() => nodes.heldCount === 1);
    expect(isReady).toBe(false);
    nodes.release();
    await Promise.all([...appends, ready]);
    expect(isReady).toBe(true);
    await log.waitForCapacity();
  });

  it('limits the size of calls when many entries wait for one slot', async () => {
    const nodes = new FaultyNodes();
    const log = openLog(nodes);
    const revs = Array.from({ length: 120 }, (_unused, index) => `${1000 + index}${'x'.repeat(100_000)}`);
    await Promise.all(revs.map((rev) => append(log, 0, rev)));
    expect(nodes.revsBySlot.get(0)).toEqual(revs);
    expect(Math.max(...nodes.calls.map(({ entryCount }) => entryCount))).toBeLessThanOrEqual(40);
  });

  it('rejects entries that are not durable when it is closed, and resumes waiting callers', async () => {
    const nodes = new FaultyNodes();
    const log = openLog(nodes, { pendingBytesMax: 10 });
    nodes.faults.push('hold');
    const codes = ['r1', 'r2'].map((rev) =>
      append(log, 0, rev).then(
        () => 'durable',
        (error: DataPlaneError) => error.code,
      ),
    );
    await until(() => nodes.heldCount === 1);
    const later = append(log, 0, 'r3').then(
      () => 'durable',
      (error: DataPlaneError) => error.code,
    );
    const ready = log.waitForCapacity();
    await log[Symbol.asyncDispose]();
    await ready;
    expect(await later).toBe('Unavailable');
    nodes.release();
    // Entries in flight when the log closed may still be acknowledged.
    expect(await Promise.all(codes)).toEqual(['durable', 'durable']);
    await expect(append(log, 0, 'r4')).rejects.toMatchObject({ code: 'Unavailable' });
  });
});

describe('an entry that no node will ever take', () => {
  const outcomeOf = (appended: Promise<void>, did: string): Promise<string> =>
    appended.then(
      () => 'durable',
      (error: unknown) =>
        refusalOf(error, did)?.reason ?? (error instanceof EntriesRefused ? 'another' : String(error)),
    );

  it('is refused alone when it fits no call, and those after it go on', async () => {
    const nodes = new FaultyNodes();
    const refused: string[] = [];
    const log = openLog(nodes, { onRefused: (node, { reason }) => void refused.push(`${node} ${reason}`) });
    const did = didBySlot[0]!;
    const appends = ['r1', 'x'.repeat(entryBytesMax), 'r2'].map((rev) => append(log, 0, rev));
    expect(await Promise.all(appends.map((each) => outcomeOf(each, did)))).toEqual([
      'durable',
      'entry-too-large',
      'durable',
    ]);
    expect(nodes.revsBySlot.get(0)).toEqual(['r1', 'r2']);
    expect(refused).toEqual(['a entry-too-large']);
    expect(log.pendingBytes).toBe(0);
  });

  it.each(['chunk', 'call'] as const)(
    'is found within its %s and passed; the others keep their order',
    async (fault) => {
      const nodes = new FaultyNodes();
      const refused: string[] = [];
      const log = openLog(nodes, { onRefused: (_node, { dids }) => void refused.push(...dids), pendingBytesMax: 50 });
      nodes.poison.set('r3', fault);
      const own = didBySlot[0]!;
      const appends = ['r1', 'r2', 'r3', 'r4', 'r5'].map((rev) => append(log, 0, rev));
      const elsewhere = append(log, 1, 'r6');
      expect(new Set(await Promise.all(appends.map((each) => outcomeOf(each, own))))).toEqual(
        new Set(['entry-malformed']),
      );
      await elsewhere;
      expect(nodes.revsBySlot.get(0)).toEqual(['r1', 'r2', 'r4', 'r5']);
      expect(nodes.revsBySlot.get(1)).toEqual(['r6']);
      expect(refused).toEqual([own]);
      expect(log.pendingBytes).toBe(0);
      await log.waitForCapacity();
    },
  );

  it('is not refused while the node refuses everything, which is its own fault', async () => {
    const nodes = new FaultyNodes();
    const log = openLog(nodes);
    const revs = Array.from({ length: 20 }, (_unused, index) => `r${index}`);
    for (const rev of revs) nodes.poison.set(rev, 'chunk');
    const appended = Promise.allSettled(revs.map((rev) => append(log, 0, rev)));
    let calls = 0;
    await until(() => {
      calls = nodes.calls.length;
      return calls > 20;
    });
    // The node was mended.
    nodes.poison.clear();
    await appended;
    expect(nodes.revsBySlot.get(0)!.length).toBe(20 - 8);
    expect(log.pendingBytes).toBe(0);
  });
});

it('entries that wait for a node go where a newer map sends their slot, in their order', async () => {
  const nodes = new FaultyNodes();
  nodes.faults.push('lose-call', 'lose-call', 'lose-call');
  let current = map;
  const log = openLog(nodes, { map: () => current });
  const before = append(log, 0, 'r1');
  await until(() => nodes.calls.length > 0);
  const primaryBySlot = ['b', ...map.primaryBySlot.slice(1)];
  current = { ...map, epoch: 2, primaryBySlot };
  await Promise.all([before, append(log, 0, 'r2')]);
  await append(log, 0, 'r3');
  expect(nodes.revsBySlot.get(0)).toEqual(['r1', 'r2', 'r3']);
  expect(nodes.calls[0]!.node).toBe('a');
  expect(nodes.calls.at(-1)!.node).toBe('b');
  expect(log.pendingBytes).toBe(0);
});
