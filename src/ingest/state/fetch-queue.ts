/**
 * Which repos are to be fetched, when, and the outcome of finished fetches.
 *
 * Owns: how a request changes a repo's row, and the totals. The totals, and the hosts that rows
 * name, are also in memory; call `reload` after an aborted transaction.
 */
import { readDid, writeDid } from '../../atproto/compact-key.ts';
import { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { invariant } from '../../base/invariant.ts';
import { keyAfter, type Table } from '../../storage/environment.ts';
import type { CommitQueue } from './commit-queue.ts';
import type { HostListing, HostListings } from './host-listings.ts';
import { beginValue, didKey, everyKey, readValue, textKey, valueVersion } from './state-codec.ts';

const repoStates = ['queued', 'done', 'failed', 'gone'] as const;
/** `gone`: the host says the repo is deleted or withheld. `failed`: all attempts were used up. */
export type RepoState = (typeof repoStates)[number];

export type RepoRow = {
  readonly state: RepoState;
  readonly attempts: number;
  /** While queued, the earliest time of the next attempt; else when the last one ended. */
  readonly dueSec: number;
  /** Rev of the snapshot that the log holds; empty before the first. */
  readonly rev: string;
  /** A snapshot below this rev does not count as done; empty for any. */
  readonly revMin: string;
  /** Origin to ask when the DID document names none, or null. */
  readonly host: string | null;
};

/** A repo that is due. */
export type QueuedRepo = { readonly did: string; readonly row: RepoRow };

/**
 * When to fetch a repo. `missing`: only without a known outcome. `again`: whatever the outcome, but
 * not right after it. `now`: without any delay, and whatever rev was wanted before.
 */
export type FetchRequest = {
  readonly did: string;
  readonly host: string | null;
  readonly revMin: string;
  readonly urgency: 'missing' | 'again' | 'now';
};

/** Delay of a repeated fetch after an outcome. Units: seconds. */
const againSec: Readonly<Record<RepoState, number>> = { queued: 0, done: 10, failed: 3600, gone: 3600 };

export type RepoTotals = {
  readonly queued: number;
  readonly done: number;
  readonly failed: number;
  readonly gone: number;
  readonly records: number;
};

const emptyTotals: RepoTotals = { queued: 0, done: 0, failed: 0, gone: 0, records: 0 };
const totalsKey = textKey('totals');

function queueKey(dueSec: number, did: string): Buffer {
  const writer = new ByteWriter(48);
  writer.u32(dueSec);
  writeDid(writer, did);
  return writer.finish();
}

export type FetchTables = {
  /** DID → row. */
  readonly repos: Table;
  /** (due time, DID) of each queued repo → nothing. */
  readonly queue: Table;
  /** One row: the totals. */
  readonly sums: Table;
};

export class FetchQueue {
  readonly #tables: FetchTables;
  readonly #hosts: HostListings;
  readonly #commits: CommitQueue;
  #totals = emptyTotals;

  constructor(tables: FetchTables, hosts: HostListings, commits: CommitQueue) {
    this.#tables = tables;
    this.#hosts = hosts;
    this.#commits = commits;
    this.reload();
  }

  reload(): void {
    this.#totals = emptyTotals;
    const value = this.#tables.sums.get(totalsKey);
    if (value === undefined) return;
    const reader = readValue(value);
    const [queued, done, failed] = [reader.u48(), reader.u48(), reader.u48()];
    this.#totals = { queued, done, failed, gone: reader.u48(), records: reader.u48() };
  }

  get totals(): RepoTotals {
    return this.#totals;
  }

  /** Yields every DID that was ever requested. */
  *dids(): Generator<string> {
    const pageRows = 1_000;
    for (let start: Buffer = Buffer.alloc(1); ; ) {
      const keys = [...this.#tables.repos.scanKeys({ start, end: Buffer.alloc(64, 255), limit: pageRows })];
      for (const key of keys) yield readDid(new ByteReader(key));
      if (keys.length < pageRows) return;
      start = keyAfter(keys.at(-1)!);
    }
  }

  get(did: string): RepoRow | undefined {
    const value = this.#tables.repos.get(didKey(did));
    if (value === undefined) return undefined;
    const reader = readValue(value);
    const state = repoStates[reader.u8()];
    invariant(state !== undefined, 'a stored repo state is one that was given out');
    const [attempts, dueSec] = [reader.u8(), reader.u32()];
    const [rev, revMin] = [reader.text(), reader.text()];
    return { state, attempts, dueSec, rev, revMin, host: this.#hosts.originOf(reader.varint()) };
  }

  /**
   * Queues repos, in one transaction with the position in the host's list that they came from.
   *
   * Returns: how many were not queued before, once durable.
   */
  request(
    requests: readonly FetchRequest[],
    nowSec: number,
    listing?: { readonly host: string; readonly state: HostListing },
  ): Promise<number> {
    return this.#commits.write(() => {
      let count = 0;
      for (const request of requests) if (this.#enqueue(request, nowSec)) count++;
      if (listing !== undefined) this.#hosts.put(listing.host, listing.state);
      return count;
    });
  }

  /** Returns whether the repo was not queued before. */
  #enqueue(request: FetchRequest, nowSec: number): boolean {
    const before = this.get(request.did);
    if (before !== undefined && before.state !== 'queued' && request.urgency === 'missing') return false;
    const isNow = request.urgency === 'now';
    // An operator's request also clears a rev that no snapshot will ever have.
    const isHigher = before !== undefined && !isNow && before.revMin > request.revMin;
    const revMin = isHigher ? before.revMin : request.revMin;
    const host = request.host ?? before?.host ?? null;
    const isQueued = before?.state === 'queued';
    const restedSec = before === undefined ? 0 : before.dueSec + againSec[before.state];
    const dueSec = isNow ? nowSec : isQueued ? before.dueSec : Math.max(nowSec, restedSec);
    const attempts = isQueued && !isNow ? before.attempts : 0;
    const isSame = isQueued && dueSec === before.dueSec && revMin === before.revMin && host === before.host;
    if (isSame && attempts === before.attempts) return false;
    this.#move(request.did, before, { state: 'queued', attempts, dueSec, rev: before?.rev ?? '', revMin, host }, 0);
    return !isQueued;
  }

  #move(did: string, before: RepoRow | undefined, after: RepoRow, records: number): void {
    const { repos, queue, sums } = this.#tables;
    if (before?.state === 'queued') queue.remove(queueKey(before.dueSec, did));
    if (after.state === 'queued') queue.put(queueKey(after.dueSec, did), Buffer.of(valueVersion));
    const row = beginValue().u8(repoStates.indexOf(after.state)).u8(Math.min(after.attempts, 255)).u32(after.dueSec);
    repos.put(didKey(did), row.text(after.rev).text(after.revMin).varint(this.#hosts.numberOf(after.host)).finish());
    const totals: { -readonly [Key in keyof RepoTotals]: RepoTotals[Key] } = { ...this.#totals };
    if (before !== undefined) totals[before.state]--;
    totals[after.state]++;
    totals.records += records;
    this.#totals = totals;
    const sum = beginValue().u48(totals.queued).u48(totals.done).u48(totals.failed).u48(totals.gone);
    sums.put(totalsKey, sum.u48(totals.records).finish());
  }

  /** Stores the outcome of an attempt. Returns: the row as stored, once durable. */
  storeOutcome(did: string, change: (row: RepoRow) => RepoRow, records = 0): Promise<RepoRow> {
    return this.#commits.write(() => {
      const before = this.get(did);
      invariant(before !== undefined, 'an attempt ends for a repo that was queued');
      const after = change(before);
      this.#move(did, before, after, records);
      return after;
    });
  }

  /** Returns queued repos that are due, earliest first, without those that `skip` matches. */
  due(nowSec: number, limit: number, skip: (did: string) => boolean): QueuedRepo[] {
    const found: QueuedRepo[] = [];
    const end = Buffer.alloc(4);
    end.writeUInt32BE(Math.min(nowSec + 1, 2 ** 32 - 1));
    for (const key of this.#tables.queue.scanKeys({ start: everyKey.start, end })) {
      const did = readDid(new ByteReader(key, 4));
      if (skip(did)) continue;
      const row = this.get(did);
      invariant(row !== undefined, 'every queued repo has a row');
      found.push({ did, row });
      if (found.length >= limit) break;
    }
    return found;
  }

  /** Returns when the earliest queued repo is due (seconds since 1970), if any. */
  nextDueSec(skip: (did: string) => boolean): number | undefined {
    for (const key of this.#tables.queue.scanKeys(everyKey)) {
      if (!skip(readDid(new ByteReader(key, 4)))) return new ByteReader(key).u32();
    }
    return undefined;
  }
}
