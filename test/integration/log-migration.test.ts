/** Logs of slots on their way to a NATS server and back: what a kill leaves, what is refused. */
import { rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { CommitEntry } from '../../src/entry/entry.ts';
import { encodeEntryChunk } from '../../src/log/chunk.ts';
import { putLeftPosition, readLeftPosition, readPosition, removePosition } from '../../src/log/log-position.ts';
import { LogSession } from '../../src/log/log-session.ts';
import { carryToFolder, carryToServer, planSlotLog, type SlotLogCarried } from '../../src/node/log-migration.ts';
import { parseShardMap } from '../../src/shardmap/shard-map.ts';
import { Slot } from '../../src/slot/slot.ts';
import { slotTableNames, slotTables } from '../../src/slot/table/slot-state.ts';
import { Environment, type Table } from '../../src/storage/environment.ts';
import { makeMemoryFolder } from '../support/memory-folder.ts';
import { NatsServer } from '../support/nats-server.ts';
import { recordOp } from '../support/record-op.ts';
import { stopAfterEach } from '../support/stop-after-each.ts';

const map = parseShardMap({
  epoch: 1,
  slots: 1,
  nodes: { n0: { host: '127.0.0.1', port: 1 } },
  shards: [{ name: 's0', primary: 'n0', slots: ['0'] }],
});
const mapBytes = 2 ** 28;
const timeMs = Date.UTC(2025, 0, 1);

const resources = stopAfterEach();

function chunkOf(rkey: string): Uint8Array {
  const ops = [recordOp({ collection: 'app.bsky.graph.follow', rkey }, { subject: 'did:web:b.example' })];
  const rev = `3k222222222${rkey}a`;
  const entry: CommitEntry = { kind: 'commit', did: 'did:web:a.example', rev, since: null, eventMs: timeMs, ops };
  return encodeEntryChunk(0, [entry]);
}

/** A slot's folder with entries of its own, and a session with a server. */
class Carried {
  readonly place = { slot: 0, slots: 1, path: makeMemoryFolder('skyshard-migration-'), mapBytes };
  readonly #server: NatsServer;

  private constructor(server: NatsServer) {
    this.#server = server;
    resources.defer(() => rmSync(this.place.path, { recursive: true, force: true }));
  }

  static async start(): Promise<Carried> {
    const server = await NatsServer.start();
    resources.defer(() => server[Symbol.asyncDispose]());
    const carried = new Carried(server);
    await carried.#fill();
    return carried;
  }

  /** Connects anew, as each command does. */
  async connect(): Promise<LogSession> {
    const { url } = this.#server;
    const logServer = { urls: [url], credentialsFile: null, streams: { bytesMax: 2 ** 26, copies: 1 } };
    const session = await LogSession.open(logServer, url, map);
    resources.defer(() => session.close());
    return session;
  }

  async toServer(): Promise<SlotLogCarried> {
    return carryToServer(this.place, await this.connect());
  }

  async toFolder(): Promise<SlotLogCarried> {
    return carryToFolder(this.place, await this.connect(), systemClock);
  }

  async #fill(): Promise<void> {
    const opening = { session: 1, generation: 1, condition: 'complete', cluster: '' } as const;
    const { slot: index, ...place } = this.place;
    const slot = Slot.open({ index, ...place, opening });
    for (const rkey of ['2', '3', '4']) slot.run([chunkOf(rkey)], timeMs);
    await slot[Symbol.asyncDispose]();
  }

  /** Returns the digest of the slot, opened as a node without a server does. */
  async digest(): Promise<string> {
    const { slot: index, ...place } = this.place;
    const slot = Slot.open({ index, ...place });
    const digest = slot.digest();
    await slot[Symbol.asyncDispose]();
    return digest;
  }

  /** Does work on the table of the log, in a transaction. */
  async inTable<Result>(work: (table: Table) => Result): Promise<Result> {
    const environment = Environment.open({ path: this.place.path, mapBytes, tables: slotTableNames });
    const result = environment.transact(() => work(environment.table(slotTables.log)));
    await environment.close();
    return result;
  }

  isOnServer(): Promise<boolean> {
    return this.inTable((table) => readPosition(table) !== undefined);
  }
}

describe('the log of a slot', () => {
  it('goes to a server and back, with what was appended there, and nothing is left on the server', async () => {
    const { place, session, one, other } = await startBoth();
    const before = await one.digest();
    expect(await planSlotLog(place, session)).toEqual({ home: 'folders', cursor: 4, waiting: 0 });
    expect(await one.toServer()).toEqual({ cursor: 4, applied: 0, wasThere: false });
    expect(await one.isOnServer()).toBe(true);
    await expect(one.digest()).rejects.toMatchObject({ code: 'ConfigInvalid' });
    // Carried once more, it stays as it is.
    expect(await one.toServer()).toEqual({ cursor: 4, applied: 0, wasThere: true });

    await session.publish(0, chunkOf('5'));
    expect(await planSlotLog(place, session)).toEqual({ home: 'server', cursor: 4, waiting: 1 });
    expect(await one.toFolder()).toEqual({ cursor: 5, applied: 1, wasThere: false });
    expect(await session.firstOf(0)).toBeNull();
    expect(await one.isOnServer()).toBe(false);
    const after = await one.digest();
    expect(after).not.toBe(before);

    // Another slot that took the same, always in its folder, is equal.
    const { slot: index, ...otherPlace } = other.place;
    const slot = Slot.open({ index, ...otherPlace });
    slot.run([chunkOf('5')], timeMs);
    expect(slot.digest()).toBe(after);
    await slot[Symbol.asyncDispose]();
  });

  it('that was marked on the server, when all ended, goes on there from the mark', async () => {
    const { place, session, one } = await startBoth();
    await one.toServer();
    const mark = await session.firstOf(0);
    // The folder as it was before: its transaction is all that came after the mark.
    await one.inTable(removePosition);
    await session.publish(0, chunkOf('5'));
    expect(await one.toServer()).toMatchObject({ wasThere: false });
    expect(await one.inTable((table) => readPosition(table)?.seq)).toBe(mark?.seq);
    expect(await planSlotLog(place, session)).toMatchObject({ waiting: 1 });
  });

  it('that was home again, when all ended, leaves nothing on the server the next time', async () => {
    const { session, one } = await startBoth();
    await one.toServer();
    const seq = await one.inTable((table) => {
      const left = readPosition(table)!.seq;
      removePosition(table);
      putLeftPosition(table, left);
      return left;
    });
    expect((await session.firstOf(0))?.seq).toBe(seq);
    expect(await one.toFolder()).toEqual({ cursor: 4, applied: 0, wasThere: true });
    expect(await session.firstOf(0)).toBeNull();
    expect(await one.inTable(readLeftPosition)).toBeUndefined();
  });

  it('is refused where the server has one of another folder, or has lost what the slot applied', async () => {
    const { session, one } = await startBoth();
    await session.publish(0, chunkOf('5'));
    await expect(one.toServer()).rejects.toMatchObject({
      code: 'ConfigInvalid',
      hint: expect.stringContaining('nats stream purge skyshard-cluster-0 --subject skyshard-cluster.0.0'),
    });
    expect(await one.isOnServer()).toBe(false);
    await session.purge(0, 2 ** 40);
    await one.toServer();
    await session.purge(0, 2 ** 40);
    await expect(one.toFolder()).rejects.toMatchObject({
      code: 'ConfigInvalid',
      message: expect.stringContaining('the server has lost what slot 0 had applied'),
    });
    expect(await one.isOnServer()).toBe(true);
  });
});

/** Returns two slots with the same entries, and a session with a server. */
async function startBoth(): Promise<{ place: Carried['place']; session: LogSession; one: Carried; other: Carried }> {
  const one = await Carried.start();
  const other = await Carried.start();
  return { place: one.place, session: await one.connect(), one, other };
}
