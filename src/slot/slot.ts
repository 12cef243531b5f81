/**
 * One slot: a deterministic state machine over its log.
 *
 * Owns the one transaction in which entries are appended and applied, and their effects and cursor
 * written; the dedup of effects by mark; the digest. Refuses effects that would leave a gap. Runs
 * in one thread only. `run` returns once its commit is on disk: nothing leaves a slot earlier.
 */
import { createHash } from 'node:crypto';
import { ByteReader, ByteWriter, MalformedBytes, tryDecode } from '../base/bytes.ts';
import { reachCrashPoint } from '../base/crash-point.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { invariant } from '../base/invariant.ts';
import { readEffect } from '../entry/effect-codec.ts';
import type { ContinueWork, Effect, Entry } from '../entry/entry.ts';
import { routingKey } from '../entry/entry.ts';
import { decodeEntry, encodeEntry } from '../entry/entry-codec.ts';
import {
  type Chunk,
  type ChunkOutcome,
  type Durable,
  type EffectOrigin,
  effectsPerEntryMax,
  markOf,
  readChunk,
  readMark,
  writeChunk,
  writeMark,
} from '../log/chunk.ts';
import { EmbeddedLog, type LoggedChunk } from '../log/embedded-log.ts';
import { slotOf } from '../shardmap/slot-of.ts';
import { Environment } from '../storage/environment.ts';
import type { ApplyContext } from './apply/apply-context.ts';
import { applyEffect, applyEntry } from './apply/apply-entry.ts';
import { Outbox, type OutboxBatch } from './table/outbox.ts';
import { beginSlotKey, SlotState, slotTableNames, slotTables, tableCode } from './table/slot-state.ts';

/** `slots` is the number of slots of the cluster. */
export type SlotOptions = {
  readonly index: number;
  readonly slots: number;
  readonly path: string;
  readonly mapBytes: number;
};

export type RunResult = {
  /** One for each chunk that was passed in, in order. */
  readonly outcomes: readonly ChunkOutcome[];
  /** Effects for other slots, which may be sent now. */
  readonly batches: readonly OutboxBatch[];
  readonly appliedCount: number;
};

/** A chunk in the log that is not yet applied, and its entries, which are decoded once. */
type WaitingChunk = LoggedChunk & { readonly entries: readonly Entry[] };

/** Errors: MalformedBytes, as for a chunk from a peer of another version. */
function decodeItems(chunk: Chunk): Entry[] {
  if (chunk.origin === null) return chunk.items.map(decodeEntry);
  return chunk.items.map((item) => ({ kind: 'effect', effect: readEffect(new ByteReader(item, 0, 'an effect')) }));
}

const oldLogHint =
  'start the version that wrote this folder once more, so that it applies its log, or ingest into an empty folder';

/** Errors: DataPlaneError when the entries are of a version that this one cannot read. */
function withEntries(slot: number, logged: LoggedChunk): WaitingChunk {
  const entries = tryDecode(() => decodeItems(logged.chunk));
  if (!(entries instanceof MalformedBytes)) return { ...logged, entries };
  const what = `the log of slot ${slot} waits to be applied and holds what this version cannot read`;
  throw new DataPlaneError('Internal', `${what}: ${entries.message}; ${oldLogHint}`, { hint: oldLogHint });
}

/** The whole chunk is refused, since no part of it can be trusted. */
function malformed({ message }: MalformedBytes): ChunkOutcome {
  return { status: 'refused', code: 'InvalidArgument', message: `a chunk that this version cannot read: ${message}` };
}

type Source = { generation: number; lastMark: number };

/** The version of the layout of all rows that have none of their own. */
const metaVersion = 2;
const metaWriter = new ByteWriter(64);
const metaKey = (): Buffer => beginSlotKey(tableCode.meta).finish();
/** Bounds of the recommended input of one transaction. Units: bytes. */
const batchBytesMin = 64 * 2 ** 10;
const batchBytesMax = 2 ** 20;
/**
 * A slot's file keeps about twice the pages that one transaction touches as free space. Batches of
 * this share of the file keep that at a sixth of it; large slots commit in large batches.
 */
const fileBytesPerBatchByte = 512;
/**
 * Effects within the slot may cause others; a loop among rules would be a defect. A commit may hold
 * 200 posts that come after their replies, each of which makes a thousand replies notify their
 * ancestors again.
 */
const localEffectsMax = 4_000_000;

export class Slot implements AsyncDisposable {
  readonly index: number;
  readonly state: SlotState;
  readonly outbox: Outbox;
  readonly #slots: number;
  readonly #environment: Environment;
  readonly #log: EmbeddedLog;
  readonly #sources = new Map<number, Source>();
  /** Chunks that are in the log and not yet applied, oldest first. */
  #unapplied: WaitingChunk[] = [];
  #cursor = 0;
  generation = 1;
  /** Effects ever made for other slots, and applied from them: equal in sum once all arrived. */
  #sentCount = 0;
  #receivedCount = 0;
  #lastEventMs = 0;
  /** Append time of the last run. */
  #appendMs = 0;
  /** Of the entry being applied: its seq, the count of effects sent, the effects on this slot. */
  #seq = 0;
  #sentOfEntry = 0;
  readonly #localEffects: Effect[] = [];
  readonly #context: ApplyContext & { appendMs: number };

  private constructor(options: SlotOptions, environment: Environment) {
    this.index = options.index;
    this.#slots = options.slots;
    this.#environment = environment;
    this.state = new SlotState(options.index, environment);
    this.#context = {
      state: this.state,
      appendMs: 0,
      send: (effect) => this.#send(effect),
      continueWith: (did, work) => this.#continueWith(did, work),
    };
    this.#log = new EmbeddedLog(environment.table(slotTables.log));
    this.outbox = new Outbox(environment.table(slotTables.outbox), this.state);
    this.#load();
  }

  static open(options: SlotOptions): Slot {
    const { path, mapBytes } = options;
    return new Slot(options, Environment.open({ path, mapBytes, tables: slotTableNames }));
  }

  /** The last seq that is applied and durable; inclusive. */
  get cursor(): number {
    return this.#cursor;
  }

  /** The last seq in the log; inclusive. */
  get head(): number {
    return this.#log.head;
  }

  /** True when the log holds entries that are not yet applied. */
  get hasUnapplied(): boolean {
    return this.#unapplied.length > 0;
  }

  /** The greatest mark that an effect of an applied entry can have. */
  get lastMark(): number {
    return markOf(this.#cursor, effectsPerEntryMax - 1);
  }

  get usedBytes(): number {
    return this.#environment.usedBytes;
  }

  /** Recommended input of one `run`: a small share of the slot's file. Units: bytes. */
  get batchBytes(): number {
    const share = Math.floor(this.#environment.usedBytes / fileBytesPerBatchByte);
    return Math.min(batchBytesMax, Math.max(batchBytesMin, share));
  }

  get sentCount(): number {
    return this.#sentCount;
  }

  get receivedCount(): number {
    return this.#receivedCount;
  }

  /** Event time of the last entry from outside since opening; 0 before the first. Units: ms. */
  get lastEventMs(): number {
    return this.#lastEventMs;
  }

  /** Reads cursor, owners, marks and the log's tail, at open and after an aborted transaction. */
  #load(): void {
    this.#sources.clear();
    this.#localEffects.length = 0;
    this.#cursor = 0;
    this.#sentCount = 0;
    this.#receivedCount = 0;
    const meta = this.state.rows.get(metaKey());
    let nextOwner = 1;
    if (meta !== undefined) {
      const reader = new ByteReader(meta);
      invariant(reader.u8() === metaVersion, 'a slot has a known format version');
      this.#cursor = reader.u48();
      nextOwner = reader.u32();
      this.generation = reader.u32();
      const slots = reader.u32();
      this.#sentCount = reader.u48();
      this.#receivedCount = reader.u48();
      invariant(
        slots === this.#slots,
        `slot ${this.index} was written for ${slots} slots and is opened for ${this.#slots}`,
      );
    }
    this.state.resetOwners(nextOwner);
    this.#log.reload();
    this.#log.atLeast(this.#cursor);
    this.outbox.reload();
    this.#unapplied = this.#log.readAbove(this.#cursor).map((logged) => withEntries(this.index, logged));
  }

  #putMeta(): void {
    metaWriter.u8(metaVersion).u48(this.#cursor).u32(this.state.nextOwner).u32(this.generation).u32(this.#slots);
    this.state.rows.put(metaKey(), metaWriter.u48(this.#sentCount).u48(this.#receivedCount).finish());
  }

  #source(slot: number): Source {
    const known = this.#sources.get(slot);
    if (known !== undefined) return known;
    const value = this.state.rows.get(beginSlotKey(tableCode.source).u16(slot).finish());
    const reader = value === undefined ? undefined : new ByteReader(value);
    const source =
      reader === undefined ? { generation: 0, lastMark: 0 } : { generation: reader.u32(), lastMark: readMark(reader) };
    this.#sources.set(slot, source);
    return source;
  }

  /** Writes how far the effects of a source are applied, once for all effects of a chunk. */
  #putSource(slot: number): void {
    const { generation, lastMark } = this.#source(slot);
    writeMark(metaWriter.u32(generation), lastMark);
    this.state.rows.put(beginSlotKey(tableCode.source).u16(slot).finish(), metaWriter.finish());
  }

  /**
   * Appends chunks and applies them, together with what the log still holds, in one transaction.
   *
   * Shape: each element is one chunk's bytes for this slot. `appendMs` never goes back in the log.
   * Returns: when all of it is on disk.
   * Errors: DataPlaneError `StorageFull`, which changes nothing; InvariantError on a defect.
   */
  run(chunkBytes: readonly Uint8Array[], appendMs: number): RunResult {
    // Nothing has begun yet, so this failure needs no reload.
    this.#environment.requireRoom();
    this.#appendMs = Math.max(this.#appendMs, appendMs);
    const cursorBefore = this.#cursor;
    try {
      const result = this.#environment.transact(() => {
        const waiting = this.#unapplied;
        this.#unapplied = [];
        const outcomes = chunkBytes.map((bytes) => this.#append(bytes, this.#appendMs, waiting));
        reachCrashPoint('slot-after-append');
        for (const logged of waiting) this.#applyChunk(logged);
        const batches = this.outbox.flush();
        this.#putMeta();
        this.#log.trim(this.#cursor);
        return { outcomes, batches, appliedCount: this.#cursor - cursorBefore };
      });
      reachCrashPoint('slot-after-commit');
      return result;
    } catch (thrown) {
      this.#load();
      throw thrown;
    }
  }

  #durable(): Durable {
    return { status: 'durable', batchBytes: this.batchBytes };
  }

  #append(bytes: Uint8Array, appendMs: number, waiting: WaitingChunk[]): ChunkOutcome {
    const chunk = tryDecode(() => readChunk(bytes));
    if (chunk instanceof MalformedBytes) return malformed(chunk);
    invariant(chunk.slot === this.index, 'a chunk is for the slot that takes it');
    if (chunk.origin !== null) {
      const pending = waiting.findLast((logged) => logged.chunk.origin?.slot === chunk.origin?.slot);
      const source = this.#source(chunk.origin.slot);
      const isSameGeneration = chunk.origin.generation === source.generation;
      const lastMark = pending?.chunk.marks.at(-1) ?? (isSameGeneration ? source.lastMark : 0);
      if (chunk.origin.generation < source.generation) return this.#durable();
      if (chunk.origin.previousMark > lastMark) return { status: 'gap', lastMark };
      if (chunk.marks.length === 0 || chunk.marks.at(-1)! <= lastMark) return this.#durable();
    }
    if (chunk.items.length === 0) return this.#durable();
    const entries = tryDecode(() => decodeItems(chunk));
    if (entries instanceof MalformedBytes) return malformed(entries);
    const firstSeq = this.#log.append(bytes, chunk.items.length, appendMs);
    waiting.push({ firstSeq, appendMs, chunk, entries });
    return this.#durable();
  }

  #applyChunk(logged: WaitingChunk): void {
    const { chunk, firstSeq, appendMs, entries } = logged;
    const source = chunk.origin === null ? undefined : this.#source(chunk.origin.slot);
    entries.forEach((item, index) => {
      const seq = firstSeq + index;
      // After a crash the log's first unapplied chunk may begin at or below the cursor.
      if (seq <= this.#cursor) return;
      if (item.kind === 'effect' && chunk.origin !== null) {
        this.#applyForeignEffect(seq, appendMs, chunk.origin, chunk.marks[index]!, item.effect);
      } else this.#applyItem(seq, appendMs, item);
      this.#cursor = seq;
    });
    if (chunk.origin !== null && this.#source(chunk.origin.slot) !== source) this.#putSource(chunk.origin.slot);
  }

  #applyForeignEffect(seq: number, appendMs: number, origin: EffectOrigin, mark: number, effect: Effect): void {
    const source = this.#source(origin.slot);
    const lastMark = origin.generation === source.generation ? source.lastMark : 0;
    if (origin.generation < source.generation || mark <= lastMark) return;
    applyEffect(this.#begin(seq, appendMs), effect);
    this.#applyLocalEffects();
    this.#sources.set(origin.slot, { generation: origin.generation, lastMark: mark });
    this.#receivedCount++;
  }

  #applyItem(seq: number, appendMs: number, entry: Entry): void {
    if (entry.kind === 'delivered') {
      this.outbox.trim(entry.target, entry.mark);
      reachCrashPoint('outbox-after-trim');
      return;
    }
    if ('eventMs' in entry) this.#lastEventMs = entry.eventMs;
    if (entry.kind === 'effect') applyEffect(this.#begin(seq, appendMs), entry.effect);
    else applyEntry(this.#begin(seq, appendMs), entry);
    this.#applyLocalEffects();
  }

  /** Starts an entry. Returns what its rule may use. */
  #begin(seq: number, appendMs: number): ApplyContext {
    this.#seq = seq;
    this.#sentOfEntry = 0;
    this.#context.appendMs = appendMs;
    return this.#context;
  }

  #send(effect: Effect): void {
    const target = slotOf(routingKey(effect), this.#slots);
    if (target === this.index) {
      this.#localEffects.push(effect);
      return;
    }
    invariant(this.#sentOfEntry < effectsPerEntryMax, 'an entry sends fewer effects than its marks can number');
    this.outbox.add(target, markOf(this.#seq, this.#sentOfEntry++), effect);
    this.#sentCount++;
  }

  /** Applies effects on this slot, and those that they cause here, in the order they were sent. */
  #applyLocalEffects(): void {
    for (let index = 0; index < this.#localEffects.length; index++) {
      invariant(index < localEffectsMax, 'effects within a slot come to an end');
      applyEffect(this.#context, this.#localEffects[index]!);
    }
    this.#localEffects.length = 0;
  }

  #continueWith(did: string, work: ContinueWork): void {
    const { appendMs } = this.#context;
    const entry = { kind: 'continue', did, work } as const;
    const item = encodeEntry(entry);
    const chunk: Chunk = { slot: this.index, origin: null, items: [item], marks: [] };
    const writer = new ByteWriter(item.length + 32);
    writeChunk(writer, chunk);
    const firstSeq = this.#log.append(writer.finish(), 1, appendMs);
    this.#unapplied.push({ firstSeq, appendMs, chunk, entries: [entry] });
  }

  /** Hashes all rows of the state: equal for replicas at one seq. Units: hex SHA-256. */
  digest(): string {
    const hash = createHash('sha256');
    const length = Buffer.alloc(8);
    for (const { key, value } of this.state.rows.scan({ start: Buffer.from([0]), end: Buffer.alloc(64, 255) })) {
      length.writeUInt32BE(key.length, 0);
      length.writeUInt32BE(value.length, 4);
      hash.update(length).update(key).update(value);
    }
    return hash.digest('hex');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#environment.close();
  }
}
