/**
 * One LMDB environment and its tables: the only door to `lmdb`.
 *
 * Owns: opening with one fixed set of options, synchronous durable transactions, plain byte tables,
 * sizes. Refuses: writes outside a transaction and growth past `mapBytes`, since the library would
 * resize the map under readers.
 */
import { existsSync, mkdirSync, statfsSync } from 'node:fs';
import { type Database, open, type RootDatabase, type TransactionFlags } from 'lmdb';
import { DataPlaneError } from '../base/data-plane-error.ts';

/** One row of a scan; its bytes are copies that the caller owns. */
export type Row = { readonly key: Buffer; readonly value: Buffer };

/** A range of keys and the way through it. */
export type Scan = {
  /**
   * First key of the range; with `isReverse`, the last one, from which the scan walks down.
   * Inclusive.
   */
  readonly start: Buffer;
  /** Where to stop. Exclusive. */
  readonly end: Buffer;
  readonly isReverse?: boolean;
  readonly limit?: number;
};

/** One named sub-database with byte keys and byte values. Rows that it returns are copies. */
export class Table {
  readonly #db: Database<Buffer, Buffer>;

  constructor(db: Database<Buffer, Buffer>) {
    this.#db = db;
  }

  get(key: Buffer): Buffer | undefined {
    return this.#db.getBinary(key);
  }

  /**
   * Like `get`, but the bytes are overwritten by the next read of any table of this thread.
   *
   * Its `length` is right, but the memory behind it is longer: `copy`, `subarray`, `set`,
   * `Buffer.from` and the slices to text need an explicit end.
   */
  getVolatile(key: Buffer): Buffer | undefined {
    return this.#db.getBinaryFast(key);
  }

  has(key: Buffer): boolean {
    return this.#db.getBinaryFast(key) !== undefined;
  }

  put(key: Buffer, value: Buffer): void {
    // Inside a transaction it is done when it returns.
    void this.#db.put(key, value);
  }

  remove(key: Buffer): void {
    void this.#db.remove(key);
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

  /**
   * Reads the pages of these keys on another thread, so that the gets that follow do not wait for
   * the disk.
   */
  prefetch(keys: Buffer[]): Promise<void> {
    return this.#db.prefetch(keys);
  }

  /** Bytes of the pages that hold the table's rows, the room left in them included. */
  get pageBytes(): number {
    const stats = this.#db.getStats() as {
      pageSize: number;
      treeBranchPageCount: number;
      treeLeafPageCount: number;
      overflowPages: number;
    };
    return (stats.treeBranchPageCount + stats.treeLeafPageCount + stats.overflowPages) * stats.pageSize;
  }
}

/** What an environment is opened with; the same for every handle on it. */
export type EnvironmentOptions = {
  readonly path: string;
  /** Fixed for the life of the process. Units: bytes of address space. */
  readonly mapBytes: number;
  readonly tables: readonly string[];
};

/**
 * Room that must be left in the map and on the disk before a transaction may begin. Units: bytes.
 */
export const freeBytesMin = 32 * 2 ** 20;
const readersMax = 512;
/**
 * A fault brings in the one page that is asked for. Read-ahead brings in thirty-one more, which
 * push others out once the data is larger than memory. The library's type declarations do not know
 * the option.
 */
const noReadAhead: object = { noReadAhead: true };
const synchronousAbortable = 3;

export class Environment {
  readonly path: string;
  readonly mapBytes: number;
  readonly #root: RootDatabase<Buffer, Buffer>;
  readonly #tableByName = new Map<string, Table>();

  private constructor(options: EnvironmentOptions, root: RootDatabase<Buffer, Buffer>) {
    this.path = options.path;
    this.mapBytes = options.mapBytes;
    this.#root = root;
    for (const name of options.tables) {
      this.#tableByName.set(name, new Table(root.openDB(name, { keyEncoding: 'binary', encoding: 'binary' })));
    }
  }

  /**
   * Opens, or makes, the environment in the folder `path`. Stale readers of killed processes are
   * cleared.
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
      ...noReadAhead,
    });
    root.readerCheck();
    return new Environment(options, root);
  }

  table(name: string): Table {
    const table = this.#tableByName.get(name);
    if (table === undefined) throw new DataPlaneError('Internal', `no table "${name}" in ${this.path}`);
    return table;
  }

  /** Bytes of the file that hold pages in use or free for reuse. */
  get usedBytes(): number {
    const stats = this.#root.getStats() as { lastPageNumber: number; pageSize: number };
    return (stats.lastPageNumber + 1) * stats.pageSize;
  }

  /** Transactions since the environment was made. */
  get commitCount(): number {
    return (this.#root.getStats() as { lastTxnId: number }).lastTxnId;
  }

  /**
   * Runs `work` in one write transaction, which is on disk when this returns. What `work` throws
   * aborts it whole.
   *
   * Errors: DataPlaneError `StorageFull` when the disk fills up under it; `requireRoom` is for
   * before.
   */
  transact<T>(work: () => T): T {
    try {
      return this.#root.transactionSync(work, synchronousAbortable as TransactionFlags);
    } catch (thrown) {
      throw asStorageError(thrown, this.path);
    }
  }

  /**
   * Errors: DataPlaneError `StorageFull` when the map or the disk lacks the room that a transaction
   * may need.
   */
  requireRoom(): void {
    if (this.usedBytes + freeBytesMin > this.mapBytes) {
      throw new DataPlaneError('StorageFull', `the map of ${this.path} is full (${this.mapBytes} bytes)`);
    }
    if (freeDiskBytes(this.path) < freeBytesMin) {
      throw new DataPlaneError('StorageFull', `the disk of ${this.path} is full`);
    }
  }

  /** Lets this thread's next read see the latest commit of another thread at once. */
  refreshReads(): void {
    this.#root.resetReadTxn();
  }

  close(): Promise<void> {
    return this.#root.close();
  }
}

/**
 * How a full disk shows at commit (ENOSPC, or EIO where LMDB hides it), and how a full map does.
 */
const fullCodes: ReadonlySet<unknown> = new Set([28, 'ENOSPC', -30792]);
const brokenDiskCodes: ReadonlySet<unknown> = new Set([5, 'EIO']);

/** A disk that fails to write while it has room is broken, and nothing that waiting would mend. */
function asStorageError(thrown: unknown, path: string): unknown {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  const isFull = fullCodes.has(code) || (brokenDiskCodes.has(code) && freeDiskBytes(path) < freeBytesMin);
  return isFull ? new DataPlaneError('StorageFull', `writing to ${path} failed`, { cause: thrown }) : thrown;
}

function freeDiskBytes(path: string): number {
  const disk = statfsSync(path);
  return disk.bavail * disk.bsize;
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
