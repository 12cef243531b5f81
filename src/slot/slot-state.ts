/**
 * The materialised state of one slot as rows of one table, clustered by owner.
 *
 * Owns: the table codes, the owner dictionary, and the shared key writer. A key is the owner's 4-byte number, one byte for the
 * logical table, then that table's own layout, which its own file describes. Owner 0 holds what belongs to the whole slot.
 */
import { writeDid } from '../atproto/compact-key.ts';
import { ByteReader, ByteWriter } from '../base/bytes.ts';
import type { Environment, Table } from '../storage/environment.ts';

/** Codes of the logical tables in keys; append only. */
export const tableCode = {
  meta: 0x00,
  ownerByDid: 0x01,
  handle: 0x02,
  source: 0x03,
  delivered: 0x04,
  resyncNeeded: 0x05,
  actor: 0x10,
  repo: 0x11,
  identity: 0x12,
  notificationSeen: 0x13,
  actorCounts: 0x14,
  record: 0x20,
  resyncSeen: 0x21,
  edgeByTime: 0x30,
  edgeBySubject: 0x31,
  edgeDuplicate: 0x32,
  incomingActor: 0x40,
  recordCounts: 0x41,
  incomingRecord: 0x42,
  feed: 0x50,
  notice: 0x60,
  threadReply: 0x70,
  threadChild: 0x71,
  blobTakedown: 0x80,
} as const;

/** Names of the sub-databases of a slot's environment. */
export const slotTables = { state: 'state', log: 'log', outbox: 'outbox' } as const;

/** Those names as a list, for whoever opens the environment. */
export const slotTableNames: readonly string[] = Object.values(slotTables);

const keyWriter = new ByteWriter(2048);
const slotWide = 0;

/** Begins a key; finish it before beginning the next. */
export function beginKey(owner: number, table: number): ByteWriter {
  return keyWriter.u32(owner).u8(table);
}

/** Begins the key of a row that belongs to the whole slot. */
export function beginSlotKey(table: number): ByteWriter {
  return keyWriter.u32(slotWide).u8(table);
}

/** Owners remembered per slot handle; past it the memory is emptied and filled anew. */
const ownersCachedMax = 50_000;

/** Reads and writes rows of one slot. Reading handles and the applying one are separate objects in separate threads. */
export class SlotState {
  readonly index: number;
  readonly rows: Table;
  readonly #ownerByDid = new Map<string, number>();
  #nextOwner = 0;
  /** Owners whose author feed, info or follows were written since this was last taken; what readers remember of them is stale. */
  readonly touchedOwners = new Set<number>();

  constructor(index: number, environment: Environment) {
    this.index = index;
    this.rows = environment.table(slotTables.state);
  }

  /** Returns the owner number of a DID, or undefined when this slot has never heard of it. */
  ownerOf(did: string): number | undefined {
    const cached = this.#ownerByDid.get(did);
    if (cached !== undefined) return cached;
    const row = this.rows.getVolatile(ownerKey(did));
    if (row === undefined) return undefined;
    const owner = row.readUInt32BE(0);
    this.#remember(did, owner);
    return owner;
  }

  /** Returns the owner number of a DID, giving out the next one in log order when there is none yet. */
  ensureOwner(did: string): number {
    const known = this.ownerOf(did);
    if (known !== undefined) return known;
    const owner = this.#nextOwner++;
    const value = Buffer.allocUnsafe(4);
    value.writeUInt32BE(owner);
    this.rows.put(ownerKey(did), value);
    this.#remember(did, owner);
    return owner;
  }

  #remember(did: string, owner: number): void {
    if (this.#ownerByDid.size >= ownersCachedMax) this.#ownerByDid.clear();
    this.#ownerByDid.set(did, owner);
  }

  get nextOwner(): number {
    return this.#nextOwner;
  }

  /** Sets what the next new owner gets and forgets what an aborted transaction may have given out. */
  resetOwners(nextOwner: number): void {
    this.#ownerByDid.clear();
    this.#nextOwner = nextOwner;
  }
}

function ownerKey(did: string): Buffer {
  const writer = beginSlotKey(tableCode.ownerByDid);
  writeDid(writer, did);
  return writer.finish();
}

const keyPrefixBytes = 5;

/** Reads a key of the state table from behind its owner and table bytes. */
export function readKey(key: Buffer): ByteReader {
  return new ByteReader(key, keyPrefixBytes);
}
