/**
 * Sends chunks of entries from outside to the logs on a NATS server; for ingest.
 *
 * Owns: the connection. Refuses: a slot whose log has not begun, since the node of the slot is the
 * one that begins it; and what would fill a stream, whose last part is for effects and long work. A
 * chunk counts as appended once the server has acknowledged it.
 */
import type { Clock } from '../base/clock.ts';
import { DataPlaneError, operatingFailure } from '../base/data-plane-error.ts';
import type { SeededRandom } from '../base/seeded-random.ts';
import type { ShardMap } from '../shardmap/shard-map.ts';
import type { LogServerStatus } from '../wire/node-status.ts';
import { type ChunkOutcome, readChunkHead } from './chunk.ts';
import { JetStreamConnection } from './jetstream-connection.ts';
import type { LogServer } from './log-server.ts';
import type { LogSession, StreamUse } from './log-session.ts';
import { splitChunk } from './split-chunk.ts';

export type JetStreamSenderOptions = {
  readonly server: LogServer;
  readonly map: () => ShardMap;
  readonly clock: Clock;
  readonly random: SeededRandom;
  readonly note: (message: string, fields: Record<string, unknown>) => void;
};

/** Of chunks from outside, which wait in the log anyway. Units: bytes. */
const batchBytes = 128 * 2 ** 10;
/** Of a stream: beyond, entries from outside wait until nodes have applied some. */
const shareForOutsideMax = 0.9;
/** How long what is known of a stream holds. Units: ms. */
const useCheckMs = 1_000;

/** What a stream had in use when that was asked, and what was sent to it since. */
type StreamUseThen = { readonly atMs: number; readonly use: Promise<StreamUse>; sentBytes: number };

export class JetStreamSender implements AsyncDisposable {
  readonly #connection: JetStreamConnection;
  readonly #begunSlots = new Set<number>();
  readonly #clock: Clock;
  readonly #useByStream = new Map<string, StreamUseThen>();
  /** Why the last chunk was refused; null once one is taken. */
  #refusal: string | null = null;

  constructor(options: JetStreamSenderOptions) {
    this.#clock = options.clock;
    const use = async (): Promise<void> => {
      this.#begunSlots.clear();
      this.#useByStream.clear();
    };
    this.#connection = new JetStreamConnection({ ...options, use });
  }

  /** What keeps it from the server, or the server from taking more. */
  get status(): LogServerStatus {
    const { status } = this.#connection;
    return { ...status, problem: status.problem ?? this.#refusal };
  }

  /**
   * Appends chunks to the logs of their slots.
   *
   * Returns: an outcome for each, undefined where it is not known and the chunk must be sent again.
   */
  async send(chunks: readonly Uint8Array[]): Promise<(ChunkOutcome | undefined)[]> {
    const { session, problem } = this.#connection;
    if (session === null) throw new DataPlaneError('Unavailable', problem ?? 'the log server is not connected');
    return Promise.all(chunks.map((bytes) => this.#append(session, bytes)));
  }

  async #append(session: LogSession, bytes: Uint8Array): Promise<ChunkOutcome> {
    const { slot } = readChunkHead(bytes);
    try {
      await this.#requireBegun(session, slot);
      await this.#requireRoom(session, slot, bytes.length);
      for (const part of splitChunk(bytes, session.chunkBytesMax)) await session.publish(slot, part);
      this.#refusal = null;
      return { status: 'durable', batchBytes };
    } catch (thrown) {
      const { code, message } = operatingFailure(thrown);
      this.#refusal = message;
      return { status: 'refused', code, message };
    }
  }

  async #requireBegun(session: LogSession, slot: number): Promise<void> {
    if (this.#begunSlots.has(slot)) return;
    if ((await session.firstOf(slot)) === null) {
      throw new DataPlaneError('Unavailable', `the log of slot ${slot} has not begun: its node has not started yet`);
    }
    this.#begunSlots.add(slot);
  }

  async #requireRoom(session: LogSession, slot: number, bytes: number): Promise<void> {
    const { name } = session.streamOf(slot);
    const nowMs = this.#clock.monotonicMs();
    let known = this.#useByStream.get(name);
    if (known === undefined || nowMs - known.atMs > useCheckMs) {
      known = { atMs: nowMs, use: session.useOf(slot), sentBytes: 0 };
      this.#useByStream.set(name, known);
    }
    const use = await known.use;
    known.sentBytes += bytes;
    if (use.bytes + known.sentBytes <= shareForOutsideMax * use.bytesMax) return;
    known.sentBytes -= bytes;
    const message = `the stream ${name} is nearly full: entries from outside wait until nodes have applied what is there`;
    throw new DataPlaneError('ResourceExhausted', message);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection[Symbol.asyncDispose]();
  }
}
