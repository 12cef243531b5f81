/**
 * Sends chunks of entries from outside to the logs on a NATS server; for ingest.
 *
 * Owns: the connection. Refuses: a slot whose log has not begun, since the node of the slot is the
 * one that begins it; and what would fill a stream, whose last part is for effects and long work. A
 * chunk counts as appended once the server has acknowledged it, and had no note by then that the
 * slot splits: what is of the child is passed behind a split, and this process may have cut its
 * entries without knowing of it.
 */
import type { Clock } from '../base/clock.ts';
import { DataPlaneError, operatingFailure } from '../base/data-plane-error.ts';
import type { SeededRandom } from '../base/seeded-random.ts';
import type { ShardMap } from '../shardmap/shard-map.ts';
import type { LogServerStatus } from '../wire/node-status.ts';
import { type ChunkOutcome, chunkFor, readChunkHead } from './chunk.ts';
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

/** A slot that gets a chunk, as one of so many slots. */
type Address = { readonly slot: number; readonly slots: number };

type Sent = { readonly to: Address; readonly outcome: ChunkOutcome };

/** By slot that splits, or has split, of how many it is one then. */
type SplitSlots = ReadonlyMap<number, number>;
/** What the notes of a stream say, up to one of them. */
type KnownSplits = { seq: number; readonly slotsBySlot: Map<number, number> };

/** Returns why a chunk does not count as appended that may come behind a split; else null. */
function splitRefusal(splits: SplitSlots, { slot, slots }: Address): ChunkOutcome | null {
  const slotsNow = splits.get(slot) ?? 0;
  if (slotsNow <= slots) return null;
  const message = `slot ${slot} splits, into one of ${slotsNow}, and entries may be of its child`;
  return { status: 'refused', code: 'Unavailable', message };
}

function refused(thrown: unknown): ChunkOutcome & { readonly status: 'refused' } {
  const { code, message } = operatingFailure(thrown);
  return { status: 'refused', code, message };
}

export class JetStreamSender implements AsyncDisposable {
  readonly #connection: JetStreamConnection;
  readonly #map: () => ShardMap;
  readonly #begunSlots = new Set<number>();
  readonly #splitsByStream = new Map<string, KnownSplits>();
  readonly #clock: Clock;
  readonly #useByStream = new Map<string, StreamUseThen>();
  /** Why the last chunk was refused; null once one is taken. */
  #refusal: string | null = null;

  constructor(options: JetStreamSenderOptions) {
    this.#clock = options.clock;
    this.#map = options.map;
    const use = async (): Promise<void> => {
      this.#begunSlots.clear();
      this.#splitsByStream.clear();
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
   * Appends chunks, cut by `slots` slots, to the logs of their slots; of a child that is still to
   * be made, to that of its parent.
   *
   * Returns: an outcome for each, undefined where it is not known and the chunk must be sent again.
   */
  async send(chunks: readonly Uint8Array[], slots: number): Promise<(ChunkOutcome | undefined)[]> {
    const { session, problem } = this.#connection;
    if (session === null) throw new DataPlaneError('Unavailable', problem ?? 'the log server is not connected');
    const sent = await Promise.all(chunks.map((bytes) => this.#append(session, bytes, slots)));
    const slotByStream = new Map(sent.map(({ to }) => [session.streamOf(to.slot).name, to.slot]));
    // After its own chunks, and each for itself: what another one has read may be older.
    const reading = [...slotByStream].map(async ([stream, slot]): Promise<[string, SplitSlots | ChunkOutcome]> => {
      return [stream, await this.#readSplits(session, stream, slot).catch(refused)];
    });
    const splits = new Map(await Promise.all(reading));
    return sent.map(({ to, outcome }) => {
      if (outcome.status !== 'durable') return outcome;
      const read = splits.get(session.streamOf(to.slot).name)!;
      return 'status' in read ? read : (splitRefusal(read, to) ?? outcome);
    });
  }

  async #append(session: LogSession, chunk: Uint8Array, slots: number): Promise<Sent> {
    const { slot } = readChunkHead(chunk);
    let to = { slot, slots };
    try {
      to = await this.#addressOf(session, to);
      const bytes = to.slot === slot ? chunk : chunkFor(to.slot, chunk);
      await this.#requireBegun(session, to.slot);
      await this.#requireRoom(session, to.slot, bytes.length);
      for (const part of splitChunk(bytes, session.chunkBytesMax)) await session.publish(to.slot, part);
      this.#refusal = null;
      return { to, outcome: { status: 'durable', batchBytes } };
    } catch (thrown) {
      const outcome = refused(thrown);
      this.#refusal = outcome.message;
      return { to, outcome };
    }
  }

  /** Returns who has what is of a slot now. */
  async #addressOf(session: LogSession, to: Address): Promise<Address> {
    const { isDoubling, slots } = this.#map();
    const half = to.slots / 2;
    const mayBeUnmade = isDoubling && to.slots === slots && to.slot >= half;
    if (!mayBeUnmade || (await this.#hasBegun(session, to.slot))) return to;
    return { slot: to.slot - half, slots: half };
  }

  /** Reads the notes of a stream, one of whose slots is `slot`, that were not read yet. */
  async #readSplits(session: LogSession, stream: string, slot: number): Promise<SplitSlots> {
    const known = this.#splitsByStream.get(stream) ?? { seq: 0, slotsBySlot: new Map<number, number>() };
    this.#splitsByStream.set(stream, known);
    const { slotsBySlot } = known;
    for (let { seq } = known; ; ) {
      const note = await session.splitAfter(slot, seq);
      if (note === null) return slotsBySlot;
      slotsBySlot.set(note.slot, Math.max(note.slots, slotsBySlot.get(note.slot) ?? 0));
      seq = note.seq;
      known.seq = Math.max(known.seq, seq);
    }
  }

  async #requireBegun(session: LogSession, slot: number): Promise<void> {
    if (await this.#hasBegun(session, slot)) return;
    throw new DataPlaneError('Unavailable', `the log of slot ${slot} has not begun: its node has not started yet`);
  }

  async #hasBegun(session: LogSession, slot: number): Promise<boolean> {
    if (this.#begunSlots.has(slot)) return true;
    if ((await session.firstOf(slot)) === null) return false;
    this.#begunSlots.add(slot);
    return true;
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
