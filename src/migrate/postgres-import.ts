/**
 * Imports the database of an official data plane into the logs of the slots.
 *
 * Owns: the ranges of DIDs that are read in parallel, and what is counted. A range counts as done
 * once all its entries are durable in the logs, so that an import that is run again reads only the
 * others; entries that come twice change nothing. Refuses: nothing of a range for one bad row,
 * which is counted by its reason. A repo that live commits have moved on takes nothing.
 */
import { isKeyableDid } from '../atproto/compact-key.ts';
import type { Clock } from '../base/clock.ts';
import type { Entry, ImportedRecord } from '../entry/entry.ts';
import { suggestionChangesMax, suggestionsKey } from '../entry/suggestion.ts';
import { EntriesRefused } from '../log/entries-refused.ts';
import type { LogAppender } from '../log/log-appender.ts';
import type { CopyRow } from './copy-rows.ts';
import { type ImportState, readImportState, writeImportState } from './import-state.ts';
import { literal, type RowSource } from './postgres-source.ts';
import {
  actorColumns,
  actorEntries,
  type Converted,
  labelColumns,
  labelOfRow,
  type OwnedTable,
  ownedTables,
  recordColumns,
  recordOfRow,
  revOfActor,
  suggestionOfRow,
  suggestionTables,
  textAt,
} from './row-entries.ts';

const rangesMax = 4_096;
const actorsPerRange = 500;
/** Bounds of one entry. Units: records; bytes of blocks. */
const entryRecordsMax = 500;
const entryBlockBytesMax = 256 * 1024;
const progressEveryMs = 1_000;
/** Speed is that of the last minute. */
const speedWindowMs = 60_000;

export type ImportProgress = {
  readonly rangesDone: number;
  readonly ranges: number;
  readonly actors: number;
  readonly records: number;
  readonly recordsPerS: number;
  readonly etaMs: number | null;
};

export type PostgresImportOptions = {
  readonly source: RowSource;
  readonly appender: LogAppender;
  readonly clock: Clock;
  readonly statePath: string;
  /** Ranges that are read at a time. */
  readonly parallel: number;
  readonly onProgress: (progress: ImportProgress) => void;
};

export class PostgresImport {
  readonly #options: PostgresImportOptions;
  #state: ImportState = { database: '', boundaries: [], rangesDone: [], tablesDone: [], counts: {} };
  /** Since this run began, to tell speed. */
  readonly #marks: { readonly atMs: number; readonly records: number }[] = [];
  #records = 0;
  #shownMs = 0;

  constructor(options: PostgresImportOptions) {
    this.#options = options;
  }

  /** What was read and kept, and what was not, by `refused <reason>`; over all runs. */
  get counts(): Readonly<Record<string, number>> {
    return this.#state.counts;
  }

  /** Imports what is not imported yet. Errors: DataPlaneError of the database or the nodes. */
  async run(): Promise<void> {
    const { source, statePath, parallel } = this.#options;
    const found = readImportState(statePath, source.name);
    this.#state = found ?? { ...this.#state, database: source.name, boundaries: await this.#boundaries() };
    if (found === undefined) writeImportState(statePath, this.#state);
    this.#records = this.#state.counts['records'] ?? 0;
    const done = new Set(this.#state.rangesDone);
    const waiting = Array.from({ length: this.#state.boundaries.length + 1 }, (_unused, index) => index);
    const ranges = waiting.filter((index) => !done.has(index));
    this.#show(true);
    const workers = Array.from({ length: parallel }, async () => {
      for (let index = ranges.shift(); index !== undefined; index = ranges.shift()) await this.#importRange(index);
    });
    try {
      await Promise.all(workers);
    } finally {
      // The others end after the range that they read.
      ranges.length = 0;
      await Promise.allSettled(workers);
    }
    await this.#importTables();
    this.#show(true);
  }

  /** Divides the DIDs by their order in the database, whatever its collation. */
  async #boundaries(): Promise<string[]> {
    const dids: string[] = [];
    let every = actorsPerRange;
    let index = 0;
    for await (const rows of this.#options.source.rows('SELECT "did" FROM "actor" ORDER BY "did"')) {
      for (const row of rows) if (++index % every === 0) dids.push(textAt(row, 0));
      if (dids.length < rangesMax) continue;
      every *= 2;
      dids.splice(0, dids.length, ...dids.filter((_did, at) => at % 2 === 1));
    }
    return dids;
  }

  #within(index: number, column: string): string {
    const { boundaries } = this.#state;
    const [from, to] = [boundaries[index - 1], boundaries[index]];
    const parts = [
      ...(from === undefined ? [] : [`${column} >= ${literal(from)}`]),
      ...(to === undefined ? [] : [`${column} < ${literal(to)}`]),
    ];
    return parts.length === 0 ? 'TRUE' : parts.join(' AND ');
  }

  async #importRange(index: number): Promise<void> {
    const range = new Durable(this.#options.appender);
    const revs = await this.#importActors(index, range);
    await this.#importRecords(index, range, revs);
    for (const table of ownedTables) await this.#importOwned(index, range, table);
    await range.end();
    this.#state.rangesDone.push(index);
    this.#keep(range.counts);
  }

  /** Returns the revs of the repos. */
  async #importActors(index: number, range: Durable): Promise<Map<string, string>> {
    const revs = new Map<string, string>();
    const from = '"actor" a LEFT JOIN "actor_sync" y USING ("did") LEFT JOIN "actor_state" s USING ("did")';
    const query = `SELECT ${actorColumns} FROM ${from} WHERE ${this.#within(index, 'a."did"')}`;
    for await (const rows of this.#options.source.rows(query)) {
      for (const row of rows) {
        const entries = range.take('actors', actorEntries(row));
        if (entries === null) continue;
        revs.set(textAt(row, 0), revOfActor(row));
        for (const entry of entries) range.append(textAt(row, 0), entry);
      }
      await range.room();
    }
    return revs;
  }

  async #importRecords(index: number, range: Durable, revs: Map<string, string>): Promise<void> {
    const order = `WHERE ${this.#within(index, '"did"')} ORDER BY "did"`;
    let repo = new RepoRecords('', '', range);
    for await (const rows of this.#options.source.rows(`SELECT ${recordColumns} FROM "record" ${order}`)) {
      for (const row of rows) {
        const did = textAt(row, 0);
        if (did !== repo.did) {
          repo.end();
          repo = new RepoRecords(did, revs.get(did) ?? '', range);
          revs.delete(did);
        }
        this.#records++;
        const record = range.take('records', recordOfRow(row));
        if (record !== null) repo.add(record);
      }
      await range.room();
      this.#show(false);
    }
    repo.end();
    for (const [did, rev] of revs) new RepoRecords(did, rev, range).end();
  }

  async #importOwned(index: number, range: Durable, { name, columns, order, write }: OwnedTable): Promise<void> {
    const owner = columns.split(',')[0]!;
    const query = `SELECT ${columns} FROM "${name}" WHERE ${this.#within(index, owner)} ORDER BY ${order}`;
    for await (const rows of this.#options.source.rows(query)) {
      for (const row of rows) {
        const did = textAt(row, 0);
        const made = isKeyableDid(did) ? range.take(name, write(row)) : null;
        if (made !== null) range.append(did, { kind: 'private', did, write: made });
      }
      await range.room();
    }
  }

  async #importTables(): Promise<void> {
    await this.#importTable('label', async (table) => {
      for await (const rows of this.#options.source.rows(`SELECT ${labelColumns} FROM "label"`)) {
        for (const row of rows) {
          const entry = table.take('label', labelOfRow(row));
          if (entry !== null && 'did' in entry) table.append(entry.did, entry);
        }
        await table.room();
      }
    });
    for (const { list, name, query } of suggestionTables) {
      await this.#importTable(name, async (table) => {
        const found: CopyRow[] = [];
        for await (const rows of this.#options.source.rows(query)) found.push(...rows);
        const changes = found.map(suggestionOfRow);
        table.count(name, changes.length);
        for (let at = 0; at < changes.length; at += suggestionChangesMax) {
          const write = { type: 'suggestions', list, changes: changes.slice(at, at + suggestionChangesMax) } as const;
          table.append(suggestionsKey, { kind: 'private', did: suggestionsKey, write });
        }
      });
    }
  }

  async #importTable(name: string, read: (table: Durable) => Promise<void>): Promise<void> {
    if (this.#state.tablesDone.includes(name)) return;
    const table = new Durable(this.#options.appender);
    await read(table);
    await table.end();
    this.#state.tablesDone.push(name);
    this.#keep(table.counts);
  }

  /** Makes durable what the state has become. */
  #keep(more: ReadonlyMap<string, number>): void {
    const { counts } = this.#state;
    for (const [name, count] of more) counts[name] = (counts[name] ?? 0) + count;
    writeImportState(this.#options.statePath, this.#state);
    this.#show(false);
  }

  #show(isDue: boolean): void {
    const nowMs = this.#options.clock.monotonicMs();
    if (!isDue && nowMs < this.#shownMs + progressEveryMs) return;
    this.#shownMs = nowMs;
    this.#marks.push({ atMs: nowMs, records: this.#records });
    while (this.#marks[0]!.atMs < nowMs - speedWindowMs) this.#marks.shift();
    const { boundaries, rangesDone, counts } = this.#state;
    const [first] = this.#marks;
    const seconds = (nowMs - first!.atMs) / 1000;
    const recordsPerS = seconds === 0 ? 0 : Math.round((this.#records - first!.records) / seconds);
    const ranges = boundaries.length + 1;
    const left = (this.#records / Math.max(1, rangesDone.length)) * (ranges - rangesDone.length);
    this.#options.onProgress({
      rangesDone: rangesDone.length,
      ranges,
      actors: counts['actors'] ?? 0,
      records: this.#records,
      recordsPerS,
      etaMs: recordsPerS === 0 || rangesDone.length === 0 ? null : Math.round((1000 * left) / recordsPerS),
    });
  }
}

/** Entries of one range or table, which ends when all are durable, and what it counts. */
class Durable {
  readonly #appender: LogAppender;
  readonly #appends: Promise<void>[] = [];
  readonly counts = new Map<string, number>();

  constructor(appender: LogAppender) {
    this.#appender = appender;
  }

  count(name: string, more = 1): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + more);
  }

  /** Counts a row under its table's name, and returns what it became, or null. */
  take<Value>(name: string, made: Converted<Value>): Value | null {
    this.count(name);
    if (made.ok) return made.value;
    this.count(`refused ${made.reason}`);
    return null;
  }

  append(key: string, entry: Entry): void {
    const appended = this.#appender.append(key, entry).catch((thrown: unknown) => {
      if (!(thrown instanceof EntriesRefused)) throw thrown;
      this.count(`refused ${thrown.reason}`);
    });
    // One that fails is noticed at the end.
    appended.catch(() => {});
    this.#appends.push(appended);
  }

  room(): Promise<void> {
    return this.#appender.waitForCapacity();
  }

  async end(): Promise<void> {
    await Promise.all(this.#appends);
  }
}

/** The records of one repo, in entries of a bounded size. */
class RepoRecords {
  readonly did: string;
  readonly #rev: string;
  readonly #range: Durable;
  #records: ImportedRecord[] = [];
  #bytes = 0;

  constructor(did: string, rev: string, range: Durable) {
    this.did = did;
    this.#rev = rev;
    this.#range = range;
  }

  add(record: ImportedRecord): void {
    if (this.#records.length === entryRecordsMax || this.#bytes > entryBlockBytesMax) this.#append(false);
    this.#records.push(record);
    this.#bytes += record.op.block.length;
  }

  end(): void {
    if (this.did !== '') this.#append(true);
  }

  #append(isLast: boolean): void {
    const { did } = this;
    this.#range.append(did, { kind: 'imported', did, rev: this.#rev, isLast, records: this.#records });
    this.#records = [];
    this.#bytes = 0;
  }
}
