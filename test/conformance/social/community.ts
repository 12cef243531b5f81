/** The accounts and records of one random history, as far as its operations need them. */
import type { DataPlaneClient } from '@atproto/bsky';
import { Code, ConnectError } from '@connectrpc/connect';
import type { AtNetwork } from '../network/at-network.ts';
import type { BsyncWriter } from '../network/bsync-writer.ts';
import type { Operator } from '../network/operator.ts';
import { PrefixedSeedClient } from '../network/prefixed-seed-client.ts';
import type { SiteRecord } from '../oracle/facts.ts';
import { type RecordBody, RecordWriter } from '../oracle/record-writer.ts';
import { idsMax, type Operation } from './operation.ts';

export const names = ['ann', 'ben', 'cat', 'dee', 'eli', 'fay'] as const;

export type Name = (typeof names)[number];

/** A record that exists or existed. */
export interface MadeRecord {
  readonly id: number;
  readonly by: Name;
  readonly collection: string;
  readonly uri: string;
  cid: string;
  body: RecordBody;
  exists: boolean;
}

/** A post that was answered before it exists. */
interface PromisedPost {
  readonly id: number;
  readonly by: Name;
  readonly rkey: string;
  /** Set when the post is to be a reply itself. */
  readonly reply?: unknown;
}

/** A blob that a record of this id holds. */
export interface BlobId {
  readonly id: number;
  readonly did: string;
  readonly cid: string;
}

/** What operators suggest to everyone; `tag` is empty but for the kind `tagged`. */
export interface Suggestion {
  readonly kind: 'follows' | 'feeds' | 'tagged';
  readonly tag: string;
  readonly subject: string;
}

export interface CommunityOptions {
  readonly network: AtNetwork;
  readonly prefix: string;
  /** The planes that get private writes. */
  readonly planes: readonly DataPlaneClient[];
  /** Their operators, in the same order. */
  readonly operators: readonly Operator[];
  /** Set when every plane reads from it. */
  readonly bsync: BsyncWriter | undefined;
}

const missingCid = 'bafyreidfcsgyxkbkrrwcmuyqkqjjgpxzdzxntzfcdvxlhzlxqjijbhjzwy';
const sameTime = '2024-02-29T12:00:00.000Z';
const oldestMs = Date.UTC(2016, 0, 1);
const futureMs = Date.UTC(2090, 0, 1);
const dayMs = 86_400_000;

/** Performs the steps that operations are made of, and knows what they made. */
export class Community {
  readonly seed: PrefixedSeedClient;
  readonly writer: RecordWriter;
  readonly planes: readonly DataPlaneClient[];
  readonly operators: readonly Operator[];
  readonly bsync: BsyncWriter | undefined;
  readonly startMs = Date.now();
  /** Keys of private items, by namespace, actor and subject. */
  readonly privateKeys = new Map<string, string>();
  readonly suggestions = new Map<string, Suggestion>();
  /** Of whose age operators have said something. */
  readonly didsWithAge = new Set<string>();
  readonly records: MadeRecord[] = [];
  readonly promised: PromisedPost[] = [];
  /** Readable lines of what was done. */
  readonly trace: string[] = [];
  /** Methods that a plane does not serve; operations that need them were left out. */
  readonly unserved = new Set<string>();
  readonly takenDownUris = new Set<string>();
  /** By DID and CID; a second takedown is an error of the official plane. */
  readonly takenDownBlobs = new Map<string, BlobId>();
  /** Writes that one plane took and another refused. */
  readonly mismatches: string[] = [];
  /** Records other than posts that were written more than once. */
  readonly updatedUris = new Set<string>();
  /** Replies that were written while a post above them was gone. */
  readonly repliesBelowGone = new Set<string>();
  /** Authors of all posts above those replies. */
  readonly answeredWhenGone = new Set<string>();
  readonly handles = new Map<Name, string>();
  readonly #gone = new Set<Name>();
  readonly #inactive = new Set<Name>();

  private constructor(seed: PrefixedSeedClient, { planes, operators, bsync }: CommunityOptions) {
    this.seed = seed;
    this.writer = new RecordWriter(seed);
    this.planes = planes;
    this.operators = operators;
    this.bsync = bsync;
  }

  /** Creates the accounts. Returns: once every plane knows them. */
  static async create(options: CommunityOptions): Promise<Community> {
    const { network, prefix } = options;
    const seed = new PrefixedSeedClient(network, prefix);
    const community = new Community(seed, options);
    for (const name of names) {
      const handle = `${name}.test` as const;
      await seed.createAccount(name, { handle, email: `${name}@test.com`, password: `${name}-pass` });
      community.handles.set(name, `${prefix}${handle}`);
    }
    await community.writer.settle();
    return community;
  }

  /** Returns the DIDs of all accounts, also of deleted ones. */
  dids(): readonly string[] {
    return names.map((name) => this.writer.did(name));
  }

  did(index: number): string {
    return this.writer.did(names[index % names.length]!);
  }

  /** Returns the account if its PDS accepts its writes. */
  active(index: number): Name | undefined {
    const name = names[index % names.length]!;
    return this.isActive(name) ? name : undefined;
  }

  isActive(name: Name): boolean {
    return !this.#gone.has(name) && !this.#inactive.has(name);
  }

  inactive(index: number): Name | undefined {
    const name = names[index % names.length]!;
    return this.#inactive.has(name) ? name : undefined;
  }

  markInactive(name: Name): void {
    this.#inactive.add(name);
  }

  markActive(name: Name): void {
    this.#inactive.delete(name);
  }

  markGone(name: Name): void {
    this.#inactive.delete(name);
    this.#gone.add(name);
    for (const record of this.records) if (record.by === name) record.exists = false;
  }

  goneDids(): readonly string[] {
    return [...this.#gone].map((name) => this.writer.did(name));
  }

  /** Returns the records of `site.standard` that exist. */
  siteRecords(): readonly SiteRecord[] {
    const ofSites = this.records.filter(({ collection, exists }) => exists && collection.startsWith('site.standard.'));
    return ofSites.map(({ uri, cid, collection, body }) => ({ uri, cid, record: { $type: collection, ...body } }));
  }

  /** Writes a record and keeps it for later operations. */
  async create(
    operation: Operation,
    by: Name,
    collection: string,
    body: RecordBody,
    rkey?: string,
  ): Promise<MadeRecord> {
    const full = { createdAt: this.time(operation), ...body };
    const existing = rkey === undefined ? undefined : this.#at(by, collection, rkey);
    const { uri, cid } =
      rkey === undefined
        ? await this.writer.create(by, collection, full)
        : await this.writer.put(by, collection, rkey, full);
    this.trace.push(`${by} writes ${uri} ${JSON.stringify(full)}`);
    this.#noteReply(uri, full);
    if (existing !== undefined) {
      Object.assign(existing, { cid, body: full, exists: true });
      this.#noteUpdate(existing);
      return existing;
    }
    const record = { id: operation.id, by, collection, uri, cid, body: full, exists: true };
    this.records.push(record);
    return record;
  }

  /** Replaces a record's body under the same key. */
  async rewrite(record: MadeRecord, body: RecordBody): Promise<void> {
    if (!record.exists) await this.#uploadAgain(record);
    const { cid } = await this.writer.put(record.by, record.collection, rkeyOf(record.uri), body);
    this.trace.push(`${record.by} ${record.exists ? 'updates' : 'recreates'} ${record.uri} ${JSON.stringify(body)}`);
    Object.assign(record, { cid, body, exists: true });
    this.#noteReply(record.uri, body);
    this.#noteUpdate(record);
  }

  async delete(record: MadeRecord): Promise<void> {
    await this.writer.delete(record.uri);
    this.trace.push(`${record.by} deletes ${record.uri}`);
    record.exists = false;
  }

  /** Chooses among existing records of a collection, one time in eight also among deleted ones. */
  find(collection: string, chooser: number, by?: Name): MadeRecord | undefined {
    const alsoGone = chooser % 8 === 0;
    return choose(
      this.records.filter(
        (record) =>
          record.collection === collection && (record.exists || alsoGone) && (by === undefined || record.by === by),
      ),
      chooser,
    );
  }

  /** Chooses a post to quote: half of the time one that has a gate, since few have. */
  quotable(chooser: number): MadeRecord | undefined {
    const gate = chooser % 2 === 1 ? this.find('app.bsky.feed.postgate', chooser) : undefined;
    const gated = this.records.find(({ uri, exists }) => exists && uri === gate?.body['post']);
    return gated ?? this.find('app.bsky.feed.post', chooser);
  }

  /** Returns the time that a record of this operation says it was made. */
  time({ age, second }: Operation): string {
    if (age === 'same') return sameTime;
    if (age === 'old') return new Date(oldestMs + (second % 2000) * dayMs).toISOString();
    if (age === 'future') return new Date(futureMs + (second % 2000) * dayMs).toISOString();
    return new Date().toISOString();
  }

  /** Promises a post, so that it can be answered before it exists. */
  promise(operation: Operation, by: Name): { readonly uri: string; readonly cid: string } {
    const rkey = tidOf(operation.id);
    this.promised.push({ id: operation.id, by, rkey });
    return { uri: `at://${this.writer.did(by)}/app.bsky.feed.post/${rkey}`, cid: missingCid };
  }

  /**
   * Calls a write method on every plane, ours first, unless ours does not serve it.
   *
   * A call that only one of them refuses becomes a mismatch.
   */
  async writeAll(method: string, line: string, call: (plane: DataPlaneClient) => Promise<unknown>): Promise<void> {
    if (this.unserved.has(method)) return;
    const refusals: string[] = [];
    for (const plane of this.planes) {
      try {
        await call(plane);
        refusals.push('');
      } catch (error) {
        if (!(error instanceof ConnectError)) throw error;
        if (error.code === Code.Unimplemented) {
          this.unserved.add(method);
          return;
        }
        refusals.push(`${Code[error.code]}: ${error.rawMessage}`);
      }
    }
    this.trace.push(refusals[0] === '' ? line : `${line} (refused)`);
    if (new Set(refusals.map((refusal) => refusal === '')).size > 1) {
      this.mismatches.push(`${method} (${line}) was refused by one plane only: ${refusals.join(' | ')}`);
    }
  }

  /** Replaces DIDs by names. */
  rename(text: string): string {
    let renamed = text;
    for (const name of names) renamed = renamed.replaceAll(this.writer.did(name), name);
    return renamed;
  }

  /** A PDS deletes what only a deleted record embeds. */
  async #uploadAgain({ by, body }: MadeRecord): Promise<void> {
    const [, type] = /"mimeType":"([a-z0-9/]+)"/.exec(JSON.stringify(body)) ?? [];
    if (type === undefined) return;
    await this.seed.network.pds.processAll();
    await this.seed.uploadFile(this.writer.did(by) as `did:plc:${string}`, '', type);
  }

  #noteReply(replyUri: string, { reply }: RecordBody): void {
    const { root, parent } = (reply ?? {}) as Partial<Record<'root' | 'parent', { readonly uri: string }>>;
    if (root === undefined || parent === undefined) return;
    const above = new Set([root.uri]);
    for (let uri: string | undefined = parent.uri; uri !== undefined && !above.has(uri); ) {
      above.add(uri);
      const body = this.records.find((record) => record.uri === uri)?.body['reply'] as {
        readonly parent: { uri: string };
      };
      uri = (body as typeof body | undefined)?.parent.uri;
    }
    const isThere = (uri: string): boolean => this.records.some((record) => record.uri === uri && record.exists);
    if ([...above].every(isThere)) return;
    this.repliesBelowGone.add(replyUri);
    for (const uri of above) this.answeredWhenGone.add(uri.split('/')[2]!);
  }

  #noteUpdate({ collection, uri }: MadeRecord): void {
    if (collection !== 'app.bsky.feed.post') this.updatedUris.add(uri);
  }

  #at(by: Name, collection: string, rkey: string): MadeRecord | undefined {
    const uri = `at://${this.writer.did(by)}/${collection}/${rkey}`;
    return this.records.find((record) => record.uri === uri);
  }
}

/** Chooses by the next id in a circle, so that others may come and go. */
export function choose<T extends { readonly id: number }>(candidates: readonly T[], chooser: number): T | undefined {
  const distance = (candidate: T): number => (candidate.id - chooser + idsMax) % idsMax;
  return candidates.reduce<T | undefined>(
    (best, candidate) => (best === undefined || distance(candidate) < distance(best) ? candidate : best),
    undefined,
  );
}

export function rkeyOf(uri: string): string {
  return uri.split('/')[4]!;
}

/** Makes a record key in the form of a TID. */
export function tidOf(id: number): string {
  const alphabet = '234567abcdefghijklmnopqrstuvwxyz';
  let rest = BigInt(id);
  let text = '';
  for (let index = 0; index < 10; index += 1) {
    text = alphabet[Number(rest % 32n)]! + text;
    rest /= 32n;
  }
  return `3kt${text}`;
}
