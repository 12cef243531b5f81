/**
 * The newest messages of the demo's firehose, on disk and in memory, bounded in bytes.
 *
 * When the newer of two files is full, the older is dropped: half to all of `bytesMax` is kept.
 */
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { ItemFile } from './item-file.ts';

export type BacklogFrame = { readonly seq: number; readonly bytes: Buffer };

type Half = { file: ItemFile; frames: BacklogFrame[] };

const seqBytes = 6;

export class FrameBacklog implements Disposable {
  readonly #folder: string;
  readonly #halfBytesMax: number;
  #older: Half;
  #newer: Half;
  /** Frames of both halves, oldest first. */
  #frames: BacklogFrame[];
  readonly #waiting = new Set<() => void>();

  /** Opens the backlog in a folder. `bytesMax` bounds both files together. */
  constructor(folder: string, bytesMax: number) {
    this.#folder = folder;
    this.#halfBytesMax = bytesMax / 2;
    this.#older = this.#open('frames-older');
    this.#newer = this.#open('frames-newer');
    this.#frames = [...this.#older.frames, ...this.#newer.frames];
  }

  #open(name: string): Half {
    const frames: BacklogFrame[] = [];
    const file = ItemFile.open(join(this.#folder, name), (item) => {
      frames.push({ seq: item.readUIntBE(0, seqBytes), bytes: item.subarray(seqBytes) });
    });
    return { file, frames };
  }

  /** The lowest kept seq, or null when there is none. */
  get oldestSeq(): number | null {
    return this.#frames[0]?.seq ?? null;
  }

  /** The seq of the last message, 0 before the first. */
  get newestSeq(): number {
    return this.#frames[this.#frames.length - 1]?.seq ?? 0;
  }

  /** Appends one message. Its seq is above the newest. */
  append(frame: BacklogFrame): void {
    const item = Buffer.allocUnsafeSlow(seqBytes + frame.bytes.length);
    item.writeUIntBE(frame.seq, 0, seqBytes);
    frame.bytes.copy(item, seqBytes);
    this.#newer.file.append(item);
    const kept = { seq: frame.seq, bytes: item.subarray(seqBytes) };
    this.#newer.frames.push(kept);
    this.#frames.push(kept);
    if (this.#newer.file.bytes >= this.#halfBytesMax) this.#rotate();
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  #rotate(): void {
    this.#older.file.close();
    // The open file stays valid under its new name.
    renameSync(join(this.#folder, 'frames-newer'), join(this.#folder, 'frames-older'));
    this.#older = this.#newer;
    this.#newer = this.#open('frames-newer');
    this.#frames = [...this.#older.frames];
  }

  /** Returns up to `limit` messages with a seq above `seq`, in order. */
  after(seq: number, limit: number): readonly BacklogFrame[] {
    let low = 0;
    let high = this.#frames.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#frames[middle]!.seq <= seq) low = middle + 1;
      else high = middle;
    }
    return this.#frames.slice(low, low + limit);
  }

  /** Resolves when there is a message above `seq`, or `signal` aborts. */
  waitFor(seq: number, signal: AbortSignal): Promise<void> {
    if (this.newestSeq > seq || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.#waiting.add(wake);
      signal.addEventListener('abort', wake, { once: true });
    });
  }

  [Symbol.dispose](): void {
    this.#older.file.close();
    this.#newer.file.close();
    for (const wake of this.#waiting) wake();
  }
}
