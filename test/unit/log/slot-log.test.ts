/** What both homes of a slot's log have in common; how the one on a server fills up. */
import { rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ByteWriter } from '../../../src/base/bytes.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { seededRandom } from '../../../src/base/seeded-random.ts';
import { type ChunkOutcome, encodeEntryChunk, readChunk, writeChunk } from '../../../src/log/chunk.ts';
import { EmbeddedLog } from '../../../src/log/embedded-log.ts';
import { JetStreamConnection } from '../../../src/log/jetstream-connection.ts';
import { JetStreamLog } from '../../../src/log/jetstream-log.ts';
import { LogSession } from '../../../src/log/log-session.ts';
import { LogTrimmer } from '../../../src/log/log-trimmer.ts';
import type { SlotLog } from '../../../src/log/slot-log.ts';
import { parseShardMap } from '../../../src/shardmap/shard-map.ts';
import { Environment } from '../../../src/storage/environment.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';
import { NatsServer } from '../../support/nats-server.ts';
import { stopAfterEach } from '../../support/stop-after-each.ts';
import { until } from '../../support/until.ts';

const testMsMax = 120_000;
const waitMsMax = 60_000;
const map = parseShardMap({
  epoch: 1,
  slots: 1,
  nodes: { n0: { host: '127.0.0.1', port: 1 } },
  shards: [{ name: 's0', primary: 'n0', slots: ['0'] }],
});
const openedChunk = encodeEntryChunk(0, [
  { kind: 'opened', session: 1, generation: 1, condition: 'complete', cluster: '' },
]);

const resources = stopAfterEach();

function newFolder(): string {
  const folder = makeMemoryFolder('skyshard-slot-log-');
  resources.defer(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function newServer(): Promise<NatsServer> {
  const server = await NatsServer.start();
  resources.defer(() => server[Symbol.asyncDispose]());
  return server;
}

/** Trims the log of slot 0, which has no replicas. */
async function trim(log: SlotLog): Promise<void> {
  const { trimmed } = log as JetStreamLog;
  const options = { ageMsMax: Number.POSITIVE_INFINITY, clock: systemClock, note: () => {} };
  await new LogTrimmer({ logOf: () => trimmed, replicasOf: async () => new Map(), ...options }).trim([0]);
}

/** A log, its environment, and a slot that takes all that it reads. */
class Reader {
  readonly environment: Environment;
  readonly log: SlotLog;
  readonly #connection: JetStreamConnection | null = null;
  nowMs = 0;
  cursor: number;
  readonly texts: string[] = [];

  constructor(folder: string, server: NatsServer | null, cursor = 0, streamBytesMax = 2 ** 26) {
    this.environment = Environment.open({ path: folder, mapBytes: 2 ** 28, tables: ['log'] });
    this.cursor = cursor;
    const table = this.environment.table('log');
    if (server === null) {
      this.log = new EmbeddedLog(table, cursor);
      return;
    }
    const nowMs = (): number => this.nowMs;
    const log = new JetStreamLog({ table, slot: 0, cursor, writer: `w${cursor}`, nowMs, note: () => {} });
    const entries = {
      isPrimary: () => true,
      pause: async () => {},
      opened: () => (cursor === 0 ? openedChunk : null),
      tailLost: () => openedChunk,
      slots: map.slots,
      replicas: () => [],
      mayBeginLate: false,
    };
    this.log = log;
    this.#connection = new JetStreamConnection({
      server: { urls: [server.url], credentialsFile: null, streams: { bytesMax: streamBytesMax, copies: 1 } },
      map: () => map,
      clock: systemClock,
      random: seededRandom(1),
      use: (session) => log.follow(session, entries),
      note: () => {},
    });
  }

  append(...texts: string[]): Promise<ChunkOutcome> {
    const writer = new ByteWriter(64);
    writeChunk(writer, { slot: 0, origin: null, items: texts.map((text) => Buffer.from(text)), marks: [] });
    return new Promise((onOutcome) =>
      this.log.append({ bytes: writer.finish(), entryCount: texts.length, withinMs: 0, onOutcome }),
    );
  }

  /** Reads and enters what there is, in one transaction, and applies it if asked to. */
  take(mayApply = true, mayCommit = true): void {
    const chunks = this.log.read(1, 7);
    const { cursor } = this;
    const textCount = this.texts.length;
    try {
      this.environment.transact(() => {
        for (const read of chunks) {
          const { items } = readChunk(read.bytes);
          const firstSeq = this.log.enter(read, items.length, read.appendMs);
          const text = items.map((item, index) => `${firstSeq + index} ${Buffer.from(item)}`);
          if (mayApply) this.texts.push(...text);
          if (mayApply) this.cursor = firstSeq + items.length - 1;
        }
        this.log.trim(this.cursor);
        if (!mayCommit) throw new Error('aborted on purpose');
      });
      this.log.committed();
      for (const { onOutcome } of chunks) onOutcome({ status: 'durable', batchBytes: 1 });
    } catch {
      this.cursor = cursor;
      this.texts.length = textCount;
      this.log.reload(cursor);
      this.log.takeBack(chunks, { status: 'refused', code: 'StorageFull', message: 'no room' });
    }
  }

  /** Takes what comes until it has entered up to `seq`. */
  async takeUpTo(seq: number): Promise<void> {
    await until(() => {
      if (this.log.readableBytes > 0) this.take();
      return this.log.head >= seq;
    }, waitMsMax);
  }

  async close(): Promise<void> {
    await this.#connection?.[Symbol.asyncDispose]();
    this.log.close({ status: 'refused', code: 'Unavailable', message: 'closed' });
    await this.environment.close();
  }
}

/** Returns one of a log on a server, which it has begun to read. */
async function connectedReader(server: NatsServer, streamBytesMax?: number): Promise<Reader> {
  const reader = new Reader(newFolder(), server, 0, streamBytesMax);
  resources.defer(() => reader.close());
  await until(() => reader.log.problem === null, waitMsMax);
  return reader;
}

describe.each(['in a folder', 'on a server'])('the log of a slot %s', (home) => {
  const serverOfHome = async () => (home === 'on a server' ? await newServer() : null);

  /** Returns a reader that has taken the entry with which its log begins. */
  async function newReader(): Promise<Reader> {
    const server = await serverOfHome();
    const reader = new Reader(newFolder(), server);
    resources.defer(() => reader.close());
    if (server === null) void reader.append('opened');
    await until(() => reader.log.problem === null, waitMsMax);
    await reader.takeUpTo(1);
    return reader;
  }

  it(
    'numbers what was appended without gaps, and goes on above its cursor after it was closed',
    async () => {
      const server = await serverOfHome();
      const folder = newFolder();
      const first = new Reader(folder, server);
      // The slot's own entry begins a log on a server; one in a folder begins with any.
      if (server === null) void first.append('opened');
      await until(() => first.log.readableBytes > 0, waitMsMax);
      await until(() => first.log.problem === null, waitMsMax);
      const outcomes = [first.append('a', 'b'), first.append('c')];
      await first.takeUpTo(4);
      expect((await Promise.all(outcomes)).map(({ status }) => status)).toEqual(['durable', 'durable']);
      expect(first.texts.slice(1)).toEqual(['2 a', '3 b', '4 c']);
      const { cursor } = first;
      await first.close();
      const second = new Reader(folder, server, cursor);
      resources.defer(() => second.close());
      await until(() => second.log.problem === null, waitMsMax);
      expect(second.log.entered(cursor)).toEqual([]);
      void second.append('d');
      await second.takeUpTo(5);
      expect(second.texts).toEqual(['5 d']);
    },
    testMsMax,
  );

  it(
    'gives what an aborted transaction took again, or refuses it, and never twice',
    async () => {
      const reader = await newReader();
      const outcome = reader.append('a');
      await until(() => reader.log.readableBytes > 0, waitMsMax);
      reader.take(true, false);
      expect(reader.log.head).toBe(1);
      reader.texts.length = 0;
      if (home === 'in a folder') {
        expect(await outcome).toMatchObject({ status: 'refused', code: 'StorageFull' });
        void reader.append('a');
      }
      await reader.takeUpTo(2);
      expect(reader.texts).toEqual(['2 a']);
      expect(reader.log.readableBytes).toBe(0);
    },
    testMsMax,
  );

  it(
    'keeps what is entered and not applied',
    async () => {
      const reader = await newReader();
      void reader.append('a', 'b');
      await until(() => reader.log.readableBytes > 0, waitMsMax);
      reader.take(false);
      reader.log.reload(1);
      expect(reader.log.entered(1).map(({ firstSeq, chunk }) => [firstSeq, chunk.items.length])).toEqual([[2, 2]]);
      expect(reader.log.entered(3)).toEqual([]);
    },
    testMsMax,
  );
});

describe('a log of which only the first message is applied', () => {
  it(
    'has that message after it was trimmed, so that it has begun for those who append',
    async () => {
      const server = await newServer();
      const reader = await connectedReader(server);
      await reader.takeUpTo(1);
      await trim(reader.log);
      const session = await LogSession.open(
        { urls: [server.url], credentialsFile: null, streams: null },
        server.url,
        map,
      );
      resources.defer(() => session.close());
      expect(await session.firstOf(0)).toMatchObject({ seq: 1, isFirst: true });
    },
    testMsMax,
  );
});

describe('a stream that is full', () => {
  it(
    'refuses by name, loses nothing, and takes more once what is applied is removed',
    async () => {
      const server = await newServer();
      const reader = await connectedReader(server, 2 ** 20);
      const large = 'x'.repeat(200_000);
      const outcomes: Promise<ChunkOutcome>[] = Array.from({ length: 8 }, () => reader.append(large));
      await until(() => reader.log.problem?.includes('maximum bytes exceeded'), waitMsMax);
      // Those that the stream took have no outcome before they are read.
      expect(await Promise.race(outcomes)).toMatchObject({ status: 'refused', code: 'ResourceExhausted' });
      await until(async () => {
        reader.take();
        await reader.log.refresh();
        return reader.log.readableBytes === 0 && reader.log.readableEntries === 0;
      }, waitMsMax);
      const statuses = (await Promise.all(outcomes)).map(({ status }) => status);
      expect(reader.texts).toHaveLength(1 + statuses.filter((status) => status === 'durable').length);
      expect(statuses).toContain('refused');
      await trim(reader.log);
      const again = reader.append(large);
      await until(() => reader.log.readableBytes > 0, waitMsMax);
      reader.take();
      expect(await again).toMatchObject({ status: 'durable' });
      expect(reader.log.problem).toBeNull();
    },
    testMsMax,
  );
});

describe('a slot that reads slowly', () => {
  it(
    'has a bounded part of its log in memory, and gets the rest later, each entry once',
    async () => {
      const server = await newServer();
      const reader = await connectedReader(server, 2 ** 28);
      const count = 16;
      const text = 'x'.repeat(2 ** 20);
      for (let index = 0; index < count; index++) {
        void reader.append(`${index} ${text}`);
        await until(async () => {
          await reader.log.refresh();
          return reader.log.readableEntries === index + 2;
        }, waitMsMax);
      }
      expect(reader.log.readableBytes).toBeLessThan(12 * 2 ** 20);
      await reader.takeUpTo(count + 1);
      const numbers = reader.texts.slice(1).map((line) => Number(line.split(' ')[1]));
      expect(numbers).toEqual(Array.from({ length: count }, (_unused, index) => index));
    },
    testMsMax,
  );
});

describe('a log whose connection is lost', () => {
  it(
    'refuses what was appended, received and not taken, and gives it again',
    async () => {
      const server = await newServer();
      const reader = await connectedReader(server);
      await reader.takeUpTo(1);
      const outcome = reader.append('a');
      await until(() => reader.log.readableBytes > 0, waitMsMax);
      await server.kill();
      // Whoever waits for it sends it again: it is not known to be taken.
      expect(await outcome).toMatchObject({ status: 'refused', code: 'Unavailable' });
      await server.up();
      await reader.takeUpTo(2);
      expect(reader.texts.at(-1)).toBe('2 a');
    },
    testMsMax,
  );
});

describe('a log on a server that says nothing', () => {
  it(
    'is as far behind as the server was heard of, until it is again',
    async () => {
      const reader = await connectedReader(await newServer());
      await reader.takeUpTo(1);
      await reader.log.refresh();
      expect(reader.log.behindMs(reader.nowMs)).toBe(0);
      // Before a sign of life of this time can have come.
      reader.nowMs = 60_000;
      expect(reader.log.behindMs(reader.nowMs)).toBe(60_000);
      await until(() => reader.log.behindMs(reader.nowMs) === 0, waitMsMax);
    },
    testMsMax,
  );
});
