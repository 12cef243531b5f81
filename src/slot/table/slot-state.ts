/**
 * The materialised state of one slot as rows of one table, clustered by owner.
 *
 * Owns the table codes, the owner dictionary and the shared key writer. A key is four bytes that
 * hold the owner's number (26 bits) and the logical table (6 bits), then that table's own layout,
 * which its own file describes. Owner 0 holds what belongs to the whole slot.
 */
import { writeCollection, writeDid, writeRkey } from '../../atproto/compact-key.ts';
import { ByteReader, type ByteWriter, sharedWriter } from '../../base/bytes.ts';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { invariant } from '../../base/invariant.ts';
import type { Environment, Table } from '../../storage/environment.ts';
import { RecordChanges } from './record-changes.ts';
import type { SearchChanges } from './search-queue.ts';

/** Codes of the logical tables in keys, below 64; append only. Gaps are for new neighbours. */
export const tableCode = {
  meta: 0x00,
  ownerByDid: 0x02,
  handle: 0x04,
  routing: 0x05,
  source: 0x06,
  delivered: 0x08,
  resyncNeeded: 0x0a,
  newActors: 0x0b,
  actor: 0x0c,
  privateData: 0x0d,
  repo: 0x0e,
  threadMute: 0x0f,
  identity: 0x10,
  clears: 0x11,
  mute: 0x12,
  bookmarkBySubject: 0x13,
  actorCounts: 0x14,
  subscriptionBySubject: 0x15,
  record: 0x16,
  draftByTime: 0x17,
  resyncSeen: 0x18,
  edgeByTime: 0x1a,
  verifiedBy: 0x1b,
  edgeBySubject: 0x1c,
  listMember: 0x1d,
  edgeDuplicate: 0x1e,
  muteByTime: 0x1f,
  incomingActor: 0x20,
  listMute: 0x21,
  recordCounts: 0x22,
  accountLabel: 0x23,
  incomingRecord: 0x24,
  recordLabel: 0x25,
  feed: 0x26,
  packJoins: 0x27,
  notice: 0x28,
  // Beside the newest notice, on whose page it is written for nothing.
  notificationSeen: 0x29,
  threadReply: 0x2a,
  gatePolicy: 0x2b,
  threadChild: 0x2c,
  gateFact: 0x2d,
  blobTakedown: 0x2e,
  longWork: 0x30,
  labeler: 0x31,
  session: 0x32,
  listedRecord: 0x33,
  resend: 0x34,
  suggestion: 0x35,
  bracket: 0x36,
  suggestionOrder: 0x37,
  confirmed: 0x38,
  ageAssurance: 0x39,
  actorTags: 0x3b,
  importNote: 0x3d,
  quarantine: 0x3a,
} as const;

/** Names of the sub-databases of a slot's environment. */
export const slotTables = { state: 'state', log: 'log', outbox: 'outbox', search: 'search' } as const;

export const slotTableNames: readonly string[] = Object.values(slotTables);

const keyWriter = sharedWriter(2048);
const slotWide = 0;
const tableCodesMax = 64;

/** Owner numbers are below this; a slot of so many owners would be far too large. */
export const ownersMax = 2 ** 26 - 1;
const ownersMaxHint = 'Free space does not help: only a new cluster with more slots in its map takes more accounts.';
/** No owner has this number: an unknown actor's pages are empty, but their tokens are checked. */
export const noOwner = ownersMax;
/** What precedes a table's own layout in a key. */
export const keyHeadBytes = 4;

/** Returns what a key begins with, as a big-endian number of `keyHeadBytes`. */
export function keyHead(owner: number, table: number): number {
  return owner * tableCodesMax + table;
}

/** Returns owner and table of a key of the state. */
export function keyHeadOf(key: Buffer): { readonly owner: number; readonly table: number } {
  const head = key.readUInt32BE(0);
  return { owner: Math.floor(head / tableCodesMax), table: head % tableCodesMax };
}

/** Returns where the rows of owners begin: those of the whole slot come before. */
export function firstOwnerKey(): Buffer {
  return beginKey(1, 0).finish();
}

/** Returns a key after those of all owners. */
export function lastOwnerKey(): Buffer {
  return Buffer.alloc(64, 255);
}

/** Begins a key in the one writer of all keys: it is finished before the next begins. */
export function beginKey(owner: number, table: number): ByteWriter {
  invariant(keyWriter.length === 0, 'a key is finished before the next one begins');
  return keyWriter.u32(keyHead(owner, table));
}

/** Begins the key of a row about one record of an owner. */
export function beginRecordKey(owner: number, table: number, collection: string, rkey: string): ByteWriter {
  const key = beginKey(owner, table);
  writeCollection(key, collection);
  writeRkey(key, rkey);
  return key;
}

/** Begins the key of a row that belongs to the whole slot. */
export function beginSlotKey(table: number): ByteWriter {
  return beginKey(slotWide, table);
}

/** The value of rows that are only a key. */
export const emptyValue = Buffer.alloc(0);

/** What commits made stale in serving threads' caches. Can be posted between threads. */
export type SlotChanges = {
  /** Owners whose author feed, info, follows or blocks were written. */
  readonly owners: readonly number[];
  /** Hashes of the keys of changed rows of records and counts; null for too many. */
  readonly records: Int32Array | null;
  /** True when the slot has found that it lacks something. */
  readonly becameIncomplete: boolean;
  /** True when the rows, as they were, went on in other files: readers must open these. */
  readonly areFilesReplaced: boolean;
};

/** The cache of owner numbers is emptied when it reaches this. */
const ownersCachedMax = 50_000;

/** Rows of one slot. Readers and the applying thread each have their own. */
export class SlotState {
  readonly index: number;
  readonly rows: Table;
  readonly #ownerByDid = new Map<string, number>();
  #nextOwner = 0;
  /** Owners, as in SlotChanges, since these were last taken. */
  readonly touchedOwners = new Set<number>();
  /** Record rows, likewise. */
  readonly changedRecords = new RecordChanges();
  /** Records that the node's search index must look at; null where it has none. */
  searchChanges: SearchChanges | null = null;
  becameIncomplete = false;
  areFilesReplaced = false;
  /** Of a reader: the slot was complete at the last look, and has not become incomplete since. */
  isKnownComplete = false;
  /** Rows that the transaction under way has yet to write, by key head; empty ones are removed. */
  readonly #changedOwnerRows = new Map<number, Buffer>();
  /** Changes of how many actors were first seen in a minute, likewise. */
  readonly newActorsByMinute = new Map<number, number>();

  constructor(index: number, environment: Environment) {
    this.index = index;
    this.rows = environment.table(slotTables.state);
  }

  /** Returns the owner number of a DID, or undefined when this slot does not know it. */
  ownerOf(did: string): number | undefined {
    const cached = this.#ownerByDid.get(did);
    if (cached !== undefined) return cached;
    const row = this.rows.getVolatile(ownerKey(did));
    if (row === undefined) return undefined;
    const owner = row.readUInt32BE(0);
    this.#cache(did, owner);
    return owner;
  }

  /**
   * Returns the owner number of a DID; a new one gets the next number, in log order.
   *
   * Errors: DataPlaneError `StorageFull` when all are in use.
   */
  ensureOwner(did: string): number {
    const known = this.ownerOf(did);
    if (known !== undefined) return known;
    if (this.#nextOwner >= ownersMax) {
      const message = `slot ${this.index} has given out all its owner numbers (${ownersMax})`;
      throw new DataPlaneError('StorageFull', message, { hint: ownersMaxHint });
    }
    const owner = this.#nextOwner++;
    const value = Buffer.allocUnsafe(4);
    value.writeUInt32BE(owner);
    this.rows.put(ownerKey(did), value);
    this.#cache(did, owner);
    return owner;
  }

  /** Removes a DID whose rows are gone; its number is not given out again. */
  removeOwner(did: string): void {
    this.rows.remove(ownerKey(did));
    this.#ownerByDid.delete(did);
  }

  #cache(did: string, owner: number): void {
    if (this.#ownerByDid.size >= ownersCachedMax) this.#ownerByDid.clear();
    this.#ownerByDid.set(did, owner);
  }

  /**
   * Returns an owner's row in a table where it has one that changes often: of counts, of its repo.
   * Such a row is written once, at the end of the transaction, which often changes it repeatedly.
   *
   * Returns: the row as it will be then, valid until the next read.
   */
  ownerRow(owner: number, table: number): Buffer | undefined {
    const changed = this.#changedOwnerRows.get(keyHead(owner, table));
    if (changed === undefined) return this.rows.getVolatile(beginKey(owner, table).finish());
    return changed.length === 0 ? undefined : changed;
  }

  /** Returns a row as `ownerRow` does, to be changed in place; `bytes` zeros if there is none. */
  changedOwnerRow(owner: number, table: number, bytes: number): Buffer {
    const head = keyHead(owner, table);
    const changed = this.#changedOwnerRows.get(head);
    if (changed !== undefined && changed.length > 0) return changed;
    const stored = this.ownerRow(owner, table);
    const row = Buffer.allocUnsafe(stored?.length ?? bytes).fill(0);
    // A volatile value has more memory than its length, which not every Node's `copy` respects.
    if (stored !== undefined) for (let at = 0; at < row.length; at++) row[at] = stored[at]!;
    this.#changedOwnerRows.set(head, row);
    return row;
  }

  /** Puts such a row, of which this takes a copy; an empty one removes it. */
  putOwnerRow(owner: number, table: number, row: Buffer): void {
    const head = keyHead(owner, table);
    const changed = this.#changedOwnerRows.get(head);
    if (changed !== undefined && changed.length === row.length) row.copy(changed);
    else this.#changedOwnerRows.set(head, Buffer.from(row));
  }

  /** Writes such rows, at the end of a transaction. */
  flushOwnerRows(): void {
    for (const [head, row] of this.#changedOwnerRows) {
      const key = keyWriter.u32(head).finish();
      if (head % tableCodesMax === tableCode.actorCounts) this.changedRecords.note(key);
      if (row.length === 0) this.rows.remove(key);
      else this.rows.put(key, row);
    }
    this.#changedOwnerRows.clear();
  }

  /** Returns what has changed since the previous call. */
  takeChanges(): SlotChanges {
    const owners = [...this.touchedOwners];
    const { becameIncomplete, areFilesReplaced } = this;
    this.touchedOwners.clear();
    this.becameIncomplete = false;
    this.areFilesReplaced = false;
    return { owners, records: this.changedRecords.take(), becameIncomplete, areFilesReplaced };
  }

  get nextOwner(): number {
    return this.#nextOwner;
  }

  /** Sets what the next owner gets; what an aborted transaction left is dropped. */
  resetOwners(nextOwner: number): void {
    this.#ownerByDid.clear();
    this.#changedOwnerRows.clear();
    this.newActorsByMinute.clear();
    this.#nextOwner = nextOwner;
  }
}

function ownerKey(did: string): Buffer {
  const writer = beginSlotKey(tableCode.ownerByDid);
  writeDid(writer, did);
  return writer.finish();
}

/** Reads a key of the state table after its owner and table bytes. */
export function readKey(key: Buffer): ByteReader {
  return new ByteReader(key, keyHeadBytes);
}
