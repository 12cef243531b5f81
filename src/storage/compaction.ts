/**
 * Copies an environment into new files whose pages are full, and puts them in the place of its own.
 *
 * A copy by LMDB itself would leave out free pages, but keep pages that are half full. So rows are
 * put again in the order of their keys, some at a time: between two calls the environment can be
 * read and written, and keys that were written behind the copy are copied again. Used by the
 * environment's only writer, in its thread.
 *
 * Refuses to take the room on disk that the environment's own writes need. Until `replace` has
 * renamed the new file, which is on disk as a whole by then, the old one is the one that counts.
 */
import { renameSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { reachCrashPoint } from '../base/crash-point.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { InvariantError, invariant } from '../base/invariant.ts';
import { asStorageError } from './disk-room.ts';
import { syncFolder } from './durable-file.ts';
import { Environment, environmentFiles, keyAfter, keyBytesMax, type Table } from './environment.ts';

const folderName = 'compacting';
const firstKey = Buffer.from([0]);
/** No key is after it. */
const endKey = Buffer.alloc(keyBytesMax, 255);
/** The clock is looked at after so many rows, or so many bytes of values. */
const rowsPerLook = 128;
const bytesPerLook = 256 * 2 ** 10;
/** Steps after the last row in which the copy must catch up with what is written. */
const catchUpStepsMax = 1_000;

export type CompactionProgress = { readonly rows: number; readonly rowsDone: number };

/** Removes what a compaction left that did not end. */
export function removeUnfinished(path: string): void {
  rmSync(join(path, folderName), { recursive: true, force: true });
}

/** Returns a function that is told of each value that is copied, and says when a step is over. */
function stepUntil(isOver: () => boolean): (valueBytes: number) => boolean {
  let [rows, bytes] = [0, 0];
  return (valueBytes) => {
    rows++;
    bytes += valueBytes;
    if (rows < rowsPerLook && bytes < bytesPerLook) return false;
    [rows, bytes] = [0, 0];
    return isOver();
  };
}

const pageBytes = 4096;
/** Of a page's rows, and of what is stored outside of it. */
const [rowHeadBytes, rowPointerBytes, pageHeadBytes, outsideBytes] = [8, 2, 24, 24];
/** A larger row has its value in pages of its own. */
const inlineBytesMax = Math.floor((pageBytes - pageHeadBytes) / 2) - rowPointerBytes;

/** Returns how much of the pages of a table a row takes. */
export function leafBytesOf(keyBytes: number, valueBytes: number): number {
  const isInline = rowHeadBytes + keyBytes + valueBytes <= inlineBytesMax;
  const inPage = rowHeadBytes + keyBytes + (isInline ? valueBytes : outsideBytes);
  const outside = isInline ? 0 : Math.ceil((pageHeadBytes + valueBytes) / pageBytes) * pageBytes;
  return inPage + (inPage % 2) + rowPointerBytes + outside;
}

export class Compaction {
  readonly #source: Environment;
  /** Throws when another process has written to the source; used in its transactions. */
  readonly #requireOnlyWriter: () => void;
  readonly #path: string;
  #target: Environment;
  readonly #tables: readonly Table[];
  /** The table that is being copied, and its next key; all before are copied. */
  #tableIndex = 0;
  #nextKey: Buffer = firstKey;
  /** For each table, keys behind the copy that were written since they were copied. */
  readonly #again: readonly Set<string>[];
  readonly #rows: number;
  #rowsDone = 0;
  #catchUpSteps = 0;
  #isSettled = false;
  #isFinished = false;

  private constructor(source: Environment, target: Environment, requireOnlyWriter: () => void) {
    this.#source = source;
    this.#requireOnlyWriter = requireOnlyWriter;
    this.#path = target.path;
    this.#target = target;
    this.#tables = source.tableNames.map((name) => source.table(name));
    this.#again = this.#tables.map(() => new Set());
    this.#rows = this.#tables.reduce((rows, table) => rows + table.rowCount, 0);
    for (const [index, table] of this.#tables.entries()) {
      table.onWrite = (key) => {
        if (this.#isBehind(index, key)) this.#again[index]!.add(key.latin1Slice(0, key.length));
      };
    }
  }

  /**
   * Begins with an empty copy, in `path` if it is to be an environment of its own (`finish`). What
   * `requireOnlyWriter` throws ends this, and `replace`.
   *
   * Errors: DataPlaneError `StorageFull` when the disk has no room for a second copy.
   */
  static begin(source: Environment, requireOnlyWriter: () => void, path = join(source.path, folderName)): Compaction {
    // Not in the map: nothing is written to the source, and a full one is worth a compaction.
    source.requireDiskRoom(source.pageBytes);
    const { mapBytes, tableNames: tables } = source;
    // Under the lock of writes: it must not remove what another process is about to rename.
    const target = source.transact(() => {
      requireOnlyWriter();
      rmSync(path, { recursive: true, force: true });
      return Environment.open({ path, mapBytes, tables, isDurable: false });
    });
    return new Compaction(source, target, requireOnlyWriter);
  }

  get progress(): CompactionProgress {
    return { rows: this.#rows, rowsDone: Math.min(this.#rows, this.#rowsDone) };
  }

  #isBehind(tableIndex: number, key: Buffer): boolean {
    if (tableIndex !== this.#tableIndex) return tableIndex < this.#tableIndex;
    return Buffer.compare(key, this.#nextKey) < 0;
  }

  get #areRowsCopied(): boolean {
    return this.#tableIndex === this.#tables.length;
  }

  get #againCount(): number {
    return this.#again.reduce((count, keys) => count + keys.size, 0);
  }

  /**
   * Copies rows, and again those that were written meanwhile, until `isOver` says so.
   *
   * Returns: true when the copy has all rows as they are now.
   * Errors: DataPlaneError `StorageFull`, or `Aborted` when more is written than it can copy; then
   * abandon it.
   */
  copySome(isOver: () => boolean): boolean {
    // What a step takes beyond this is far less.
    this.#target.requireRoom();
    if (this.#areRowsCopied && ++this.#catchUpSteps > catchUpStepsMax)
      throw new DataPlaneError('Aborted', `more is written to ${this.#source.path} than a compaction can follow`);
    this.#source.refreshReads();
    this.#target.transact(() => {
      const endsStep = stepUntil(isOver);
      this.#copyAgain(endsStep);
      while (!this.#areRowsCopied && this.#copyRows(endsStep)) {
        this.#tableIndex++;
        this.#nextKey = firstKey;
      }
    });
    reachCrashPoint('compaction-while-copying');
    return this.#areRowsCopied && this.#againCount === 0;
  }

  /** Copies rows of the current table. Returns whether all of them are copied. */
  #copyRows(endsStep: (valueBytes: number) => boolean): boolean {
    const from = this.#tables[this.#tableIndex]!;
    const to = this.#target.table(this.#source.tableNames[this.#tableIndex]!);
    for (const { key, value } of from.scan({ start: this.#nextKey, end: endKey })) {
      to.append(key, value);
      this.#rowsDone++;
      if (!endsStep(value.length)) continue;
      this.#nextKey = keyAfter(key);
      return false;
    }
    return true;
  }

  /** Copies keys again that were written since, in the target's transaction. */
  #copyAgain(endsStep: (valueBytes: number) => boolean): void {
    for (const [index, keys] of this.#again.entries()) {
      const to = this.#target.table(this.#source.tableNames[index]!);
      for (const text of keys) {
        const key = Buffer.from(text, 'latin1');
        const value = this.#tables[index]!.get(key);
        if (value === undefined) to.remove(key);
        else to.put(key, value);
        keys.delete(text);
        if (endsStep(value?.length ?? 0)) return;
      }
    }
  }

  /**
   * Brings what is copied to disk, without holding the thread, and from then on each transaction.
   *
   * Errors: as `copySome`; DataPlaneError `DataInUse` when another process compacts it too.
   */
  async settle(): Promise<void> {
    const file = await open(join(this.#path, environmentFiles.data), 'r');
    // Open until the end, so that no other file can get its inode.
    try {
      await file.sync();
      this.#requireInPlace();
      await this.#target.close();
      const { mapBytes, tableNames: tables } = this.#source;
      this.#target = Environment.open({ path: this.#path, mapBytes, tables });
      if (this.#target.inode !== (await file.stat()).ino) throw this.#inUse();
    } catch (thrown) {
      throw asStorageError(thrown, this.#path);
    } finally {
      await file.close();
    }
    this.#isSettled = true;
  }

  #requireInPlace(): void {
    if (!this.#target.isInPlace) throw this.#inUse();
  }

  #inUse(): DataPlaneError {
    return new DataPlaneError('DataInUse', `${this.#source.path}: another process compacts it`);
  }

  /**
   * Goes on with the new files. Call it as soon as `copySome` returns true after `settle`: what is
   * written in between is copied here, while the thread and all other writers wait. Whoever else
   * has the environment open must call `reopen` before it reads what is written after this.
   *
   * Errors: DataPlaneError `StorageFull`, after which nothing has changed; abandon it. Any other
   * must end the process, which finds the old file or the new one when it starts again.
   */
  replace(): void {
    invariant(this.#isSettled, 'a compaction is on disk before it replaces anything');
    this.#target.requireRoom();
    this.#source.transact(() => {
      this.#requireOnlyWriter();
      if (this.#againCount > 0) this.#target.transact(() => this.#copyAgain(() => false));
      this.#requireWhole();
      reachCrashPoint('compaction-before-replace');
      renameSync(join(this.#path, environmentFiles.data), join(this.#source.path, environmentFiles.data));
      this.#goOn();
    });
    this.#stopWatching();
    this.#source.moveTo(this.#target);
    removeUnfinished(this.#source.path);
  }

  /**
   * Leaves the copy where it is, on disk and closed, with all rows as they are now: nothing may be
   * written meanwhile. Call it after `settle`, which has brought all but the last rows to disk.
   *
   * Errors: DataPlaneError `StorageFull`, after which it can be abandoned.
   */
  async finish(): Promise<void> {
    invariant(this.#isSettled && this.#areRowsCopied, 'a copy has all rows, and almost all on disk, when it ends');
    this.#target.requireRoom();
    // What was written last is what is copied here.
    this.#source.refreshReads();
    this.#target.transact(() => this.#copyAgain(() => false));
    this.#requireWhole();
    this.#stopWatching();
    this.#isFinished = true;
    await this.#target.close();
  }

  /** What is renamed next must be the file that was copied to, with all rows. */
  #requireWhole(): void {
    this.#requireInPlace();
    this.#target.refreshReads();
    for (const [index, table] of this.#tables.entries()) {
      const name = this.#source.tableNames[index]!;
      const [rows, copied] = [table.rowCount, this.#target.table(name).rowCount];
      invariant(copied === rows, `the copy of ${this.#source.path} has each row of "${name}": ${copied} of ${rows}`);
    }
  }

  /** Once the data file is in its place, there is no way back. Errors: InvariantError. */
  #goOn(): void {
    const { path } = this.#source;
    try {
      reachCrashPoint('compaction-after-replace');
      // At once: who opens the new file with the old lock may read or build on a page that is not
      // the last one, while who opens both from now on shares the lock with this environment.
      renameSync(join(this.#path, environmentFiles.lock), join(path, environmentFiles.lock));
      // Nothing is written before both names are on disk.
      syncFolder(path);
    } catch (thrown) {
      throw new InvariantError(`${path}: the compacted file is in its place, and cannot be used`, { cause: thrown });
    }
  }

  /** Ends it without an effect. */
  async abandon(): Promise<void> {
    this.#stopWatching();
    if (!this.#isFinished) await this.#target.close();
    rmSync(this.#path, { recursive: true, force: true });
  }

  #stopWatching(): void {
    for (const table of this.#tables) table.onWrite = null;
  }
}
