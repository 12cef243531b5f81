/** What a slot notes for the search index: complete, bounded, and never trusted after a gap. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Slot } from '../../../src/slot/slot.ts';
import {
  SearchQueue,
  type SearchQueueMeta,
  searchChangesFrom,
  searchQueueMeta,
} from '../../../src/slot/table/search-queue.ts';
import { slotTables } from '../../../src/slot/table/slot-state.ts';
import { Environment, type Table } from '../../../src/storage/environment.ts';
import { didOf, ReadsNetwork } from '../../integration/reads-network.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';

const post = 'app.bsky.feed.post';
let folder: string;
beforeEach(() => {
  folder = makeMemoryFolder('skyshard-queue-');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function tableOf(network: ReadsNetwork): Table {
  return network.cluster.slots[0]!.environment.table(slotTables.search);
}

/** Changes since the last call, as `collection rkey`, with `-` for what left. */
class Watcher {
  readonly #table: Table;
  #seq: number;

  constructor(table: Table) {
    this.#table = table;
    this.#seq = searchQueueMeta(table)!.nextSeq;
  }

  take(): string[] {
    const { changes, nextSeq } = searchChangesFrom(this.#table, this.#seq, 1_000);
    this.#seq = nextSeq;
    return changes.map(
      ({ collection, rkey, wasAtMs }) => `${wasAtMs === null ? '' : '-'}${collection.split('.').at(-1)} ${rkey}`,
    );
  }
}

describe('the search queue of a slot', () => {
  it('names each record that came, changed, went or became better known', async () => {
    await using network = new ReadsNetwork({ slots: 1, isSearched: true });
    const [alice, bob] = [didOf('alice'), didOf('bob')];
    network.cluster.slots[0]!.run([], 0);
    const watcher = new Watcher(tableOf(network));
    const seen = (): string[] => {
      network.settle();
      return watcher.take();
    };
    network.profile(alice, 'alice.test');
    network.profile(bob, 'bob.test');
    expect(seen()).toContain('profile self');
    const first = network.put(alice, post, { text: 'one', createdAt: network.now }, 'one');
    expect(seen()).toEqual(['post one']);
    network.like(bob, first);
    expect(seen()).toContain('post one');
    network.follow(bob, alice);
    expect(seen()).toContain('profile self');
    network.identity(alice, 'other.test');
    expect(seen()).toContain('profile self');
    network.write(alice, { type: 'actor-takedown', ref: 'x' });
    expect(seen()).toContain('profile self');
    network.delete(first);
    expect(seen()).toEqual(['-post one']);
    network.put(alice, 'app.bsky.feed.generator', { did: bob, displayName: 'f', createdAt: network.now }, 'feed');
    expect(seen()).toEqual(['generator feed']);
    network.put(alice, 'app.bsky.graph.starterpack', { name: 'p', list: first.uri, createdAt: network.now }, 'pack');
    expect(seen()).toEqual(['starterpack pack']);
    network.block(bob, alice);
    expect(seen()).toEqual([]);
  });

  it('says where a post was that another replaced', async () => {
    await using network = new ReadsNetwork({ slots: 1, isSearched: true });
    const alice = didOf('alice');
    const createdAt = '2024-05-06T07:08:09.000Z';
    network.put(alice, post, { text: 'one', createdAt }, 'one');
    network.settle();
    const { nextSeq } = searchQueueMeta(tableOf(network))!;
    network.put(alice, post, { text: 'two', createdAt: '2024-05-07T00:00:00.000Z' }, 'one');
    network.settle();
    const { changes } = searchChangesFrom(tableOf(network), nextSeq, 10);
    expect(changes.map(({ wasAtMs }) => wasAtMs)).toEqual([Date.parse(createdAt), null]);
  });

  it('is none where the node has no index, and leaves the digest as it is', async () => {
    const digests: string[] = [];
    for (const isSearched of [false, true]) {
      await using network = new ReadsNetwork({ slots: 1, isSearched });
      network.profile(didOf('alice'), 'alice.test');
      network.post(didOf('alice'), 'hello');
      network.settle();
      expect(searchQueueMeta(tableOf(network)) !== undefined).toBe(isSearched);
      digests.push(network.cluster.slots[0]!.digest());
    }
    expect(digests[0]).toBe(digests[1]);
  });
});

describe('a folder', () => {
  const open = (isSearched: boolean): Slot =>
    Slot.open({ index: 0, slots: 1, path: join(folder, 'slot'), mapBytes: 2 ** 28, isSearched });
  let nowMs = 1_000;

  /** Opens the slot, runs one transaction, and closes it. */
  async function session(isSearched: boolean): Promise<SearchQueueMeta | undefined> {
    const slot = open(isSearched);
    slot.run([], nowMs++);
    const meta = searchQueueMeta(slot.environment.table(slotTables.search));
    await slot[Symbol.asyncDispose]();
    return meta;
  }

  it('of before begins a queue, which goes on while every session keeps it', async () => {
    expect(await session(false)).toBeUndefined();
    const begun = await session(true);
    expect(begun!.epoch).toBeGreaterThan(0);
    expect((await session(true))!.epoch).toBe(begun!.epoch);
  });

  it('whose log went on without the queue begins another', async () => {
    const begun = await session(true);
    const slot = open(false);
    const { environment } = slot;
    // As a transaction of a version without the queue would.
    environment.transact(() => {
      const table = environment.table(slotTables.search);
      const queue = new SearchQueue(table, { searchChanges: null }, slot.cursor);
      queue.flush({ cursor: slot.cursor + 7, generation: slot.generation, nowMs: 0 });
    });
    await slot[Symbol.asyncDispose]();
    expect((await session(true))!.epoch).toBeGreaterThan(begun!.epoch);
  });
});

describe('the rows of a queue', () => {
  let environment: Environment;
  let table: Table;
  let queue: SearchQueue;
  beforeEach(() => {
    environment = Environment.open({ path: join(folder, 'rows'), mapBytes: 2 ** 26, tables: ['search'] });
    table = environment.table('search');
    queue = new SearchQueue(table, { searchChanges: null }, 0);
    commit(0);
  });
  afterEach(() => environment.close());
  let cursor = 0;

  function commit(changes: number, rowsMax?: number): SearchQueueMeta {
    environment.transact(() => {
      for (let index = 0; index < changes; index++) queue.changes.look(1, post, `r${cursor}x${index}`);
      queue.flush({ cursor: ++cursor, generation: 1, nowMs: 5 }, rowsMax);
    });
    queue.committed();
    return searchQueueMeta(table)!;
  }

  it('are removed once the index has them, and only for its own epoch', () => {
    const { epoch, nextSeq } = commit(10);
    expect(table.rowCount).toBe(11);
    queue.trimBelow(epoch + 1, nextSeq);
    commit(0);
    expect(table.rowCount).toBe(11);
    queue.trimBelow(epoch, nextSeq - 4);
    commit(0);
    expect(table.rowCount).toBe(5);
    queue.trimBelow(epoch, nextSeq + 1_000);
    commit(1);
    expect(searchChangesFrom(table, nextSeq, 10).changes.length).toBe(1);
    expect(table.rowCount).toBe(2);
  });

  it('past the bound are dropped with their epoch, some in each transaction', () => {
    const before = commit(50, 100);
    const after = commit(51, 100);
    expect(after.epoch).toBeGreaterThan(before.epoch);
    expect(after.firstSeq).toBe(after.nextSeq);
    expect(searchChangesFrom(table, after.firstSeq, 10).changes).toEqual([]);
    commit(0);
    expect(table.rowCount).toBe(1);
  });

  it('of a transaction that is taken back are not there', () => {
    const { nextSeq } = commit(1);
    expect(() =>
      environment.transact(() => {
        queue.changes.look(1, post, 'lost');
        queue.flush({ cursor: 99, generation: 1, nowMs: 0 });
        throw new Error('taken back');
      }),
    ).toThrow('taken back');
    queue.reload();
    expect(commit(0).nextSeq).toBe(nextSeq);
    expect(commit(1).nextSeq).toBe(nextSeq + 1);
  });

  it('begin anew with the generation of the slot', () => {
    const { epoch } = commit(1);
    environment.transact(() => queue.flush({ cursor: ++cursor, generation: 2, nowMs: 0 }));
    expect(searchQueueMeta(table)!.epoch).toBeGreaterThan(epoch);
    expect(searchChangesFrom(table, searchQueueMeta(table)!.firstSeq, 9).changes).toEqual([]);
  });
});
