/** What the primary of slots removes from their logs on a server, and whom it leaves behind. */
import { describe, expect, it } from 'vitest';
import type { ReceivedMessage } from '../../src/log/log-message.ts';
import { LogSession } from '../../src/log/log-session.ts';
import { goneError, isWholeAfter } from '../../src/log/log-start.ts';
import { type LeftBehind, LogTrimmer, type ReplicaPosition } from '../../src/log/log-trimmer.ts';
import { wholeMessages } from '../../src/log/whole-messages.ts';
import { parseShardMap } from '../../src/shardmap/shard-map.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { NatsServer } from '../support/nats-server.ts';
import { stopAfterEach } from '../support/stop-after-each.ts';

const testMsMax = 120_000;
const hourMs = 3_600_000;
/** Slots 0 and 4 are in one stream. */
const slots = 8;
const map = parseShardMap({
  epoch: 1,
  slots,
  nodes: { n0: { host: '127.0.0.1', port: 1 } },
  shards: [{ name: 's0', primary: 'n0', slots: ['0-7'] }],
});
const streamBytes = 2 ** 20;
const sixteenth = Buffer.alloc(streamBytes / 16);

const resources = stopAfterEach();

/** The logs of slots 0 and 4, whose primary has applied all, and what it is told of replicas. */
class Trimming {
  readonly session: LogSession;
  readonly notes: string[] = [];
  readonly clock = new ManualClock(Date.now());
  readonly #seqs = new Map<number, number[]>();
  readonly #replicas = new Map<number, Map<string, ReplicaPosition>>();
  readonly #trimmer: LogTrimmer;

  constructor(session: LogSession, ageMsMax: number) {
    this.session = session;
    this.#trimmer = new LogTrimmer({
      logOf: (slot) => {
        const { created } = session.streamOf(slot);
        return { session, created, seq: this.#seqs.get(slot)!.at(-1)! };
      },
      replicasOf: async (asked) =>
        new Map(asked.map((slot) => [slot, [...(this.#replicas.get(slot)?.values() ?? [])]])),
      ageMsMax,
      clock: this.clock,
      note: (message) => void this.notes.push(message),
    });
  }

  static async start(ageMsMax = Number.POSITIVE_INFINITY): Promise<Trimming> {
    const server = await NatsServer.start();
    resources.defer(() => server[Symbol.asyncDispose]());
    const streams = { bytesMax: 4 * streamBytes, copies: 1 };
    const session = await LogSession.open({ urls: [server.url], credentialsFile: null, streams }, server.url, map);
    resources.defer(() => session.close());
    return new Trimming(session, ageMsMax);
  }

  /** Appends a message of a sixteenth of a stream `count` times. */
  async append(slot: number, count: number): Promise<void> {
    const seqs = this.#seqs.get(slot) ?? [];
    this.#seqs.set(slot, seqs);
    for (let at = 0; at < count; at++) seqs.push(await this.session.publish(slot, sixteenth));
  }

  seqOf(slot: number, index: number): number {
    return this.#seqs.get(slot)![index]!;
  }

  /** A replica has the first `count` messages, or nothing; or does not answer any more. */
  replica(node: string, slot: number, count: number | null, isKnown = true): void {
    const { created } = this.session.streamOf(slot);
    const ofSlot = this.#replicas.get(slot) ?? new Map();
    const at = count === null ? null : { created, seq: count === 0 ? 0 : this.seqOf(slot, count - 1) };
    this.#replicas.set(slot, ofSlot.set(node, { node, at, isKnown }));
  }

  leftBehind(slot: number): LeftBehind {
    return this.#trimmer.leftBehind(slot);
  }

  /** The map does not name a replica any more. */
  removeReplica(node: string, slot: number): void {
    this.#replicas.get(slot)!.delete(node);
  }

  async rounds(count: number): Promise<void> {
    for (let round = 0; round < count; round++) await this.#trimmer.trim([...this.#seqs.keys()]);
  }

  /** Returns the place of the first message that is left, among all that were appended; from 0. */
  async firstLeft(slot: number): Promise<number> {
    const first = await this.session.firstOf(slot);
    return this.#seqs.get(slot)!.indexOf(first!.seq);
  }
}

describe('the log of a slot', () => {
  it(
    'is trimmed up to what its replicas have, also where one does not answer any more',
    async () => {
      const trimming = await Trimming.start();
      await trimming.append(0, 8);
      trimming.replica('n1', 0, null);
      trimming.replica('n2', 0, 6);
      await trimming.rounds(3);
      expect(await trimming.firstLeft(0)).toBe(0);
      trimming.replica('n1', 0, 4);
      await trimming.rounds(1);
      expect(await trimming.firstLeft(0)).toBe(3);
      trimming.replica('n2', 0, null, false);
      trimming.replica('n1', 0, 8);
      await trimming.rounds(3);
      expect(await trimming.firstLeft(0)).toBe(5);
      expect(trimming.notes).toEqual([]);
    },
    testMsMax,
  );

  it(
    'that is nearly full leaves behind the replica that is furthest behind, then the next',
    async () => {
      const trimming = await Trimming.start();
      await trimming.append(0, 4);
      await trimming.append(4, 8);
      trimming.replica('n1', 0, 3);
      trimming.replica('n2', 0, 2);
      trimming.replica('n1', 4, 2);
      trimming.replica('n2', 4, 6);
      await trimming.rounds(2);
      // What came only now is retained for all.
      await trimming.append(0, 1);
      await trimming.rounds(1);
      expect(trimming.notes).toEqual([]);
      await trimming.append(0, 1);
      await trimming.rounds(1);
      expect([await trimming.firstLeft(0), await trimming.firstLeft(4)]).toEqual([2, 1]);
      expect(trimming.notes).toEqual(['replica n2 of slot 0 is left behind: the log is nearly full']);
      await trimming.rounds(3);
      expect([await trimming.firstLeft(0), await trimming.firstLeft(4)]).toEqual([2, 1]);
      await trimming.append(0, 4);
      await trimming.rounds(1);
      expect(trimming.notes.slice(1)).toEqual([
        'replica n1 of slot 0 is left behind: the log is nearly full',
        'replica n1 of slot 4 is left behind: the log is nearly full',
      ]);
      expect([await trimming.firstLeft(0), await trimming.firstLeft(4)]).toEqual([5, 5]);
      expect(trimming.leftBehind(0)).toEqual({ nodes: ['n1', 'n2'], count: 2 });
      expect(trimming.leftBehind(4)).toEqual({ nodes: ['n1'], count: 1 });
      trimming.removeReplica('n2', 0);
      await trimming.rounds(1);
      expect(trimming.leftBehind(0)).toEqual({ nodes: ['n1'], count: 2 });
    },
    testMsMax,
  );

  it(
    'leaves nobody behind for what has just come, and waits for a replica that has begun again',
    async () => {
      const trimming = await Trimming.start();
      await trimming.append(0, 13);
      trimming.replica('n1', 0, 1);
      await trimming.rounds(2);
      expect(await trimming.firstLeft(0)).toBe(0);
      await trimming.rounds(1);
      expect(await trimming.firstLeft(0)).toBe(12);
      expect(trimming.notes).toEqual(['replica n1 of slot 0 is left behind: the log is nearly full']);
      await trimming.append(0, 4);
      trimming.replica('n1', 0, 14);
      expect(trimming.leftBehind(0)).toEqual({ nodes: ['n1'], count: 1 });
      await trimming.rounds(3);
      expect(await trimming.firstLeft(0)).toBe(13);
      expect(trimming.notes).toHaveLength(1);
      expect(trimming.leftBehind(0)).toEqual({ nodes: [], count: 1 });
    },
    testMsMax,
  );

  it(
    'leaves behind a replica that lacks what is too old',
    async () => {
      const trimming = await Trimming.start(hourMs);
      await trimming.append(0, 6);
      trimming.replica('n1', 0, 2);
      trimming.replica('n2', 0, 6);
      await trimming.rounds(3);
      expect(await trimming.firstLeft(0)).toBe(1);
      trimming.clock.advance(2 * hourMs);
      await trimming.rounds(1);
      expect(await trimming.firstLeft(0)).toBe(5);
      expect(trimming.notes).toEqual(['replica n1 of slot 0 is left behind: what it lacks is too old']);
      await trimming.rounds(3);
      expect(trimming.notes).toHaveLength(1);
    },
    testMsMax,
  );
});

describe('a log that is trimmed while a replica reads it', () => {
  /** Reads some messages, has the log trimmed up to a seq, and reads on; returns the seqs. */
  async function readThrough(trimSeq: number, isLate: boolean): Promise<number[]> {
    const { session } = await Trimming.start();
    await session.publish(0, Buffer.alloc(0), { isFirst: true });
    // More than a reader is sent before it has taken some.
    const lastSeq = 301;
    for (let seq = 2; seq <= lastSeq; seq++) await session.publish(0, Buffer.from('small'));
    const messages = await session.read(0, { seq: 1 });
    resources.defer(() => messages.close());
    const { promise: isTrimmed, resolve: goOn } = Promise.withResolvers<void>();
    async function* waiting(): AsyncGenerator<ReceivedMessage> {
      for await (const message of messages) {
        if (message.seq === 31) await isTrimmed;
        yield message;
      }
    }
    const start = { seq: 0, timeMs: 0 };
    const whole = wholeMessages(waiting(), start, {
      isLate: () => isLate,
      isWholeAfter: (last) => isWholeAfter(session, 0, last),
      goneError: () => goneError(0),
    });
    const seqs: number[] = [];
    for await (const { seq } of whole) {
      seqs.push(seq);
      if (seq === 30) {
        await session.purge(0, trimSeq);
        goOn();
      }
      if (seq === lastSeq) break;
    }
    return seqs;
  }

  it(
    'is refused by the replica once it has lost what would come next',
    async () => {
      // Unchecked, it would go on as if nothing had been there.
      const seqs = await readThrough(250, false);
      expect(seqs.at(-1)).toBe(301);
      expect(seqs.length).toBeLessThan(301);
      await expect(readThrough(250, true)).rejects.toThrow('has lost what this replica needs next');
    },
    testMsMax,
  );

  it(
    'goes on where it has lost only what was read',
    async () => {
      expect(await readThrough(25, true)).toHaveLength(301);
    },
    testMsMax,
  );
});
