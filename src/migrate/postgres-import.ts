/**
 * Imports the database of an official data plane into the logs of the slots.
 *
 * Owns: the ranges of DIDs that are read in parallel, and the pages of tables that no index orders
 * by DID. A range or page counts as done once all its entries are durable in the logs, so that an
 * import that is run again reads only the others; entries that come twice change nothing, and what
 * came to a slot by itself stays. A row that cannot be used is left out and counted by its reason.
 * Refuses: all of a repo that an operator has purged, and what a privacy request has erased.
 */
import { isKeyableDid } from '../atproto/compact-key.ts';
import type { ErasedKind } from '../atproto/private-namespace.ts';
import type { Clock } from '../base/clock.ts';
import type { IfAbsentEntry, PrivateWrite } from '../entry/entry.ts';
import { erasedKindsOf } from '../entry/erasure-writes.ts';
import { suggestionChangesMax, suggestionsKey } from '../entry/suggestion.ts';
import { isRevAhead } from '../ingest/ahead-watch.ts';
import type { LogAppender } from '../log/log-appender.ts';
import { keysBySlot } from '../shardmap/slot-of.ts';
import type { CopyRow } from './copy-rows.ts';
import { DurableBatch, RepoRecords } from './durable-batch.ts';
import { type ImportProgress, ProgressMeter } from './import-progress.ts';
import { type ImportState, readImportState, writeImportState } from './import-state.ts';
import { literal, type RowSource } from './postgres-source.ts';
import {
  actorColumns,
  actorEntries,
  actorTables,
  ifAbsent,
  type KeyedTable,
  keyedTables,
  type OwnedTable,
  ownedTables,
  recordColumns,
  recordOfRow,
  revOfActor,
  suggestionOfRow,
  suggestionTables,
  textAt,
  timesOfRow,
} from './row-entries.ts';

const rangesMax = 4_096;
const actorsPerRange = 500;
/** Rows of one page of a `KeyedTable`, which are durable before the next is read. */
const rowsPerPage = 20_000;

export type PostgresImportOptions = {
  readonly source: RowSource;
  readonly appender: LogAppender;
  readonly clock: Clock;
  readonly statePath: string;
  /** Slots of the cluster. */
  readonly slots: number;
  /** Ranges that are read at a time. */
  readonly parallel: number;
  /** DIDs of which nothing is taken. */
  readonly refusedRepos: ReadonlySet<string>;
  /** By DID, the kinds of private data of which nothing is taken. */
  readonly erasures: ReadonlyMap<string, ReadonlySet<ErasedKind>>;
  readonly onProgress: (progress: ImportProgress) => void;
};

/** Has every slot note that an import runs, or no longer does. Returns: once that is durable. */
export async function markImport(appender: LogAppender, slots: number, runs: boolean): Promise<void> {
  const write = { type: 'import', runs } as const;
  await Promise.all(keysBySlot(slots).map((did) => appender.append(did, { kind: 'private', did, write })));
}

export class PostgresImport {
  readonly #options: PostgresImportOptions;
  readonly #meter: ProgressMeter;
  #state: ImportState = {
    database: '',
    boundaries: [],
    rangesDone: [],
    pagesAfter: {},
    tablesDone: [],
    counts: {},
  };
  /** Over all runs. */
  #records = 0;

  constructor(options: PostgresImportOptions) {
    this.#options = options;
    this.#meter = new ProgressMeter(options.clock);
  }

  /** What was read and kept, and what was not, by `refused <reason>`; over all runs. */
  get counts(): Readonly<Record<string, number>> {
    return this.#state.counts;
  }

  /** Imports what is not imported yet. Errors: DataPlaneError of the database or the nodes. */
  async run(): Promise<void> {
    const { source, statePath, parallel, appender, slots } = this.#options;
    const found = readImportState(statePath, source.name);
    // First, so that nothing is removed unseen between what is read and what is applied.
    await markImport(appender, slots, true);
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
    for (const table of keyedTables) await this.#importPages(table);
    await this.#importSuggestions();
    await markImport(appender, slots, false);
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
    const range = new DurableBatch(this.#options.appender);
    const revs = await this.#importActors(index, range);
    await this.#importRecords(index, range, revs);
    for (const table of ownedTables) await this.#importOwned(index, range, table);
    await range.end();
    this.#state.rangesDone.push(index);
    this.#keep(range.counts);
  }

  /** True for what is about a repo that was purged, which is counted. */
  #isRefused(did: string, batch: DurableBatch): boolean {
    if (!this.#options.refusedRepos.has(did)) return false;
    batch.count('refused repo-purged');
    return true;
  }

  /** True for what a privacy request has erased, as bsync's writes of it are dropped. */
  #isErased(did: string, write: PrivateWrite): boolean {
    const erased = this.#options.erasures.get(did);
    return erased !== undefined && erasedKindsOf(write).some((kind) => erased.has(kind));
  }

  /** Returns the revs of the repos. One from the future would hide all later commits. */
  async #importActors(index: number, range: DurableBatch): Promise<Map<string, string>> {
    const revs = new Map<string, string>();
    const query = `SELECT ${actorColumns} FROM ${actorTables} WHERE ${this.#within(index, 'a."did"')}`;
    for await (const rows of this.#options.source.rows(query)) {
      for (const row of rows) {
        const [did, rev] = [textAt(row, 0), revOfActor(row)];
        if (this.#isRefused(did, range)) continue;
        const entries = range.take('actors', actorEntries(row));
        if (entries === null) continue;
        const isAhead = isRevAhead(rev, this.#options.clock.nowMs());
        if (isAhead) range.count('refused rev-ahead');
        revs.set(did, isAhead ? '' : rev);
        for (const entry of entries) range.append(entry);
      }
      await range.room();
    }
    return revs;
  }

  async #importRecords(index: number, range: DurableBatch, revs: Map<string, string>): Promise<void> {
    const order = `WHERE ${this.#within(index, '"did"')} ORDER BY "did"`;
    let repo = new RepoRecords('', '', range);
    for await (const rows of this.#options.source.rows(`SELECT ${recordColumns} FROM "record" ${order}`)) {
      for (const row of rows) {
        const did = textAt(row, 0);
        if (this.#isRefused(did, range)) continue;
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

  async #importOwned(index: number, range: DurableBatch, table: OwnedTable): Promise<void> {
    const { name, columns, times, write } = table;
    const owner = columns.split(',')[0]!;
    const selected = [columns, ...(times ?? [])].join(', ');
    const query = `SELECT ${selected} FROM "${name}" WHERE ${this.#within(index, owner)}`;
    for await (const rows of this.#options.source.rows(query)) {
      for (const row of rows) {
        const did = textAt(row, 0);
        if (!isKeyableDid(did)) continue;
        const made = range.take(name, write(row));
        if (made !== null)
          this.#appendWanted(ifAbsent({ kind: 'private', did, write: made }, timesOfRow(table, row)), range);
      }
      await range.room();
    }
  }

  /** Reads a table by pages, in the order of its key. */
  async #importPages({ name, key, columns, entryOf }: KeyedTable): Promise<void> {
    const [order, selected] = [key.join(', '), [...key, ...columns].join(', ')];
    while (!this.#state.tablesDone.includes(name)) {
      const after = this.#state.pagesAfter[name]?.map(literal).join(', ');
      const where = after === undefined ? '' : `WHERE (${order}) > (${after})`;
      const query = `SELECT ${selected} FROM "${name}" ${where} ORDER BY ${order} LIMIT ${rowsPerPage}`;
      const page = new DurableBatch(this.#options.appender);
      let last: string[] | null = null;
      for await (const rows of this.#options.source.rows(query)) {
        for (const row of rows) {
          const entry = page.take(name, entryOf(row, this.#options.clock.nowMs()));
          if (entry !== null) this.#appendWanted(entry, page);
        }
        last = key.map((_column, index) => textAt(rows.at(-1)!, index));
        await page.room();
        this.#show(false);
      }
      await page.end();
      if (last === null) this.#state.tablesDone.push(name);
      else this.#state.pagesAfter[name] = last;
      this.#keep(page.counts);
    }
  }

  /** Appends what was neither purged nor erased; the rest is counted. */
  #appendWanted(entry: IfAbsentEntry, batch: DurableBatch): void {
    if (this.#isRefused(entry.did, batch)) return;
    if (entry.entry.kind === 'private' && this.#isErased(entry.did, entry.entry.write)) batch.count('refused erased');
    else batch.append(entry);
  }

  async #importSuggestions(): Promise<void> {
    for (const { list, name, query } of suggestionTables) {
      if (this.#state.tablesDone.includes(name)) continue;
      const table = new DurableBatch(this.#options.appender);
      const found: CopyRow[] = [];
      for await (const rows of this.#options.source.rows(query)) found.push(...rows);
      const changes = found.map(suggestionOfRow);
      table.count(name, changes.length);
      for (let at = 0; at < changes.length; at += suggestionChangesMax) {
        const write = { type: 'suggestions', list, changes: changes.slice(at, at + suggestionChangesMax) } as const;
        table.append(ifAbsent({ kind: 'private', did: suggestionsKey, write }));
      }
      await table.end();
      this.#state.tablesDone.push(name);
      this.#keep(table.counts);
    }
  }

  /** Makes durable what the state has become. */
  #keep(more: ReadonlyMap<string, number>): void {
    const { counts } = this.#state;
    for (const [name, count] of more) counts[name] = (counts[name] ?? 0) + count;
    writeImportState(this.#options.statePath, this.#state);
    this.#show(false);
  }

  #show(isEnd: boolean): void {
    if (!isEnd && !this.#meter.isDue) return;
    const { boundaries, rangesDone, counts } = this.#state;
    const [ranges, labels] = [boundaries.length + 1, counts['label'] ?? 0];
    const reached = { rangesDone: rangesDone.length, ranges, actors: counts['actors'] ?? 0, labels };
    this.#options.onProgress(this.#meter.at({ ...reached, records: this.#records }));
  }
}
