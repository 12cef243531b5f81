/**
 * Look-ups that must be made, and when: those that nobody has tried yet before those to try again,
 * and those of the directory apart from those of other hosts, so that neither waits for the other.
 *
 * Owns: the bounds on how many wait, for each site and for all, so that a flood of names of one
 * host is refused while others are taken. Counts are also in memory; call `reload` after an aborted
 * transaction.
 */
import { readDid, writeDid } from '../../atproto/compact-key.ts';
import { ByteReader, ByteWriter } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import { directorySite, siteOfDid } from '../../identity/lookup-site.ts';
import type { Table } from '../../storage/environment.ts';
import type { CommitQueue } from './commit-queue.ts';
import { beginValue, didKey, everyKey, readValue, valueVersion } from './state-codec.ts';

export type QueuedLookup = {
  readonly did: string;
  /** Not tried before this time. */
  readonly dueSec: number;
  /** Tries so far; 0 for none. */
  readonly attempts: number;
  /** Those to which no host answered anything. */
  readonly silentAttempts: number;
  /** When the look-up was first requested. */
  readonly sinceSec: number;
  /** Time of the event that requests it. */
  readonly eventMs: number;
};

export const lookupLanes = ['directory', 'other'] as const;
/** Who is asked first: the directory of did:plc, or a did:web host. */
export type LookupLane = (typeof lookupLanes)[number];

function laneOf(did: string): LookupLane {
  return siteOfDid(did) === directorySite ? 'directory' : 'other';
}

/** Look-ups that wait: of the directory, of one other site, of all other sites. */
export type LookupQueueLimits = {
  readonly directoryMax: number;
  readonly siteMax: number;
  readonly otherSitesMax: number;
};
const lookupQueueLimits: LookupQueueLimits = { directoryMax: 1_000_000, siteMax: 5000, otherSitesMax: 100_000 };

/** Waiting look-ups as an operator sees them. Units: seconds since 1970; null without any. */
export type LookupQueueCounts = {
  readonly directory: number;
  readonly otherHosts: number;
  readonly oldestDueSec: number | null;
};

/** Returns how long the oldest look-up has been due, 0 when none is. Units: seconds. */
export function overdueSecOf({ oldestDueSec }: LookupQueueCounts, clock: Clock): number {
  return oldestDueSec === null ? 0 : Math.max(0, clock.nowMs() / 1000 - oldestDueSec);
}

function dueClass(lane: LookupLane, isRetry: boolean): number {
  return 2 * lookupLanes.indexOf(lane) + (isRetry ? 1 : 0);
}

function dueKey({ did, dueSec, attempts }: QueuedLookup): Buffer {
  const writer = new ByteWriter(48).u8(dueClass(laneOf(did), attempts > 0)).u32(dueSec);
  writeDid(writer, did);
  return writer.finish();
}

/** Returns the range of all that are due at `nowSec`. */
function dueRange(lane: LookupLane, isRetry: boolean, nowSec: number): { start: Buffer; end: Buffer } {
  const first = dueClass(lane, isRetry);
  const end = new ByteWriter(5).u8(first).u32(Math.min(nowSec + 1, 2 ** 32 - 1));
  return { start: Buffer.of(first), end: end.finish() };
}

/** Tables of one kind of look-up: DID → row; and an index by due time. */
export class LookupQueue {
  readonly #rows: Table;
  readonly #due: Table;
  readonly #commits: CommitQueue;
  readonly #limits: LookupQueueLimits;
  readonly #countBySite = new Map<string, number>();
  /** Changes of counts that are not durable yet. */
  #uncommitted: { readonly site: string; readonly change: number }[] = [];
  #otherHosts = 0;
  #requestsInFlight = 0;

  constructor(
    tables: { readonly rows: Table; readonly due: Table },
    commits: CommitQueue,
    limits: LookupQueueLimits = lookupQueueLimits,
  ) {
    this.#rows = tables.rows;
    this.#due = tables.due;
    this.#commits = commits;
    this.#limits = limits;
    for (const key of this.#rows.scanKeys(everyKey)) this.#count(siteOfDid(readDid(new ByteReader(key))), 1);
  }

  /** Takes back the counts of an aborted transaction. */
  reload(): void {
    for (const { site, change } of this.#uncommitted.splice(0)) this.#count(site, -change);
  }

  #count(site: string, change: number): void {
    const count = (this.#countBySite.get(site) ?? 0) + change;
    if (count === 0) this.#countBySite.delete(site);
    else this.#countBySite.set(site, count);
    if (site !== directorySite) this.#otherHosts += change;
  }

  #hasRoom(site: string): boolean {
    const count = this.#countBySite.get(site) ?? 0;
    const { directoryMax, siteMax, otherSitesMax } = this.#limits;
    return site === directorySite ? count < directoryMax : count < siteMax && this.#otherHosts < otherSitesMax;
  }

  async #write<Result>(work: () => Result): Promise<Result> {
    const result = await this.#commits.write(work);
    this.#uncommitted.length = 0;
    return result;
  }

  /** False when no look-up waits, and none is about to. */
  get isUsed(): boolean {
    return this.#countBySite.size + this.#requestsInFlight > 0;
  }

  /** Look-ups that wait. */
  get count(): number {
    return (this.#countBySite.get(directorySite) ?? 0) + this.#otherHosts;
  }

  get counts(): LookupQueueCounts {
    const oldest = lookupLanes.flatMap((lane) =>
      [false, true].flatMap((isRetry) => this.nextDueSec(lane, isRetry) ?? []),
    );
    return {
      directory: this.#countBySite.get(directorySite) ?? 0,
      otherHosts: this.#otherHosts,
      oldestDueSec: oldest.length === 0 ? null : Math.min(...oldest),
    };
  }

  get(did: string): QueuedLookup | undefined {
    const value = this.#rows.get(didKey(did));
    if (value === undefined) return undefined;
    const reader = readValue(value);
    const [dueSec, attempts, silentAttempts] = [reader.u32(), reader.u8(), reader.u8()];
    return { did, dueSec, attempts, silentAttempts, sinceSec: reader.u32(), eventMs: reader.u48() };
  }

  /**
   * Requests a look-up; one that waits already keeps the time since which it does.
   *
   * Returns: once durable, false when the queue is full and the request is not in it.
   */
  request(did: string, fields: Pick<QueuedLookup, 'dueSec' | 'attempts' | 'eventMs'>): Promise<boolean> {
    this.#requestsInFlight++;
    return this.#write(() => {
      const before = this.get(did);
      if (before === undefined && !this.#hasRoom(siteOfDid(did))) return false;
      this.#put({ did, ...fields, silentAttempts: 0, sinceSec: before?.sinceSec ?? fields.dueSec }, before);
      return true;
    }).finally(() => this.#requestsInFlight--);
  }

  /** Changes a look-up that still waits. Returns: once durable. */
  change(did: string, change: (row: QueuedLookup) => QueuedLookup): Promise<void> {
    return this.#write(() => {
      const before = this.get(did);
      if (before !== undefined) this.#put(change(before), before);
    });
  }

  #put(row: QueuedLookup, before: QueuedLookup | undefined): void {
    if (before === undefined) this.#countDurably(row.did, 1);
    else this.#due.remove(dueKey(before));
    this.#due.put(dueKey(row), Buffer.of(valueVersion));
    const [attempts, silentAttempts] = [Math.min(row.attempts, 255), Math.min(row.silentAttempts, 255)];
    const value = beginValue().u32(row.dueSec).u8(attempts).u8(silentAttempts).u32(row.sinceSec).u48(row.eventMs);
    this.#rows.put(didKey(row.did), value.finish());
  }

  #countDurably(did: string, change: number): void {
    const site = siteOfDid(did);
    this.#count(site, change);
    this.#uncommitted.push({ site, change });
  }

  /** Ends a look-up and writes its outcome in one transaction. Returns: once durable. */
  end(did: string, writeOutcome: () => void = () => {}): Promise<void> {
    return this.#write(() => {
      const before = this.get(did);
      if (before !== undefined) this.#remove(before);
      writeOutcome();
    });
  }

  /** Ends a look-up that waits and matches. Returns: whether it did, once durable. */
  endIf(did: string, matches: (row: QueuedLookup) => boolean): Promise<boolean> {
    return this.#write(() => {
      const before = this.get(did);
      if (before === undefined || !matches(before)) return false;
      this.#remove(before);
      return true;
    });
  }

  #remove(row: QueuedLookup): void {
    this.#rows.remove(didKey(row.did));
    this.#due.remove(dueKey(row));
    this.#countDurably(row.did, -1);
  }

  /** Returns look-ups that are due, those never tried first, without those that `skip` matches. */
  dueAt(lane: LookupLane, nowSec: number, limit: number, skip: (did: string) => boolean): QueuedLookup[] {
    const found: QueuedLookup[] = [];
    for (const isRetry of [false, true]) {
      for (const key of this.#due.scanKeys(dueRange(lane, isRetry, nowSec))) {
        if (found.length >= limit) return found;
        const did = readDid(new ByteReader(key, 5));
        const row = skip(did) ? undefined : this.get(did);
        if (row !== undefined) found.push(row);
      }
    }
    return found;
  }

  /** Returns when the earliest look-up of a lane is due (seconds since 1970), if any. */
  nextDueSec(lane: LookupLane, isRetry: boolean): number | undefined {
    const first = dueClass(lane, isRetry);
    const range = { start: Buffer.of(first), end: Buffer.of(first + 1), limit: 1 };
    for (const key of this.#due.scanKeys(range)) return new ByteReader(key, 1).u32();
    return undefined;
  }
}
