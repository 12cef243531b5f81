/**
 * One LMDB environment and its tables. The only importer of `lmdb`.
 *
 * Owns: the options of every open, synchronous durable transactions, plain byte tables, sizes.
 * Refuses: writes outside a transaction, and growth past `mapBytes`, since the library would resize
 * the map under readers.
 */
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { open as openFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Database, open, type RootDatabase, type TransactionFlags } from 'lmdb';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { invariant } from '../base/invariant.ts';
import { asStorageError, freeBytesMin, freeDiskBytes, requireDiskRoomIn } from './disk-room.ts';
import { countingPages, FreedPages } from './freed-pages.ts';
import { type LentRow, lendingOptions, RowCursor, viewOfValue } from './row-cursor.ts';
import { measured, type TransactionMeter } from './transaction-meter.ts';

/** The library's limit for keys. Units: bytes. */
export const keyBytesMax = 1978;

/** Copies, owned by the caller. */
export type Row = { readonly key: Buffer; readonly value: Buffer };

export type Scan = {
  /** Inclusive. First key of the range; with `isReverse` the last one, where the scan starts. */
  readonly start: Buffer;
  /** Exclusive. */
  readonly end: Buffer;
  readonly isReverse?: boolean;
  readonly limit?: number;
};

const putNewOptions = { noOverwrite: true };

/** One named sub-database with byte keys and byte values. Rows that it returns are copies. */
export class Table {
  #db: Database<Buffer, Buffer>;
  /** The same rows, lent instead of copied. */
  #lending: Database<undefined, Buffer>;
  /** Called with each key that is put or removed, whose memory may be reused. */
  onWrite: ((key: Buffer) => void) | null = null;

  constructor(root: RootDatabase<Buffer, Buffer>, name: string) {
    this.#db = root.openDB(name, { keyEncoding: 'binary', encoding: 'binary' });
    this.#lending = root.openDB(name, lendingOptions);
  }

  /** Reads and writes go on in the table of another environment with the same rows. */
  moveTo(other: Table): void {
    this.#db = other.#db;
    this.#lending = other.#lending;
  }

  get(key: Buffer): Buffer | undefined {
    return this.#db.getBinary(key);
  }

  /** Like `get`, but the next read of any table on this thread overwrites the bytes. */
  getVolatile(key: Buffer): Buffer | undefined {
    const memory = this.#db.getBinaryFast(key);
    return memory === undefined ? undefined : viewOfValue(memory, memory.length);
  }

  has(key: Buffer): boolean {
    return this.#db.getBinaryFast(key) !== undefined;
  }

  /** Errors: InvariantError for a key above `keyBytesMax`, which the parts of keys exclude. */
  put(key: Buffer, value: Buffer): void {
    invariant(key.length <= keyBytesMax, 'a key fits the storage engine');
    this.onWrite?.(key);
    // Complete on return when inside a transaction.
    void this.#db.put(key, value);
  }

  /** Puts a row after all others of the table, into pages that become full. */
  append(key: Buffer, value: Buffer): void {
    // The library's type declarations lack this form.
    const options: object = { append: true };
    void this.#db.put(key, value, options as never);
  }

  /** Puts a row unless its key has one. Returns whether it did, for the cost of the put alone. */
  putNew(key: Buffer, value: Buffer): boolean {
    invariant(key.length <= keyBytesMax, 'a key fits the storage engine');
    this.onWrite?.(key);
    // The library's type declarations say that it returns nothing.
    const isNew: unknown = this.#db.putSync(key, value, putNewOptions);
    return isNew === true;
  }

  remove(key: Buffer): void {
    this.onWrite?.(key);
    void this.#db.remove(key);
  }

  /** Removes a row. Returns whether there was one. */
  removeExisting(key: Buffer): boolean {
    this.onWrite?.(key);
    return this.#db.removeSync(key);
  }

  scan(range: Scan): Iterable<Row> {
    return this.#db.getRange({
      start: range.start,
      end: range.end,
      reverse: range.isReverse ?? false,
      ...(range.limit === undefined ? {} : { limit: range.limit }),
      snapshot: false,
    });
  }

  scanKeys(range: Scan): Iterable<Buffer> {
    return this.#db.getKeys({
      start: range.start,
      end: range.end,
      reverse: range.isReverse ?? false,
      ...(range.limit === undefined ? {} : { limit: range.limit }),
      snapshot: false,
    });
  }

  /** Opens a cursor before the first row of a range. With `keysOnly` it lends no values. */
  open({ start, end, isReverse: reverse = false, limit }: Scan, keysOnly = false): RowCursor {
    const some = { start, end, reverse, limit: limit ?? Number.POSITIVE_INFINITY, values: !keysOnly };
    return new RowCursor(this.#lending.getRange({ ...some, snapshot: false }));
  }

  /** Calls `visit` with each row of a range, which is lent, until it returns false. */
  visit(range: Scan, visit: (row: LentRow) => boolean, keysOnly = false): void {
    const cursor = this.open(range, keysOnly);
    try {
      for (let row = cursor.next(); row !== undefined; row = cursor.next()) if (!visit(row)) return;
    } finally {
      cursor.close();
    }
  }

  /** True when a key of a range exists. */
  hasAny(range: Scan): boolean {
    let count = 0;
    this.visit(range, () => count++ > 0, true);
    return count > 0;
  }

  /** Reads the pages of these keys on another thread, so that later gets do not wait for disk. */
  prefetch(keys: Buffer[]): Promise<void> {
    return this.#db.prefetch(keys);
  }

  /** Bytes of the pages that hold the table's rows, including unused space in them. */
  get pageBytes(): number {
    const stats = this.#stats;
    return (stats.treeBranchPageCount + stats.treeLeafPageCount + stats.overflowPages) * stats.pageSize;
  }

  get rowCount(): number {
    return this.#stats.entryCount;
  }

  get #stats(): TableStats {
    return this.#db.getStats() as TableStats;
  }
}

type TableStats = {
  readonly pageSize: number;
  readonly entryCount: number;
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
};

export type EnvironmentOptions = {
  readonly path: string;
  /** Fixed for the life of the process. Units: bytes of address space. */
  readonly mapBytes: number;
  readonly tables: readonly string[];
  /** False for commits that are on disk only once the file is synced. */
  readonly isDurable?: boolean;
};

/** The files of an environment, in its folder. */
export const environmentFiles = { data: 'data.mdb', lock: 'lock.mdb' } as const;

const readersMax = 512;
/**
 * A page fault loads one page. Read-ahead loads 31 more, which evict useful pages once the data
 * exceeds memory. The library's type declarations lack the option.
 */
const noReadAhead: object = { noReadAhead: true };
const synchronousAbortable = 3;
/** How long files that others have replaced stay open here: a prefetch may still read them. */
const replacedOpenMs = 30_000;

function inodeIn(path: string): number | undefined {
  return statSync(join(path, environmentFiles.data), { throwIfNoEntry: false })?.ino;
}

/** Ends LMDB's first read when another process of the same id has the environment open. */
const invalidArgument = 22;

/** LMDB keeps its readers by process id, so that of two equal ones the second cannot read. */
function requireReader(root: RootDatabase<Buffer, Buffer>, path: string): void {
  try {
    root.getStats();
  } catch (cause) {
    if ((cause as { code?: unknown }).code !== invalidArgument) throw cause;
    const message = `${path}: a process with the id ${process.pid}, as this one has, uses it from another container`;
    throw new DataPlaneError('DataInUse', message, { cause });
  }
}

export class Environment {
  readonly path: string;
  readonly mapBytes: number;
  readonly tableNames: readonly string[];
  #root: RootDatabase<Buffer, Buffer>;
  readonly #tableByName = new Map<string, Table>();
  #inode: number | undefined;
  /** Told of each transaction that is on disk; null measures none. */
  meter: TransactionMeter | null = null;
  /** Of files that were replaced. */
  readonly #replaced = new Map<RootDatabase<Buffer, Buffer>, NodeJS.Timeout>();
  readonly #freedPages = new FreedPages();

  private constructor(options: EnvironmentOptions, root: RootDatabase<Buffer, Buffer>) {
    this.path = options.path;
    this.mapBytes = options.mapBytes;
    this.tableNames = options.tables;
    this.#root = root;
    this.#inode = inodeIn(options.path);
    for (const name of options.tables) this.#tableByName.set(name, new Table(root, name));
  }

  /**
   * Opens or creates the environment in the folder `path`, and clears stale readers.
   *
   * Errors: DataPlaneError `DataInUse` when a process of the same id uses it, in another container.
   */
  static open(options: EnvironmentOptions): Environment {
    if (!existsSync(options.path)) mkdirSync(options.path, { recursive: true, mode: 0o700 });
    const root = open<Buffer, Buffer>({
      path: options.path,
      mapSize: options.mapBytes,
      maxDbs: options.tables.length + 1,
      maxReaders: readersMax,
      keyEncoding: 'binary',
      encoding: 'binary',
      noSubdir: false,
      noMemInit: true,
      overlappingSync: false,
      noSync: options.isDurable === false,
      ...noReadAhead,
      ...countingPages,
    });
    root.readerCheck();
    requireReader(root, options.path);
    return new Environment(options, root);
  }

  /** Opens the files that are in the folder now, after the writer has replaced them. */
  reopen(): void {
    this.moveTo(Environment.open({ path: this.path, mapBytes: this.mapBytes, tables: this.tableNames }));
  }

  /** Goes on with the handles of another environment, which must not be used any more. */
  moveTo(other: Environment): void {
    const replaced = this.#root;
    this.#root = other.#root;
    this.#inode = inodeIn(this.path);
    for (const [name, table] of this.#tableByName) table.moveTo(other.table(name));
    const close = (): void => {
      this.#replaced.delete(replaced);
      void replaced.close();
    };
    this.#replaced.set(replaced, setTimeout(close, replacedOpenMs).unref());
  }

  /** Of the open data file. */
  get inode(): number | undefined {
    return this.#inode;
  }

  /** False once another file is in the place of the open one. */
  get isInPlace(): boolean {
    return inodeIn(this.path) === this.#inode;
  }

  table(name: string): Table {
    const table = this.#tableByName.get(name);
    if (table === undefined) throw new DataPlaneError('Internal', `no table "${name}" in ${this.path}`);
    return table;
  }

  /** Bytes of pages in the file, whether in use or free for reuse. */
  get usedBytes(): number {
    const stats = this.#root.getStats() as { lastPageNumber: number; pageSize: number };
    return (stats.lastPageNumber + 1) * stats.pageSize;
  }

  /** Bytes of the pages of all tables, with unused space in them; the rest of the file is free. */
  get pageBytes(): number {
    let bytes = 0;
    for (const table of this.#tableByName.values()) bytes += table.pageBytes;
    return bytes;
  }

  /** Transactions since the environment was created. */
  get commitCount(): number {
    return (this.#root.getStats() as { lastTxnId: number }).lastTxnId;
  }

  /**
   * Runs `work` in one write transaction, durable on return. An exception in `work` aborts it.
   *
   * Errors: DataPlaneError `StorageFull` when the disk fills up meanwhile; call `requireRoom`
   * first.
   */
  transact<T>(work: () => T): T {
    const run = (all: () => T): T => {
      const result = this.#root.transactionSync(all, synchronousAbortable as TransactionFlags);
      this.#freedPages.release(this.#root, this.path);
      return result;
    };
    try {
      return this.meter === null ? run(work) : measured(run, work, this.meter);
    } catch (thrown) {
      throw asStorageError(thrown, this.path);
    }
  }

  /** Errors: DataPlaneError `StorageFull` when map or disk has less than `freeBytesMin` left. */
  requireRoom(): void {
    if (this.usedBytes + freeBytesMin > this.mapBytes) {
      throw new DataPlaneError('StorageFull', `the map of ${this.path} is full (${this.mapBytes} bytes)`);
    }
    this.requireDiskRoom();
  }

  /** Errors: DataPlaneError `StorageFull` when the disk has less than that and `moreBytes` left. */
  requireDiskRoom(moreBytes = 0): void {
    requireDiskRoomIn(this.path, moreBytes);
  }

  /**
   * Copies the environment as it is now into a folder, without free pages, on another thread.
   *
   * Returns: when the copy is on disk. Errors: DataPlaneError `StorageFull` where it has no room.
   */
  async copyTo(path: string): Promise<void> {
    this.requireDiskRoom(this.pageBytes);
    mkdirSync(path, { recursive: true, mode: 0o700 });
    try {
      await this.#root.backup(path, true);
    } catch (thrown) {
      // Of this call lmdb-js says why only in words.
      if (freeDiskBytes(path) >= freeBytesMin) throw thrown;
      throw new DataPlaneError('StorageFull', `copying to ${path} failed`, { cause: thrown });
    }
    const file = await openFile(join(path, environmentFiles.data), 'r');
    try {
      await file.sync();
    } finally {
      await file.close();
    }
  }

  /** Lets this thread's next read see commits of other threads at once. */
  refreshReads(): void {
    this.#root.resetReadTxn();
  }

  async close(): Promise<void> {
    for (const [root, timer] of this.#replaced) {
      clearTimeout(timer);
      await root.close();
    }
    this.#replaced.clear();
    await this.#root.close();
  }
}

/** Returns the first key after `key`. */
export function keyAfter(key: Buffer): Buffer {
  return Buffer.concat([key, Buffer.from([0])]);
}

/** Returns the first key after all keys that begin with `prefix`. */
export function prefixEnd(prefix: Buffer): Buffer {
  const end = Buffer.from(prefix);
  for (let index = end.length - 1; index >= 0; index--) {
    if (end[index] !== 255) {
      end[index]!++;
      return end.subarray(0, index + 1);
    }
  }
  return Buffer.alloc(64, 255);
}
