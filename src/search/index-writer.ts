/**
 * Keeps a node's search index up to date with its slots, a step at a time.
 *
 * Owns: the file, of which it is the only writer, and how far each slot is. What belongs together,
 * rows and how far their slots are with them, is one transaction. A slot that must be built again
 * gets a new key: until that is done, the rows of the old one are served, and are removed later.
 */
import type { DatabaseSync } from 'node:sqlite';
import type { SlotSearch } from '../wire/search-messages.ts';
import { decodeDocKey } from './doc-key.ts';
import { namedKinds, openForWriting, removeIndexFile, Statements } from './index-file.ts';
import { type BuildPosition, IndexBatch, type IndexedSlot, type Split } from './indexed-slot.ts';
import { NamedIndex } from './named-index.ts';
import { PostIndex } from './post-index.ts';

/** Changes of one slot, and of one transaction. */
const changesPerSlot = 500;
const changesPerCommit = 2_000;
/** Posts of a step of a build, which takes 0.2 to 0.3 s; fewer make more segments to merge. */
const postsPerStep = 4_000;
const rowsPerPurge = 1_000;

/** `served` and `building` are keys, 0 for none; `owner` is the next one to build, 0 for none. */
type SlotRow = {
  readonly slot: number;
  served: number;
  building: number;
  epoch: number;
  seq: number;
  owner: number;
};

/** How far the index has a slot's queue durably. */
export type SlotProgress = { readonly slot: number; readonly epoch: number; readonly seq: number };

/** Where the removal of rows is whose keys are no more in use: a kind of row, and an id. */
type Purge = { stage: number; id: number };

function keysOf(rows: readonly { readonly k: Uint8Array }[]): Uint8Array[] {
  return rows.map(({ k }) => k);
}

/** `mayCome`: tells whether the child of a slot that has split is still to come to this node. */
export type IndexWriterOptions = { readonly mayCome?: (split: Split) => boolean };

export class IndexWriter {
  readonly #slots: ReadonlyMap<number, IndexedSlot>;
  readonly #db: DatabaseSync;
  readonly #sql: Statements;
  readonly #posts: PostIndex;
  readonly #named: Record<(typeof namedKinds)[number], NamedIndex>;
  readonly #rows = new Map<number, SlotRow>();
  /** Within the owner at which a build is. */
  readonly #afterPost = new Map<number, Buffer>();
  #purge: Purge | null = null;
  #isOnDisk = false;
  readonly #mayCome: (split: Split) => boolean;

  private constructor(slots: ReadonlyMap<number, IndexedSlot>, db: DatabaseSync, options: IndexWriterOptions) {
    this.#mayCome = options.mayCome ?? (() => false);
    this.#slots = slots;
    this.#db = db;
    this.#sql = new Statements(db);
    this.#posts = new PostIndex(this.#sql);
    const of = (kind: (typeof namedKinds)[number]): NamedIndex => new NamedIndex(this.#sql, kind);
    this.#named = { actor: of('actor'), feed: of('feed'), pack: of('pack') };
    this.#load();
  }

  /** Opens the file; one of another version is removed. Errors: those of SQLite. */
  static open(path: string, slots: ReadonlyMap<number, IndexedSlot>, options: IndexWriterOptions = {}): IndexWriter {
    const db = openForWriting(path);
    if (db === null) removeIndexFile(path);
    return new IndexWriter(slots, db ?? openForWriting(path)!, options);
  }

  /** Reads what the file says of the slots. */
  #load(): void {
    this.#rows.clear();
    const stored = new Map(this.#sql.all<SlotRow>('SELECT * FROM slot').map((row) => [row.slot, row]));
    for (const slot of this.#slots.keys()) {
      this.#rows.set(slot, stored.get(slot) ?? { slot, served: 0, building: 0, epoch: 0, seq: 0, owner: 0 });
    }
    const stage = this.#fact('purgeStage');
    this.#purge = stage === 0 ? null : { stage, id: this.#fact('purgeId') };
    // Slots that this node has no more.
    for (const slot of stored.keys()) if (!this.#slots.has(slot)) this.#forget(slot);
  }

  #fact(name: string): number {
    return this.#sql.get<{ value: number }>('SELECT value FROM fact WHERE name = ?', name)?.value ?? 0;
  }

  #setFact(name: string, value: number): void {
    this.#sql.run('INSERT OR REPLACE INTO fact(name, value) VALUES (?, ?)', name, BigInt(value));
  }

  #forget(slot: number): void {
    this.#transact(() => {
      this.#sql.run('DELETE FROM slot WHERE slot = ?', BigInt(slot));
      this.#beginPurge();
    });
  }

  #transact(work: () => void): void {
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      work();
      this.#posts.flush();
      for (const kind of namedKinds) this.#named[kind].flush();
      this.#db.exec('COMMIT');
      this.#isOnDisk = false;
    } catch (thrown) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      this.#posts.reload();
      for (const kind of namedKinds) this.#named[kind].reload();
      this.#afterPost.clear();
      this.#load();
      throw thrown;
    }
  }

  #putSlot({ slot, served, building, epoch, seq, owner }: SlotRow): void {
    const values = [slot, served, building, epoch, seq, owner].map(BigInt);
    this.#sql.run('INSERT OR REPLACE INTO slot VALUES (?, ?, ?, ?, ?, ?)', ...values);
  }

  #apply(batch: IndexBatch): void {
    this.#posts.apply(batch.gonePosts, batch.posts);
    for (const kind of namedKinds) this.#named[kind].apply(batch.goneOf(kind), batch.entriesOf(kind));
  }

  /** Has a slot, or all, built again. */
  rebuild(slot: number | null): void {
    this.#transact(() => {
      for (const row of this.#rows.values())
        if ((slot === null || row.slot === slot) && !this.#awaitsChild(row)) this.#beginBuild(row);
    });
  }

  /**
   * True for a slot that has split and whose child is to come or not served: until it is, what it
   * has is found by the rows of before the split. So no slot is served before its child, but for
   * those rows.
   */
  #awaitsChild({ slot }: SlotRow): boolean {
    const { split } = this.#slots.get(slot)!;
    if (split !== null && !this.#slots.has(split.child) && this.#mayCome(split)) return true;
    return [...this.#slots.values()].some((other) => {
      const isServed = this.#rows.get(other.slot)!.served !== 0;
      return !isServed && other.slot > slot && other.parent === slot;
    });
  }

  #beginBuild(row: SlotRow): void {
    const slot = this.#slots.get(row.slot)!;
    slot.refresh();
    const queue = slot.queue();
    if (queue === undefined) return;
    if (row.building !== 0) this.#beginPurge();
    const key = this.#fact('keys') + 1;
    this.#setFact('keys', key);
    Object.assign(row, { building: key, epoch: queue.epoch, seq: queue.nextSeq, owner: 1 });
    this.#afterPost.delete(row.slot);
    this.#putSlot(row);
  }

  #beginPurge(): void {
    this.#purge = { stage: 1, id: 0 };
    this.#storePurge();
  }

  #storePurge(): void {
    this.#setFact('purgeStage', this.#purge?.stage ?? 0);
    this.#setFact('purgeId', this.#purge?.id ?? 0);
  }

  /** Takes what the queues hold, in one transaction. Returns how much that was. */
  takeChanges(): number {
    const batch = new IndexBatch();
    const moved: { readonly row: SlotRow; readonly seq: number }[] = [];
    const begun: SlotRow[] = [];
    for (const slot of this.#slots.values()) {
      if (batch.size >= changesPerCommit) break;
      const row = this.#rows.get(slot.slot)!;
      slot.refresh();
      const queue = slot.queue();
      // The slot was never opened with a queue.
      if (queue === undefined) continue;
      if (queue.epoch !== row.epoch || row.seq < queue.firstSeq || row.seq > queue.nextSeq) {
        if (!this.#awaitsChild(row)) begun.push(row);
        continue;
      }
      if (row.seq === queue.nextSeq) continue;
      const { changes, nextSeq } = slot.changesFrom(row.seq, changesPerSlot);
      slot.addChanges(changes, row.building || row.served, batch);
      moved.push({ row, seq: nextSeq });
    }
    if (moved.length === 0 && begun.length === 0) return 0;
    this.#transact(() => {
      for (const row of begun) this.#beginBuild(row);
      this.#apply(batch);
      for (const { row, seq } of moved) {
        row.seq = seq;
        this.#putSlot(row);
      }
    });
    return Math.max(batch.size, moved.length) + begun.length;
  }

  /** Does a step of what is to be built or removed. Returns false if there is nothing. */
  workOn(): boolean {
    for (const row of this.#rows.values()) {
      // One that goes on after a split would be served without what the child has.
      if (row.owner > 0 && !this.#awaitsChild(row)) {
        this.#build(row);
        return true;
      }
    }
    if (this.#purge === null) return false;
    this.#purgeSome(this.#purge);
    return true;
  }

  #build(row: SlotRow): void {
    const slot = this.#slots.get(row.slot)!;
    slot.refresh();
    const batch = new IndexBatch();
    const from: BuildPosition = { owner: row.owner, afterPost: this.#afterPost.get(row.slot) ?? null };
    const next = slot.addStored(from, row.building, postsPerStep, batch);
    const isDone = next.owner >= slot.ownersEnd;
    this.#transact(() => {
      this.#apply(batch);
      if (isDone) {
        if (row.served !== 0) this.#beginPurge();
        Object.assign(row, { served: row.building, building: 0, owner: 0 });
      } else row.owner = next.owner;
      this.#putSlot(row);
    });
    if (next.afterPost === null || isDone) this.#afterPost.delete(row.slot);
    else this.#afterPost.set(row.slot, next.afterPost);
  }

  /** Removes some rows of keys that no slot has any more. */
  #purgeSome(purge: Purge): void {
    const keys = new Set([...this.#rows.values()].flatMap(({ served, building }) => [served, building]));
    const isDead = (k: Uint8Array): boolean => !keys.has(decodeDocKey(k).key);
    const kind = namedKinds[purge.stage - 2];
    const table = kind ?? 'doc';
    const columns = kind === undefined ? 'id, w, k' : 'id, k';
    const sql = `SELECT ${columns} FROM ${table} WHERE id > ? ORDER BY id LIMIT ${rowsPerPurge}`;
    const rows = this.#sql.all<{ id: number; w: number; k: Uint8Array }>(sql, BigInt(purge.id));
    this.#transact(() => {
      const dead = rows.filter(({ k }) => isDead(k));
      if (kind === undefined) for (const row of dead) this.#posts.removeRow(row);
      else this.#named[kind].apply(keysOf(dead), []);
      if (rows.length === rowsPerPurge) purge.id = rows.at(-1)!.id;
      else Object.assign(purge, { stage: purge.stage + 1, id: 0 });
      if (purge.stage > namedKinds.length + 1) this.#purge = null;
      this.#storePurge();
    });
  }

  /**
   * Returns how far each slot's queue is taken, durably. A commit that waits for the disk takes
   * those before it along, so that once in a while is enough.
   */
  progress(): SlotProgress[] {
    if (!this.#isOnDisk) {
      this.#db.exec('PRAGMA synchronous=FULL');
      this.#transact(() => this.#setFact('synced', 1));
      this.#db.exec('PRAGMA synchronous=NORMAL');
      this.#isOnDisk = true;
    }
    return [...this.#rows.values()].map(({ slot, epoch, seq }) => ({ slot, epoch, seq }));
  }

  /** Returns where the queues end now: a seq (exclusive) of the epoch under way. */
  queueHeads(): SlotProgress[] {
    return [...this.#slots.values()].map((slot) => {
      slot.refresh();
      const { epoch, nextSeq } = slot.queue() ?? { epoch: 0, nextSeq: 0 };
      return { slot: slot.slot, epoch, seq: nextSeq };
    });
  }

  /** Returns what of these is not indexed: changes, and slots of which it is not served yet. */
  behind(heads: readonly SlotProgress[]): { readonly changes: number; readonly slots: number } {
    let [changes, slots] = [0, 0];
    for (const { slot, epoch, seq } of heads) {
      const row = this.#rows.get(slot);
      // The node has it no more.
      if (row === undefined) continue;
      if (row.owner > 0 || row.served === 0 || row.epoch < epoch) slots++;
      else if (row.epoch === epoch) changes += Math.max(0, seq - row.seq);
    }
    return { changes, slots };
  }

  slotStatus(): SlotSearch[] {
    return [...this.#slots.values()].map((slot) => {
      const row = this.#rows.get(slot.slot)!;
      slot.refresh();
      const queue = slot.queue();
      const owners = Math.max(0, slot.ownersEnd - 1);
      return {
        slot: slot.slot,
        state: row.owner > 0 || row.served === 0 ? 'building' : 'ready',
        isServed: row.served !== 0,
        waiting: queue === undefined ? 0 : Math.max(0, queue.nextSeq - row.seq),
        ownersDone: row.owner > 0 ? Math.min(owners, row.owner - 1) : row.served === 0 ? 0 : owners,
        owners,
      };
    });
  }

  counts(): { posts: number; actors: number; feeds: number; packs: number } {
    const rows = this.#sql.all<{ kind: string; rows: number }>(
      'SELECT kind, sum(rows) AS rows FROM span GROUP BY kind',
    );
    const of = (kind: string): number => Math.max(0, rows.find((row) => row.kind === kind)?.rows ?? 0);
    return { posts: of('post'), actors: of('actor'), feeds: of('feed'), packs: of('pack') };
  }

  /** The key under which a slot is served, 0 for none. */
  servedKey(slot: number): number {
    return this.#rows.get(slot)?.served ?? 0;
  }

  /** Returns the row id of a post, or undefined. */
  idOf(k: Buffer, sortMs: number): number | undefined {
    return this.#posts.idOf(k, sortMs);
  }

  get sql(): Statements {
    return this.#sql;
  }

  close(): void {
    this.#db.close();
  }
}
