/**
 * What ingest must remember across restarts: cursors by source, repos to fetch and those fetched, when a DID was last
 * resolved, and how far each host's repo list was read.
 *
 * Owns: one LMDB environment with one writer, the ingest process. A read sees only committed writes, so whatever reads
 * before it writes does so inside one transaction. Refuses: values of another version.
 */
import { type Database, open, type RootDatabase } from 'lmdb';
import { readDid, writeDid } from '../atproto/compact-key.ts';
import { ByteReader, ByteWriter } from '../base/bytes.ts';
import { invariant } from '../base/invariant.ts';

const valueVersion = 1;
/** Address space reserved for the environment; the file grows only as it is filled. Units: bytes. */
const mapBytes = 2 ** 36;

/** A place in a source's stream. `seq` is inclusive: everything up to it is durable in the log. */
export type StoredCursor = { readonly seq: number; readonly timeMs: number };

/** When a DID was last resolved, and whether a handle proved it. */
export type IdentityCheck = { readonly checkedAtSec: number; readonly hasHandle: boolean };

/** A DID whose resolution was asked for and has failed so far. */
export type PostponedIdentity = { readonly did: string; readonly attempts: number; readonly dueSec: number };

const repoStates = ['queued', 'done', 'failed', 'gone'] as const;
/** How far the fetch of a repo has come. `gone`: the host says that the repo is deleted or withheld. `failed`: every attempt was used up. */
export type RepoState = (typeof repoStates)[number];

/** What is known of one repo's fetch. */
export type RepoRow = {
  readonly state: RepoState;
  readonly attempts: number;
  /** While queued, from when the next attempt may start; else, when the last one ended. */
  readonly dueSec: number;
  /** Rev of the snapshot that the log holds; empty before the first. */
  readonly rev: string;
  /** A snapshot below this rev does not count as done; empty for any. */
  readonly revMin: string;
  /** Origin to ask when the DID document names none, or null. */
  readonly host: string | null;
};

/** A repo whose turn has come. */
export type QueuedRepo = { readonly did: string; readonly row: RepoRow };

/**
 * A wish to fetch a repo. `missing`: unless an outcome is known. `again`: whatever the outcome was, but not at once after it.
 * `now`: ahead of any wait.
 */
export type RepoRequest = {
  readonly did: string;
  readonly host: string | null;
  readonly revMin: string;
  readonly urgency: 'missing' | 'again' | 'now';
};

/** How long after an outcome a repo is left alone when it is wished for again. Units: seconds. */
const againSec: Readonly<Record<RepoState, number>> = { queued: 0, done: 10, failed: 3600, gone: 3600 };

const listingStates = ['unasked', 'listing', 'listed'] as const;
/** How far a host's list of repos was read. `unasked`: the host is only named by repos. */
export type HostListing = {
  readonly state: (typeof listingStates)[number];
  readonly pageToken: string;
  readonly repos: number;
};

/** Sums over all repos. */
export type RepoTotals = {
  readonly queued: number;
  readonly done: number;
  readonly failed: number;
  readonly gone: number;
  readonly records: number;
};

const didKey = (did: string): Buffer => {
  const writer = new ByteWriter(40);
  writeDid(writer, did);
  return writer.finish();
};

const textKey = (text: string): Buffer => Buffer.from(text, 'utf8');

const queueKey = (dueSec: number, did: string): Buffer => {
  const writer = new ByteWriter(48);
  writer.u32(dueSec);
  writeDid(writer, did);
  return writer.finish();
};

function readerOf(value: Buffer): ByteReader {
  const reader = new ByteReader(value);
  invariant(reader.u8() === valueVersion, 'a value of the ingest state has a known version');
  return reader;
}

const writerOf = (): ByteWriter => new ByteWriter(48).u8(valueVersion);

const emptyTotals: RepoTotals = { queued: 0, done: 0, failed: 0, gone: 0, records: 0 };

/** The durable state of one ingest process. */
export class IngestState implements AsyncDisposable {
  readonly #root: RootDatabase<Buffer, Buffer>;
  readonly #cursors: Database<Buffer, Buffer>;
  readonly #repos: Database<Buffer, Buffer>;
  readonly #queue: Database<Buffer, Buffer>;
  readonly #hosts: Database<Buffer, Buffer>;
  readonly #identities: Database<Buffer, Buffer>;
  readonly #postponed: Database<Buffer, Buffer>;
  readonly #sums: Database<Buffer, Buffer>;
  /** Host origins by number; few, so they are all kept. Number 0 is "none". */
  readonly #hostNumbers = new Map<string, number>();
  readonly #hostByNumber: string[] = [''];
  readonly #listings = new Map<string, HostListing>();
  #totals: RepoTotals = emptyTotals;

  /** Opens, or makes, the state in the folder `path`. */
  constructor(path: string) {
    this.#root = open({ path, mapSize: mapBytes, maxDbs: 8, keyEncoding: 'binary', encoding: 'binary' });
    const table = (name: string): Database<Buffer, Buffer> =>
      this.#root.openDB({ name, keyEncoding: 'binary', encoding: 'binary' });
    this.#cursors = table('cursors');
    this.#repos = table('repos');
    this.#queue = table('queue');
    this.#hosts = table('hosts');
    this.#identities = table('identities');
    this.#postponed = table('postponed');
    this.#sums = table('sums');
    this.#loadHosts();
    this.#loadTotals();
  }

  #loadHosts(): void {
    for (const { key, value } of this.#hosts.getRange()) {
      const reader = readerOf(value);
      const number = reader.u32();
      const host = key.toString('utf8');
      this.#hostNumbers.set(host, number);
      this.#hostByNumber[number] = host;
      const state = listingStates[reader.u8()];
      invariant(state !== undefined, 'a stored listing state is one that was given out');
      this.#listings.set(host, { state, repos: reader.u48(), pageToken: reader.text() });
    }
  }

  #loadTotals(): void {
    const value = this.#sums.get(textKey('totals'));
    if (value === undefined) return;
    const reader = readerOf(value);
    this.#totals = {
      queued: reader.u48(),
      done: reader.u48(),
      failed: reader.u48(),
      gone: reader.u48(),
      records: reader.u48(),
    };
  }

  #writeTotals(totals: RepoTotals): void {
    this.#totals = totals;
    const writer = writerOf().u48(totals.queued).u48(totals.done).u48(totals.failed).u48(totals.gone);
    this.#sums.putSync(textKey('totals'), writer.u48(totals.records).finish());
  }

  /** Returns the cursor that was last made durable for a source. */
  cursor(source: string): StoredCursor | undefined {
    const value = this.#cursors.get(textKey(source));
    if (value === undefined) return undefined;
    const reader = readerOf(value);
    return { seq: reader.u48(), timeMs: reader.u48() };
  }

  /** Stores a cursor. Returns: once it is on disk. */
  async storeCursor(source: string, cursor: StoredCursor): Promise<void> {
    const writer = writerOf().u48(cursor.seq);
    await this.#cursors.put(textKey(source), writer.u48(cursor.timeMs).finish());
    await this.#root.flushed;
  }

  identityCheck(did: string): IdentityCheck | undefined {
    const value = this.#identities.get(didKey(did));
    if (value === undefined) return undefined;
    const reader = readerOf(value);
    return { checkedAtSec: reader.u32(), hasHandle: reader.u8() === 1 };
  }

  /** Notes when a DID was resolved. Returns: once committed; a crash before that costs one look-up more. */
  async noteIdentityCheck(did: string, check: IdentityCheck): Promise<void> {
    const writer = writerOf().u32(check.checkedAtSec);
    const key = didKey(did);
    const removed = this.#postponed.get(key) === undefined ? undefined : this.#postponed.remove(key);
    await this.#identities.put(key, writer.u8(check.hasHandle ? 1 : 0).finish());
    await removed;
  }

  /** Puts a resolution off to a later time. Returns: once on disk. */
  async postponeIdentity(postponed: PostponedIdentity): Promise<void> {
    const writer = writerOf().u32(postponed.dueSec);
    await this.#postponed.put(didKey(postponed.did), writer.u8(Math.min(postponed.attempts, 255)).finish());
    await this.#root.flushed;
  }

  /** Gives a resolution up. */
  async dropPostponedIdentity(did: string): Promise<void> {
    await this.#postponed.remove(didKey(did));
  }

  /** Returns at most `limit` resolutions that are due. */
  postponedIdentities(nowSec: number, limit: number): PostponedIdentity[] {
    const found: PostponedIdentity[] = [];
    for (const { key, value } of this.#postponed.getRange()) {
      const reader = readerOf(value);
      const dueSec = reader.u32();
      if (dueSec > nowSec) continue;
      found.push({ did: readDid(new ByteReader(key)), dueSec, attempts: reader.u8() });
      if (found.length >= limit) break;
    }
    return found;
  }

  #hostNumber(host: string | null): number {
    if (host === null) return 0;
    const known = this.#hostNumbers.get(host);
    if (known !== undefined) return known;
    const number = this.#hostByNumber.length;
    this.#hostNumbers.set(host, number);
    this.#hostByNumber.push(host);
    this.#putListing(host, { state: 'unasked', pageToken: '', repos: 0 });
    return number;
  }

  #putListing(host: string, listing: HostListing): void {
    // First, since a host that is new gets its number and a listing of its own.
    const number = this.#hostNumber(host);
    this.#listings.set(host, listing);
    const writer = writerOf().u32(number);
    writer.u8(listingStates.indexOf(listing.state)).u48(listing.repos);
    this.#hosts.putSync(textKey(host), writer.text(listing.pageToken).finish());
  }

  #decodeRepo(value: Buffer): RepoRow {
    const reader = readerOf(value);
    const state = repoStates[reader.u8()];
    invariant(state !== undefined, 'a stored repo state is one that was given out');
    const attempts = reader.u8();
    const dueSec = reader.u32();
    const rev = reader.text();
    const revMin = reader.text();
    const host = this.#hostByNumber[reader.varint()];
    return { state, attempts, dueSec, rev, revMin, host: host === undefined || host === '' ? null : host };
  }

  #putRepo(did: string, row: RepoRow): void {
    const writer = writerOf().u8(repoStates.indexOf(row.state)).u8(Math.min(row.attempts, 255)).u32(row.dueSec);
    writer.text(row.rev).text(row.revMin).varint(this.#hostNumber(row.host));
    this.#repos.putSync(didKey(did), writer.finish());
  }

  repo(did: string): RepoRow | undefined {
    const value = this.#repos.get(didKey(did));
    return value === undefined ? undefined : this.#decodeRepo(value);
  }

  /**
   * Queues repos, in one transaction with the place in the host's list that they came from.
   *
   * Returns: how many were not queued before, once on disk.
   */
  async enqueueRepos(
    requests: readonly RepoRequest[],
    nowSec: number,
    listing?: { readonly host: string; readonly state: HostListing },
  ): Promise<number> {
    const added = await this.#root.transaction(() => {
      let count = 0;
      for (const request of requests) if (this.#enqueue(request, nowSec)) count++;
      if (listing !== undefined) this.#putListing(listing.host, listing.state);
      return count;
    });
    await this.#root.flushed;
    return added;
  }

  #enqueue(request: RepoRequest, nowSec: number): boolean {
    const before = this.repo(request.did);
    if (before !== undefined && before.state !== 'queued' && request.urgency === 'missing') return false;
    const revMin = before !== undefined && before.revMin > request.revMin ? before.revMin : request.revMin;
    const host = request.host ?? before?.host ?? null;
    const isQueued = before?.state === 'queued';
    const isNow = request.urgency === 'now';
    const restedSec = before === undefined ? 0 : before.dueSec + againSec[before.state];
    const dueSec = isNow ? nowSec : isQueued ? before.dueSec : Math.max(nowSec, restedSec);
    const attempts = isQueued && !isNow ? before.attempts : 0;
    const isSame = isQueued && dueSec === before.dueSec && revMin === before.revMin && host === before.host;
    if (isSame && attempts === before.attempts) return false;
    this.#move(request.did, before, { state: 'queued', attempts, dueSec, rev: before?.rev ?? '', revMin, host }, 0);
    return !isQueued;
  }

  #move(did: string, before: RepoRow | undefined, after: RepoRow, records: number): void {
    if (before?.state === 'queued') this.#queue.removeSync(queueKey(before.dueSec, did));
    if (after.state === 'queued') this.#queue.putSync(queueKey(after.dueSec, did), Buffer.of(valueVersion));
    this.#putRepo(did, after);
    const totals: { -readonly [Key in keyof RepoTotals]: RepoTotals[Key] } = { ...this.#totals };
    if (before !== undefined) totals[before.state]--;
    totals[after.state]++;
    totals.records += records;
    this.#writeTotals(totals);
  }

  /** Notes the outcome of an attempt. Returns: the row as stored, once on disk. */
  async settleRepo(did: string, change: (row: RepoRow) => RepoRow, records = 0): Promise<RepoRow> {
    const row = await this.#root.transaction(() => {
      const before = this.repo(did);
      invariant(before !== undefined, 'an attempt ends for a repo that was queued');
      const after = change(before);
      this.#move(did, before, after, records);
      return after;
    });
    await this.#root.flushed;
    return row;
  }

  /** Returns queued repos that are due, earliest first, leaving out those that `skip` names. */
  dueRepos(nowSec: number, limit: number, skip: (did: string) => boolean): QueuedRepo[] {
    const found: QueuedRepo[] = [];
    const end = Buffer.alloc(4);
    end.writeUInt32BE(Math.min(nowSec + 1, 2 ** 32 - 1));
    for (const key of this.#queue.getKeys({ end })) {
      const did = readDid(new ByteReader(key, 4));
      if (skip(did)) continue;
      const row = this.repo(did);
      invariant(row !== undefined, 'every queued repo has a row');
      found.push({ did, row });
      if (found.length >= limit) break;
    }
    return found;
  }

  /** Returns when the earliest queued repo is due, or undefined when none is queued. Units: seconds since 1970. */
  nextDueSec(skip: (did: string) => boolean): number | undefined {
    for (const key of this.#queue.getKeys()) {
      if (!skip(readDid(new ByteReader(key, 4)))) return new ByteReader(key).u32();
    }
    return undefined;
  }

  listing(host: string): HostListing | undefined {
    return this.#listings.get(host);
  }

  /** Returns the hosts whose list has been begun and not read to its end. */
  unfinishedListings(): string[] {
    return [...this.#listings].flatMap(([host, { state }]) => (state === 'listing' ? [host] : []));
  }

  get totals(): RepoTotals {
    return this.#totals;
  }

  /** Waits until all that was written is on disk. */
  async flush(): Promise<void> {
    await this.#root.committed;
    await this.#root.flushed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.flush();
    await this.#root.close();
  }
}
