/**
 * The file of a node's search index: its tables, and how it is opened.
 *
 * Owns: the format and its version. The index is derived, so a file of another version, of another
 * tokeniser or a damaged one is removed and built again from the slots, never repaired. Written by
 * the index thread alone; search threads read.
 *
 * Tables: `doc` has a row for each post, whose words are in `post0`, and again in `post1` to
 * `post3` once it is liked enough; `moved` finds posts whose sort time many others share. Actors,
 * feeds and packs each have a table of keys, one of words of names, and one of words of all that
 * they say. `span` counts rows by ranges of row ids, so that a search knows how many it walks.
 * `slot` says how far each slot is indexed, in the transaction of its rows.
 */
import { rmSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { tokeniserVersion } from './tokenise.ts';

const schemaVersion = 4;
export const namedKinds = ['actor', 'feed', 'pack'] as const;
export type NamedKind = (typeof namedKinds)[number];
/**
 * Beginnings of words of names that have an index of their own, in characters. FTS5 would gather
 * all names that begin so for one of another length.
 */
export const beginningLengths = [1, 2, 3, 4, 5, 7, 10] as const;
export const postTables = ['post0', 'post1', 'post2', 'post3'] as const;

/** What every connection may hold of the file in memory. Units: KiB. */
const cacheKib = 64 * 1024;

/**
 * Holds two rows of FTS5, so that a build costs a seventh less than with a page for each. Larger
 * rows would make queries of several words dearer, which skip from row to row. Units: bytes.
 */
const pageBytes = 8_192;

/**
 * Segments of a size that are merged into one. FTS5's own 4 rewrites posts that come a few at a
 * time more often, for about a fifth more CPU; many more would make each look of a query dearer.
 */
const mergedSegments = 8;

const words = `content='', contentless_delete=1, tokenize="ascii tokenchars '=_'"`;
const names = `${words}, detail=none`;

function schema(): string {
  const posts = postTables.map((table) => `CREATE VIRTUAL TABLE ${table} USING fts5(t, ${words});`);
  const named = namedKinds.map(
    (kind) => `
      CREATE TABLE ${kind}(id INTEGER PRIMARY KEY, k BLOB NOT NULL UNIQUE);
      CREATE VIRTUAL TABLE ${kind}_name USING fts5(t, ${names}, prefix='${beginningLengths.join(' ')}');
      CREATE VIRTUAL TABLE ${kind}_text USING fts5(t, ${names});`,
  );
  return `
    CREATE TABLE slot(slot INTEGER PRIMARY KEY, served INTEGER NOT NULL, building INTEGER NOT NULL,
      epoch INTEGER NOT NULL, seq INTEGER NOT NULL, owner INTEGER NOT NULL);
    CREATE TABLE fact(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE doc(id INTEGER PRIMARY KEY, w INTEGER NOT NULL, k BLOB NOT NULL);
    CREATE TABLE moved(k BLOB PRIMARY KEY, id INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE span(kind TEXT NOT NULL, bucket INTEGER NOT NULL, rows INTEGER NOT NULL,
      PRIMARY KEY(kind, bucket)) WITHOUT ROWID;
    ${posts.join('\n')}
    ${named.join('\n')}
    ${postTables.map((table) => `INSERT INTO ${table}(${table}, rank) VALUES('automerge', ${mergedSegments});`).join('\n')}
    PRAGMA user_version = ${schemaVersion * 1000 + tokeniserVersion};`;
}

/** Kinds of rows, as `span` names them, and row ids that one of its rows counts. */
export const idsPerSpan: Readonly<Record<NamedKind | 'post', number>> = {
  // 70 minutes.
  post: 2 ** 20,
  // A level.
  actor: 2 ** 32,
  feed: 2 ** 32,
  pack: 2 ** 32,
};

/** SQLite's own numbers for what may happen to a file. */
const damagedCodes: ReadonlySet<number> = new Set([11, 26]);
const fullCode = 13;

function codeOf(thrown: unknown): number {
  const code = (thrown as { errcode?: unknown } | null)?.errcode;
  return typeof code === 'number' ? code & 0xff : -1;
}

/** True for what SQLite throws of a file that is damaged, or that is none of its own. */
export function isDamage(thrown: unknown): boolean {
  return damagedCodes.has(codeOf(thrown));
}

/** True for what SQLite throws when the disk is full. */
export function isDiskFull(thrown: unknown): boolean {
  return codeOf(thrown) === fullCode;
}

/** True for anything that SQLite throws. */
export function isIndexFailure(thrown: unknown): boolean {
  return (thrown as { code?: unknown } | null)?.code === 'ERR_SQLITE_ERROR';
}

/** Removes the file, and what SQLite keeps beside it. */
export function removeIndexFile(path: string): void {
  for (const end of ['', '-wal', '-shm', '-journal']) rmSync(`${path}${end}`, { force: true });
}

function versionOf(db: DatabaseSync): number {
  const row = db.prepare('PRAGMA user_version').get() as { user_version: number };
  return row.user_version;
}

/**
 * Opens the file for its one writer; a new one is made if there is none. Null: of another kind.
 *
 * Transactions are not on disk when they end, but in order: a crash takes back some of the last.
 */
export function openForWriting(path: string): DatabaseSync | null {
  const db = new DatabaseSync(path);
  try {
    db.exec(
      `PRAGMA page_size=${pageBytes}; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-${cacheKib};`,
    );
    const version = versionOf(db);
    if (version === schemaVersion * 1000 + tokeniserVersion) return db;
    const { count } = db.prepare('SELECT count(*) AS count FROM sqlite_schema').get() as { count: number };
    if (version === 0 && count === 0) {
      db.exec(`BEGIN; ${schema()} COMMIT;`);
      return db;
    }
  } catch (thrown) {
    db.close();
    throw thrown;
  }
  db.close();
  return null;
}

/** Opens the file for reading. Errors: those of SQLite when there is none. */
export function openForReading(path: string): DatabaseSync {
  const db = new DatabaseSync(path, { readOnly: true });
  db.exec(`PRAGMA query_only=1; PRAGMA cache_size=-${cacheKib};`);
  return db;
}

/** No number: it would arrive as a REAL, which FTS5 ignores as a bound, and walk a whole index. */
export type BoundValue = string | bigint | Uint8Array;

/** Statements of a connection by their text, prepared once. */
export class Statements {
  readonly #db: DatabaseSync;
  readonly #byText = new Map<string, StatementSync>();

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  #of(text: string): StatementSync {
    let statement = this.#byText.get(text);
    if (statement === undefined) {
      statement = this.#db.prepare(text);
      this.#byText.set(text, statement);
    }
    return statement;
  }

  /** Lets several reads see one state of the file. */
  inSnapshot<Result>(read: () => Result): Result {
    this.run('BEGIN');
    try {
      return read();
    } finally {
      if (this.#db.isTransaction) this.run('COMMIT');
    }
  }

  run(text: string, ...values: BoundValue[]): void {
    this.#of(text).run(...values);
  }

  all<Row>(text: string, ...values: BoundValue[]): Row[] {
    return this.#of(text).all(...values) as Row[];
  }

  get<Row>(text: string, ...values: BoundValue[]): Row | undefined {
    return this.#of(text).get(...values) as Row | undefined;
  }
}
