/**
 * Compacts slots of one apply thread, in steps between their transactions: those that an operator
 * asks for, and by itself those whose room would stay free.
 *
 * A slot that takes many entries fills its pages unevenly again within hours, so that a copy of all
 * of it would be of little use. Quiet is what would need a day for a twentieth of its rows.
 */
import type { Clock } from '../base/clock.ts';
import { DataPlaneError, type ErrorCode } from '../base/data-plane-error.ts';
import { packedBytesOf } from '../slot/packed-bytes.ts';
import type { Slot } from '../slot/slot.ts';
import { Compaction, type CompactionProgress } from '../storage/compaction.ts';
import type { SlotCompaction } from '../wire/slot-compaction.ts';

export type SlotCompactorOptions = {
  readonly clock: Clock;
  /** How long a slot must have been quiet; 0 compacts only what is asked for. */
  readonly quietMs: number;
  /** Called once a slot is in other files, before anything is written to them. */
  readonly onReplaced: (slot: Slot) => void;
  readonly note: (message: string, fields: Record<string, unknown>) => void;
};

/** Unused share of a file above which a quiet slot is compacted. */
const unusedShareMin = 0.25;
/** Smaller files are left alone. */
const fileBytesMin = 128 * 2 ** 10;
/** The share of its rows that a quiet slot may take as entries in `steadyMs`. */
const quietShare = 0.05;
const steadyMs = 86_400_000;
/** The share of its rows that a slot must have taken as entries before it is judged again. */
const judgeShare = 0.01;

/** How long a step holds the thread, and what follows it. Units: ms. */
const stepMs = 4;
const restMsAsked = 2;
const restMsQuiet = 12;

/** After these errors the slot goes on in its old files. */
const givingUp: ReadonlySet<ErrorCode> = new Set(['StorageFull', 'Aborted']);

type Progress = Pick<SlotCompaction, 'phase' | 'rows' | 'rowsDone' | 'bytesBefore' | 'problem'>;
const noProgress: Progress = { phase: 'none', rows: 0, rowsDone: 0, bytesBefore: 0, problem: '' };

/** Where a slot was at the last look, and when its unused room was last judged. */
type Look = { readonly cursor: number; readonly judgedCursor: number };

export class SlotCompactor {
  readonly #options: SlotCompactorOptions;
  readonly #stop = new AbortController();
  readonly #waiting: { readonly slot: Slot; readonly restMs: number }[] = [];
  readonly #progressBySlot = new Map<Slot, Progress>();
  readonly #lookBySlot = new Map<Slot, Look>();
  /** Those whose readers are all open. */
  readonly #slots = new Set<Slot>();
  #isStarted = false;
  #running: Promise<void> | null = null;
  #looking: Promise<void> | null = null;
  /** The slot that is compacted now. */
  #compacting: { readonly slot: Slot; readonly done: Promise<void> } | null = null;

  constructor(options: SlotCompactorOptions) {
    this.#options = options;
  }

  /**
   * Takes slots, of which it may know some. Call it once all readers of them are open, which hear
   * of it when files are replaced.
   */
  take(slots: readonly Slot[]): void {
    for (const slot of slots) {
      if (this.#slots.has(slot)) continue;
      this.#slots.add(slot);
      this.#lookBySlot.set(slot, { cursor: slot.cursor, judgedCursor: -1 });
    }
    if (!this.#isStarted && this.#options.quietMs > 0) this.#looking = this.#look();
    this.#isStarted = true;
    this.#runWaiting();
  }

  /** Forgets a slot; a compaction of it that is under way is abandoned first. */
  async leave(slot: Slot): Promise<void> {
    this.#slots.delete(slot);
    this.#lookBySlot.delete(slot);
    if (this.#compacting?.slot === slot) await this.#compacting.done;
    this.#progressBySlot.delete(slot);
  }

  /** Compacts a slot as soon as those that wait are done, unless it waits already. */
  begin(slot: Slot, restMs = restMsAsked): void {
    const phase = this.#progressBySlot.get(slot)?.phase;
    if (phase === 'waiting' || phase === 'copying' || this.#stop.signal.aborted) return;
    this.#progressBySlot.set(slot, { ...noProgress, phase: 'waiting', bytesBefore: slot.environment.usedBytes });
    this.#waiting.push({ slot, restMs });
    this.#runWaiting();
  }

  /** Returns how far the last compaction of a slot is, and what one would free now. */
  compactionOf(slot: Slot): SlotCompaction {
    const progress = this.#progressBySlot.get(slot) ?? noProgress;
    return { slot: slot.index, bytes: slot.environment.usedBytes, packedBytes: packedBytesOf(slot), ...progress };
  }

  #runWaiting(): void {
    if (!this.#isStarted || this.#waiting.length === 0) return;
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
    });
  }

  async #run(): Promise<void> {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      const { slot, restMs } = next;
      if (this.#hasEnded(slot)) {
        // It can be asked for again.
        this.#progressBySlot.delete(slot);
        continue;
      }
      this.#compacting = { slot, done: this.#compact(slot, restMs) };
      await this.#compacting.done;
      this.#compacting = null;
    }
  }

  #hasEnded(slot: Slot): boolean {
    return this.#stop.signal.aborted || !this.#slots.has(slot);
  }

  async #compact(slot: Slot, restMs: number): Promise<void> {
    const { onReplaced, note } = this.#options;
    const bytesBefore = slot.environment.usedBytes;
    const set = (progress: Partial<Progress>): void => {
      this.#progressBySlot.set(slot, { ...noProgress, bytesBefore, ...progress });
    };
    let compaction: Compaction | null = null;
    const onStep = (progress: CompactionProgress): void => set({ phase: 'copying', ...progress });
    try {
      compaction = Compaction.begin(slot.environment, () => slot.requireOnlyWriter());
      if (!(await this.#copy(slot, compaction, restMs, onStep))) return await compaction.abandon();
      await compaction.settle();
      // What was written while the disk was waited for is many rows, if the slot is busy.
      if (!(await this.#copy(slot, compaction, restMs, onStep))) return await compaction.abandon();
      compaction.replace();
      slot.state.areFilesReplaced = true;
      onReplaced(slot);
      set({ phase: 'done', ...compaction.progress });
      note('a slot is compacted', { slot: slot.index, bytesBefore, bytes: slot.environment.usedBytes });
    } catch (thrown) {
      if (!(thrown instanceof DataPlaneError) || !givingUp.has(thrown.code)) throw thrown;
      await compaction?.abandon();
      set({ phase: 'failed', problem: thrown.message });
      // What it lacked, room or rest, may be there at the next look.
      const look = this.#lookBySlot.get(slot);
      if (look !== undefined) this.#lookBySlot.set(slot, { ...look, judgedCursor: -1 });
      note('a slot is not compacted', { slot: slot.index, problem: thrown.message });
    }
  }

  /**
   * Copies until the copy has all rows, with rests between the steps.
   *
   * Returns: true once it has, before others have a turn; false when it was stopped.
   */
  async #copy(
    slot: Slot,
    compaction: Compaction,
    restMs: number,
    onStep: (progress: CompactionProgress) => void,
  ): Promise<boolean> {
    const { clock } = this.#options;
    const { signal } = this.#stop;
    while (!this.#hasEnded(slot)) {
      const endMs = clock.monotonicMs() + stepMs;
      const isCopied = compaction.copySome(() => clock.monotonicMs() >= endMs);
      onStep(compaction.progress);
      if (isCopied) return true;
      await clock.sleep(restMs, signal);
    }
    return false;
  }

  /** Compacts what is quiet and mostly unused room, for as long as the thread runs. */
  async #look(): Promise<void> {
    const { clock, quietMs } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await clock.sleep(quietMs, signal);
      for (const slot of this.#slots) {
        if (signal.aborted) return;
        this.#lookAt(slot);
        // Others have their turn: to judge a slot takes milliseconds.
        await new Promise((resolve) => setImmediate(resolve));
      }
      await this.#running;
    }
  }

  #lookAt(slot: Slot): void {
    const last = this.#lookBySlot.get(slot)!;
    const { cursor } = slot;
    const rows = slot.state.rows.rowCount;
    const isQuiet = (cursor - last.cursor) * (steadyMs / this.#options.quietMs) <= rows * quietShare;
    const isJudged = last.judgedCursor >= 0 && cursor - last.judgedCursor <= rows * judgeShare;
    if (!isQuiet || isJudged || slot.hasUnapplied) return void this.#lookBySlot.set(slot, { ...last, cursor });
    this.#lookBySlot.set(slot, { cursor, judgedCursor: cursor });
    if (this.#isMostlyUnused(slot)) this.begin(slot, restMsQuiet);
  }

  #isMostlyUnused(slot: Slot): boolean {
    const { usedBytes } = slot.environment;
    return usedBytes >= fileBytesMin && usedBytes - packedBytesOf(slot) >= usedBytes * unusedShareMin;
  }

  /** Abandons what is under way. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#looking;
    await this.#running;
  }
}
