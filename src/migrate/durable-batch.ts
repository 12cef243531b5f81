/**
 * Entries of one range or page of an import, which ends when all are durable in the logs.
 *
 * Owns: what is counted of them. Nothing is kept of an entry but that it is outstanding: how many
 * there are is bounded by the appender's capacity, for which `room` waits.
 */
import type { IfAbsentEntry, ImportedEntry, ImportedRecord } from '../entry/entry.ts';
import { EntriesRefused } from '../log/entries-refused.ts';
import type { LogAppender } from '../log/log-appender.ts';

/** A counted reason, or what a row becomes. */
export type Converted<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly reason: string };

export const refused = (reason: string) => ({ ok: false, reason }) as const;

/** Bounds of one entry. Units: records; bytes of blocks. */
const entryRecordsMax = 500;
const entryBlockBytesMax = 256 * 1024;

export class DurableBatch {
  readonly #appender: LogAppender;
  #outstanding = 0;
  #failure: unknown = null;
  #ended: PromiseWithResolvers<void> | null = null;
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

  append(entry: ImportedEntry | IfAbsentEntry): void {
    this.#outstanding++;
    this.#appender.append(entry.did, entry).then(this.#done, (thrown: unknown) => {
      // That of another entry of its chunk is none of its own.
      if (!(thrown instanceof EntriesRefused)) this.#failure ??= thrown;
      else if (thrown.dids.has(entry.did)) this.count(`refused ${thrown.reason}`);
      this.#done();
    });
  }

  readonly #done = (): void => {
    if (--this.#outstanding === 0) this.#ended?.resolve();
  };

  /** Errors: the first failure, so that no more is read. */
  async room(): Promise<void> {
    if (this.#failure !== null) throw this.#failure;
    if (!this.#appender.hasCapacity) await this.#appender.waitForCapacity();
  }

  /** Returns: once all is durable, or left out. Errors: the first failure. */
  async end(): Promise<void> {
    if (this.#outstanding > 0) {
      this.#ended = Promise.withResolvers();
      await this.#ended.promise;
    }
    if (this.#failure !== null) throw this.#failure;
  }
}

/** The records of one repo, in entries of a bounded size. */
export class RepoRecords {
  readonly did: string;
  readonly #rev: string;
  readonly #batch: DurableBatch;
  #records: ImportedRecord[] = [];
  #bytes = 0;

  constructor(did: string, rev: string, batch: DurableBatch) {
    this.did = did;
    this.#rev = rev;
    this.#batch = batch;
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
    this.#batch.append({ kind: 'imported', did, rev: this.#rev, isLast, records: this.#records });
    this.#records = [];
    this.#bytes = 0;
  }
}
