/**
 * One slot as the index thread reads it: its queue of changes, and its records from the first owner
 * to the last while it is built.
 *
 * Owns: handles of its own on the slot. Reads the present record whatever a change says, so that
 * the order of changes, repeats and a build beside them end in the same rows.
 */
import { nsid } from '../atproto/collection.ts';
import { recordUri } from '../atproto/compact-key.ts';
import { slotOf } from '../shardmap/slot-of.ts';
import { parentOfChild, readSlotMeta } from '../slot/slot-meta.ts';
import { followersLevel, getActorCount } from '../slot/table/actor-counts.ts';
import { getActor } from '../slot/table/actor-row.ts';
import { allJoinsOf } from '../slot/table/pack-joins.ts';
import { engagementLevel, recordCountsKey } from '../slot/table/record-counts.ts';
import {
  decodeRecordRow,
  getRecordRow,
  type RecordRow,
  readRecordRefOfKey,
  recordPrefix,
  sortMsOf,
} from '../slot/table/record-row.ts';
import {
  type SearchChange,
  type SearchQueueMeta,
  searchChangesFrom,
  searchQueueMeta,
} from '../slot/table/search-queue.ts';
import { SlotState, slotTableNames, slotTables } from '../slot/table/slot-state.ts';
import { Environment, keyAfter, prefixEnd } from '../storage/environment.ts';
import { type DocKey, decodeDocKey, encodeDocKey } from './doc-key.ts';
import type { NamedKind } from './index-file.ts';
import type { NamedEntry } from './named-index.ts';
import type { IndexedPost } from './post-index.ts';
import { actorTerms, type Listed, namedTerms, postTerms, recordValue } from './record-terms.ts';
import type { DocumentTerms } from './tokenise.ts';

/** What a batch of changes makes of the index. */
export class IndexBatch {
  /** Posts that are no more where their sort time put them. */
  readonly gonePosts: { readonly k: Buffer; readonly sortMs: number }[] = [];
  readonly posts: IndexedPost[] = [];
  readonly goneNamed: { readonly kind: NamedKind; readonly k: Buffer }[] = [];
  readonly named: { readonly kind: NamedKind; readonly entry: NamedEntry }[] = [];

  /** Returns the keys of a kind that are no more. */
  goneOf(kind: NamedKind): Buffer[] {
    return this.goneNamed.filter((one) => one.kind === kind).map(({ k }) => k);
  }

  entriesOf(kind: NamedKind): NamedEntry[] {
    return this.named.filter((one) => one.kind === kind).map(({ entry }) => entry);
  }

  get size(): number {
    return this.gonePosts.length + this.posts.length + this.goneNamed.length + this.named.length;
  }
}

export type SlotPlace = { readonly slot: number; readonly path: string; readonly mapBytes: number };

/** Where a build is: the owner, and the last post of it that is done. */
export type BuildPosition = { readonly owner: number; readonly afterPost: Buffer | null };

/** Owners that a step of a build looks at; most that a slot knows have no records. */
const ownersPerStep = 2_000;

/** What came from a slot by a split into so many slots of the cluster. */
export type Split = { readonly slots: number; readonly child: number };

/**
 * Tells whether the child of a split is still to come to a node, by what that knows of its map.
 *
 * A slot, of a replica above all, may have split before its node has the map of so many slots.
 */
export function mayCome(
  { slots, child }: Split,
  known: { readonly slots: number; readonly coming: readonly number[] },
): boolean {
  return slots > known.slots || known.coming.includes(child);
}

export class IndexedSlot {
  readonly slot: number;
  readonly #environment: Environment;
  readonly #state: SlotState;

  constructor({ slot, path, mapBytes }: SlotPlace) {
    this.slot = slot;
    this.#environment = Environment.open({ path, mapBytes, tables: slotTableNames });
    this.#state = new SlotState(slot, this.#environment);
  }

  /** Lets what follows see all commits, also those after the slot went on in other files. */
  refresh(): void {
    if (!this.#environment.isInPlace) this.#environment.reopen();
    this.#environment.refreshReads();
  }

  queue(): SearchQueueMeta | undefined {
    return searchQueueMeta(this.#environment.table(slotTables.search));
  }

  /** The slot from which this one came by its last split, or null. */
  get parent(): number | null {
    return parentOfChild(this.slot, readSlotMeta(this.#state));
  }

  /** The last split of this slot, or null; what came from it may be on another node. */
  get split(): Split | null {
    const { slots, splitSeq } = readSlotMeta(this.#state);
    return splitSeq > 0 && this.slot < slots / 2 ? { slots, child: this.slot + slots / 2 } : null;
  }

  changesFrom(seq: number, limit: number): { readonly changes: SearchChange[]; readonly nextSeq: number } {
    return searchChangesFrom(this.#environment.table(slotTables.search), seq, limit);
  }

  /** Owners are below this. */
  get ownersEnd(): number {
    return readSlotMeta(this.#state).nextOwner;
  }

  /** Adds what changes make of the index, in which the slot has `key`. */
  addChanges(changes: readonly SearchChange[], key: number, into: IndexBatch): void {
    const looked = new Set<string>();
    for (const { owner, collection, rkey, wasAtMs } of changes) {
      const doc = { key, owner, rkey };
      const k = encodeDocKey(doc);
      if (collection === nsid.post && wasAtMs !== null) into.gonePosts.push({ k, sortMs: wasAtMs });
      const name = `${collection} ${k.latin1Slice()}`;
      if (looked.has(name)) continue;
      looked.add(name);
      switch (collection) {
        case nsid.post: {
          const row = getRecordRow(this.#state, owner, collection, rkey);
          if (row !== undefined) into.posts.push(this.#postOf(doc, row));
          break;
        }
        case nsid.profile:
          this.#addActor(doc, into);
          break;
        case nsid.generator:
        case nsid.starterPack:
          this.#addListed(doc, collection, into);
          break;
      }
    }
  }

  #postOf(doc: DocKey, row: RecordRow): IndexedPost {
    const { key, owner, rkey } = doc;
    const level = engagementLevel(this.#state.rows.getVolatile(recordCountsKey(owner, nsid.post, rkey)));
    const terms = (): DocumentTerms => postTerms(recordValue(row), key, owner);
    return { k: encodeDocKey(doc), sortMs: sortMsOf(row), level, terms };
  }

  #addActor(doc: DocKey, into: IndexBatch): void {
    const { owner } = doc;
    const k = encodeDocKey(doc);
    const actor = getActor(this.#state, owner);
    const row = getRecordRow(this.#state, owner, nsid.profile, 'self');
    const profile = row === undefined ? undefined : recordValue(row);
    if (actor === undefined || (actor.handle === null && profile === undefined)) {
      into.goneNamed.push({ kind: 'actor', k });
      return;
    }
    const level = followersLevel(getActorCount(this.#state, owner, 'followers'));
    const terms = actorTerms(actor.handle, profile);
    into.named.push({ kind: 'actor', entry: { k, name: actor.did, level, terms } });
  }

  #addListed(doc: DocKey, collection: Listed, into: IndexBatch): void {
    const { owner, rkey } = doc;
    const isFeed = collection === nsid.generator;
    const kind = isFeed ? 'feed' : 'pack';
    const k = encodeDocKey(doc);
    const row = getRecordRow(this.#state, owner, collection, rkey);
    const actor = getActor(this.#state, owner);
    if (row === undefined || actor === undefined) {
      into.goneNamed.push({ kind, k });
      return;
    }
    const level = isFeed
      ? engagementLevel(this.#state.rows.getVolatile(recordCountsKey(owner, collection, rkey)))
      : followersLevel(allJoinsOf(this.#state, { owner, collection, rkey }));
    const terms = namedTerms(recordValue(row), collection);
    into.named.push({ kind, entry: { k, name: recordUri({ did: actor.did, collection, rkey }), level, terms } });
  }

  /**
   * Adds the next part of a build: about `postsMax` posts, or owners without any.
   *
   * Returns: where the next part begins; its owner is `ownersEnd` when nothing is left.
   */
  addStored(from: BuildPosition, key: number, postsMax: number, into: IndexBatch): BuildPosition {
    const { slots, nextOwner: ownersEnd } = readSlotMeta(this.#state, 0);
    let { owner, afterPost } = from;
    for (let owners = 0; owner < ownersEnd && owners < ownersPerStep; owners++, owner++, afterPost = null) {
      const did = getActor(this.#state, owner)?.did;
      // After a split it may still hold what is another slot's, and removes that without a word.
      if (did !== undefined && slots > 0 && slotOf(did, slots) !== this.slot) continue;
      const last = this.#addPostsOf(owner, afterPost, key, postsMax - into.posts.length, into);
      if (last !== null) return { owner, afterPost: last };
      this.#addActor({ key, owner, rkey: 'self' }, into);
      for (const collection of [nsid.generator, nsid.starterPack] as const) {
        const prefix = recordPrefix(owner, collection);
        for (const rowKey of this.#state.rows.scanKeys({ start: prefix, end: prefixEnd(prefix) })) {
          const { rkey } = readRecordRefOfKey('', rowKey);
          this.#addListed({ key, owner, rkey }, collection, into);
        }
      }
    }
    return { owner, afterPost: null };
  }

  /** Returns the key of the last post that was added, or null after all of the owner's. */
  #addPostsOf(owner: number, after: Buffer | null, key: number, limit: number, into: IndexBatch): Buffer | null {
    if (limit <= 0) return after ?? recordPrefix(owner, nsid.post);
    const prefix = recordPrefix(owner, nsid.post);
    const range = { start: after === null ? prefix : keyAfter(after), end: prefixEnd(prefix), limit };
    let last: Buffer | null = null;
    let count = 0;
    for (const { key: rowKey, value } of this.#state.rows.scan(range)) {
      const { rkey } = readRecordRefOfKey('', rowKey);
      into.posts.push(this.#postOf({ key, owner, rkey }, decodeRecordRow(value)));
      last = rowKey;
      count++;
    }
    return count === limit ? last : null;
  }

  /** Counts the posts that the slot holds, and gives every `nth` of them to `sample`. */
  *countPosts(nth: number, sample: (post: IndexedPost) => void, key: number): Generator<number> {
    let count = 0;
    for (let owner = 1; owner < this.ownersEnd; owner++) {
      const prefix = recordPrefix(owner, nsid.post);
      for (const { key: rowKey, value } of this.#state.rows.scan({ start: prefix, end: prefixEnd(prefix) })) {
        if (count++ % nth !== 0) continue;
        const { rkey } = readRecordRefOfKey('', rowKey);
        sample(this.#postOf({ key, owner, rkey }, decodeRecordRow(value)));
      }
      if (owner % ownersPerStep === 0) yield count;
    }
    yield count;
  }

  /** Returns the URI of a post, for people to read. */
  uriOf(k: Uint8Array): string {
    const { owner, rkey } = decodeDocKey(k);
    return recordUri({ did: getActor(this.#state, owner)?.did ?? 'did:unknown', collection: nsid.post, rkey });
  }

  async close(): Promise<void> {
    await this.#environment.close();
  }
}
