/**
 * One slot: a deterministic state machine over its log.
 *
 * Owns the one transaction in which entries are appended and applied, and their effects and cursor
 * written; the dedup of effects by mark; the digest. Refuses effects that would leave a gap, a
 * folder of another slot, and a second writer. Runs in one thread only. `run` returns once its
 * commit is on disk: nothing leaves a slot earlier.
 */
import { clearSharedWriters } from '../base/bytes.ts';
import { reachCrashPoint } from '../base/crash-point.ts';
import { invariant } from '../base/invariant.ts';
import type { SlotCondition } from '../entry/lifecycle-entry.ts';
import { effectsPerEntryMax, type KnownPosition, markOf } from '../log/chunk.ts';
import { EmbeddedLog } from '../log/embedded-log.ts';
import type { ReadChunk, SlotLog } from '../log/slot-log.ts';
import { removeUnfinished } from '../storage/compaction.ts';
import { Environment, type Table } from '../storage/environment.ts';
import { AttemptFile } from './attempt-file.ts';
import { batchBytesOf } from './batch-bytes.ts';
import { ChunkIntake } from './chunk-intake.ts';
import { type EffectVerdict, judgeKnownPosition } from './effect-position.ts';
import { EffectSources } from './effect-sources.ts';
import { type ApplyRules, EntryApplier } from './entry-applier.ts';
import { EntryFailure } from './entry-failure.ts';
import type { EventTimes } from './event-times.ts';
import { resendUnderWay } from './lifecycle-applier.ts';
import { type Opening, OwnEntries } from './own-entries.ts';
import { type Failure, Quarantine } from './quarantine.ts';
import { type RunResult, runPast, type Transactions } from './run-past.ts';
import { setAside, startIfDecided } from './set-aside.ts';
import { requireIdentity, requireSameWriter } from './slot-folder.ts';
import { hasOwnWork, isChild, loadSlotMeta, metaBytes, putSlotMeta, type SlotMeta } from './slot-meta.ts';
import { isDividing, SlotRouting } from './slot-routing.ts';
import { digestOf } from './state-digest.ts';
import { flushNewActors } from './table/new-actors.ts';
import { Outbox } from './table/outbox.ts';
import { SearchQueue } from './table/search-queue.ts';
import { SlotState, slotTableNames, slotTables } from './table/slot-state.ts';
import { isOperatorChunk, onlyItem, type WaitingChunk, withEntries } from './waiting-chunk.ts';

/** `slots` is the number of slots of which this is one. */
export type SlotOptions = {
  readonly index: number;
  readonly slots: number;
  readonly path: string;
  readonly mapBytes: number;
  /** The session that its first run begins; without it, the slot has none. */
  readonly opening?: Opening;
  /** True where the node has a search index, for which the slot notes what changes. */
  readonly isSearched?: boolean;
  /** True where a child is made of what a split leaves (`makeChild`); else none is taken. */
  readonly canSplit?: boolean;
  /** True where the slot may still be one of half as many, while these are doubled. */
  readonly mayBeUnsplit?: boolean;
  /** By default the real ones. */
  readonly rules?: ApplyRules;
  /** Makes the slot's log, by default that in its folder. */
  readonly log?: (table: Table, cursor: number) => SlotLog;
};

/** Undelivered effects of a slot above which its resends wait. */
const resendOwedMax = 20_000;

function embeddedLog(table: Table, cursor: number): SlotLog {
  return new EmbeddedLog(table, cursor);
}

export class Slot implements AsyncDisposable {
  readonly index: number;
  readonly state: SlotState;
  readonly outbox: Outbox;
  readonly path: string;
  /** Which slots there are, as this one knows. */
  readonly routing: SlotRouting;
  readonly own: OwnEntries;
  /** Of the last transaction of this process, or at opening. */
  #metaRow: Buffer | undefined;
  /** For sizes and compaction only: rows are the slot's. */
  readonly environment: Environment;
  /** As of the last commit: to ask the environment takes as long as to write a row. */
  #batchBytes: number;
  readonly log: SlotLog;
  readonly #sources: EffectSources;
  readonly #applier: EntryApplier;
  readonly quarantine: Quarantine;
  readonly #attempt: AttemptFile;
  /** Null without a search index. */
  readonly searchQueue: SearchQueue | null;
  /** Called after an entry was set aside. */
  onQuarantine: ((failure: Failure) => void) | null = null;
  readonly #meta: SlotMeta;
  readonly #intake: ChunkIntake;
  /** The number of slots of one without a transaction. */
  readonly #firstSlots: number;
  /** The seq of the split whose child is there, since this process began. */
  #childSeq = 0;
  /** Chunks that are in the log and not yet applied, oldest first. */
  #unapplied: WaitingChunk[] = [];

  private constructor(options: SlotOptions, environment: Environment) {
    this.index = options.index;
    this.path = options.path;
    this.#firstSlots = options.slots;
    this.environment = environment;
    this.#batchBytes = batchBytesOf(environment);
    this.state = new SlotState(options.index, environment);
    requireIdentity(this.state, options);
    this.outbox = new Outbox(environment.table(slotTables.outbox), this.state);
    this.#sources = new EffectSources(this.state);
    this.#metaRow = metaBytes(this.state);
    this.#meta = loadSlotMeta(this.state, options.slots);
    this.routing = new SlotRouting(this.state);
    this.log = (options.log ?? embeddedLog)(environment.table(slotTables.log), this.#meta.cursor);
    this.quarantine = new Quarantine(this.state);
    const [meta, sources] = [this.#meta, this.#sources];
    this.own = new OwnEntries({ index: this.index, meta, canResend: () => this.#canResend }, options.opening);
    this.#attempt = new AttemptFile(options.path, this.#meta.cursor);
    const table = environment.table(slotTables.search);
    this.searchQueue = options.isSearched ? new SearchQueue(table, this.state, meta.cursor) : null;
    const { state, outbox, quarantine, routing } = this;
    const [attempt, { rules }, awaitsChild] = [this.#attempt, options, () => this.awaitsChild];
    const parts = { routing, awaitsChild, state, outbox, sources, meta, quarantine, attempt, rules };
    this.#applier = new EntryApplier(parts);
    const [{ index, log }, batchBytes, canSplit] = [this, () => this.batchBytes, options.canSplit === true];
    this.#intake = new ChunkIntake({ index, meta, routing, sources, log, batchBytes, canSplit });
    this.#load();
  }

  static open(options: SlotOptions): Slot {
    const { path, mapBytes } = options;
    removeUnfinished(path);
    const environment = Environment.open({ path, mapBytes, tables: slotTableNames });
    try {
      return new Slot(options, environment);
    } catch (thrown) {
      void environment.close();
      throw thrown;
    }
  }

  /** The last seq that is applied and durable; inclusive. */
  get cursor(): number {
    return this.#meta.cursor;
  }

  get generation(): number {
    return this.#meta.generation;
  }

  /** The number of slots of which this is one: twice as many once it has split. */
  get slots(): number {
    return this.#meta.slots;
  }

  /** True from a split until `childIsMade`: the slot applies nothing, since its state is both. */
  get awaitsChild(): boolean {
    const { cursor, splitSeq } = this.#meta;
    return splitSeq > 0 && cursor === splitSeq && splitSeq !== this.#childSeq && !isChild(this.index, this.#meta);
  }

  /** True while it waits for its child, or holds rows that are the other's. */
  get isDividing(): boolean {
    return isDividing(this.state, this.#meta);
  }

  /** Goes on after a split, once the child is on disk and read. */
  childIsMade(): void {
    this.#childSeq = this.#meta.splitSeq;
    this.searchQueue?.beginAnew();
  }

  get condition(): SlotCondition {
    return this.#meta.condition;
  }

  /** The opening under which effects are sent now; 0 before the first. */
  get session(): number {
    return this.#meta.sessions.at(-1)?.id ?? 0;
  }

  /** The last seq in the log; inclusive. */
  get head(): number {
    return this.log.head;
  }

  /** True when a run without chunks goes on: the log, long work, an opening, a resend. */
  get hasUnapplied(): boolean {
    return this.#unapplied.length > 0 || hasOwnWork(this.#meta) || !this.own.isOpened || this.#canResend;
  }

  /** True when a run without chunks applies something at once. */
  get canRun(): boolean {
    if (this.awaitsChild) return false;
    return this.log.isEmbedded ? this.hasUnapplied : this.#unapplied.length > 0;
  }

  get #canResend(): boolean {
    return this.outbox.owedCount < resendOwedMax && resendUnderWay(this.state) !== undefined;
  }

  /** Compares how far a target has this slot's effects with what they both went through. */
  judge(target: number, at: KnownPosition): EffectVerdict {
    return judgeKnownPosition(this.state, this.#meta, target, at);
  }

  /** The greatest mark that an effect of an applied entry can have. */
  get lastMark(): number {
    return markOf(this.#meta.cursor, effectsPerEntryMax - 1);
  }

  /** Recommended input of one `run`: a small share of the slot's file. Units: bytes. */
  get batchBytes(): number {
    return this.#batchBytes;
  }

  get sentCount(): number {
    return this.#meta.sentCount;
  }

  get receivedCount(): number {
    return this.#meta.receivedCount;
  }

  /** Those of the last transaction may be taken. */
  get eventTimes(): EventTimes {
    return this.#applier.eventTimes;
  }

  /** Reads cursor, owners, marks and the log's tail, at open and after an aborted transaction. */
  #load(): void {
    // A rule that throws may leave a key half written.
    clearSharedWriters();
    Object.assign(this.#meta, loadSlotMeta(this.state, this.#firstSlots));
    this.routing.reload(this.#meta.slots);
    this.#sources.reload();
    this.#applier.reset();
    this.quarantine.reload();
    this.log.reload(this.#meta.cursor);
    this.outbox.reload();
    this.searchQueue?.reload();
    this.#unapplied = this.log.entered(this.#meta.cursor).map((logged) => withEntries(this.index, logged));
  }

  /**
   * Appends chunks and applies them, together with what the log still holds, in one transaction.
   *
   * Shape: each element is one chunk's bytes for this slot. Returns and errors: as `apply`.
   */
  run(chunkBytes: readonly Uint8Array[], appendMs: number): RunResult {
    const chunks = chunkBytes.map((bytes) => ({ bytes, appendMs, onOutcome: () => {}, position: 0 }));
    return this.apply(chunks, appendMs);
  }

  /**
   * Applies chunks that were read from the log, and what was entered before, in one transaction.
   *
   * Returns: when all of it is on disk; no outcome is called. What follows a split, or word of one,
   * is not taken, and has no outcome: it is to be put back into the log.
   * Errors: DataPlaneError `StorageFull`, which changes nothing, or `DataInUse`, after which this
   * process must not go on; InvariantError on a defect.
   */
  apply(chunks: readonly ReadChunk[], nowMs: number): RunResult {
    invariant(!this.awaitsChild, 'a slot that has split applies nothing until its child is made');
    // Nothing has begun yet, so these failures need no reload.
    this.quarantine.requireApplying(() => chunks.some(({ bytes }) => isOperatorChunk(bytes)));
    this.environment.requireRoom();
    // What a server's log applies must not depend on who reads it when.
    if (this.log.isEmbedded) this.#intake.appendMs = Math.max(this.#intake.appendMs, nowMs);
    try {
      return this.#transact(chunks);
    } catch (thrown) {
      if (!(thrown instanceof EntryFailure)) throw thrown;
      return runPast(this.#transactions, thrown, chunks);
    }
  }

  get #transactions(): Transactions {
    const slot = this;
    return {
      get cursor() {
        return slot.cursor;
      },
      get isStopped() {
        return slot.quarantine.stoppedMs > 0 || slot.awaitsChild;
      },
      transact: (chunks, lastSeq) => this.#transact(chunks, lastSeq),
      setAside: (failure) => this.#setAside(failure),
    };
  }

  /** Appends chunks, and applies what waits up to `lastSeq`. Errors: EntryFailure; storage's. */
  #transact(chunks: readonly ReadChunk[], lastSeq = Number.POSITIVE_INFINITY): RunResult {
    const cursorBefore = this.#meta.cursor;
    const result = this.#commit(() => {
      const waiting = this.#unapplied;
      if (this.quarantine.mayStartAgain) this.quarantine.start(this.#intake.appendMs);
      const isIdle = chunks.length === 0 && lastSeq === Number.POSITIVE_INFINITY;
      const own = this.log.isEmbedded ? this.own.chunks(isIdle, this.#intake.appendMs) : [];
      for (const chunk of own) this.#intake.take(chunk, waiting);
      const outcomes = this.#intake.takeUpToSplit(chunks, waiting);
      startIfDecided(this.quarantine, waiting, cursorBefore, chunks.slice(outcomes.length));
      reachCrashPoint('slot-after-append');
      this.#attempt.beginBatch(cursorBefore, this.log.head, onlyItem(waiting, cursorBefore + 1));
      for (const logged of waiting) this.#applier.applyChunk(logged, lastSeq);
      const [batches, restarted] = [this.outbox.flush(), this.outbox.takeRestarted()];
      return { outcomes, batches, restarted, appliedCount: this.#meta.cursor - cursorBefore };
    });
    this.own.committed(this.log.isEmbedded);
    reachCrashPoint('slot-after-commit');
    return result;
  }

  /** Runs `work` in one transaction with the meta row. One that throws leaves nothing. */
  #commit<Result>(work: () => Result): Result {
    let metaRow = this.#metaRow;
    try {
      const result = this.environment.transact(() => {
        this.requireOnlyWriter();
        const done = work();
        this.state.flushOwnerRows();
        flushNewActors(this.state);
        metaRow = putSlotMeta(this.state, this.#meta);
        const { cursor, generation } = this.#meta;
        this.searchQueue?.flush({ cursor, generation, nowMs: this.#intake.appendMs });
        this.log.trim(cursor);
        return done;
      });
      this.log.committed();
      this.searchQueue?.committed();
      this.#metaRow = metaRow;
      this.#batchBytes = batchBytesOf(this.environment);
      const { cursor } = this.#meta;
      this.#unapplied = this.#unapplied.filter(({ firstSeq, entries }) => firstSeq + entries.length - 1 > cursor);
      return result;
    } catch (thrown) {
      this.#load();
      throw thrown;
    }
  }

  /** Errors: DataPlaneError `DataInUse` when another process has written since this one did. */
  requireOnlyWriter(): void {
    requireSameWriter(this, this.#metaRow);
  }

  #setAside(failure: EntryFailure): void {
    const { state, quarantine } = this;
    const [meta, sources, waiting, appendMs] = [this.#meta, this.#sources, this.#unapplied, this.#intake.appendMs];
    const options = { state, quarantine, meta, sources, waiting, appendMs };
    const kept = this.#commit(() => {
      this.#applier.dropMovedBefore(failure.seq);
      return setAside(options, failure);
    });
    if (kept !== null) this.onQuarantine?.(kept);
  }

  digest(): string {
    return digestOf(this.state);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#attempt.close();
    await this.environment.close();
  }
}
