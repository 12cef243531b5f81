/**
 * Reads an untrusted CAR v1: finds its blocks without copying, and checks a block's hash on use,
 * since most blocks of a commit are tree nodes that nobody reads.
 */
import { readVarint, varintEnd } from '../base/varint.ts';
import { Cid, cidBytes, isBlockIntact, isCidAt } from './cid.ts';
import { DagCborReader } from './dag-cbor.ts';
import { type DagValue, isDagMap } from './dag-value.ts';
import type { Decoded } from './decoded.ts';

export type CarReason =
  | 'car-too-large'
  | 'car-truncated'
  | 'car-header-bad'
  | 'car-version-unknown'
  | 'car-root-missing'
  | 'car-block-malformed'
  | 'car-block-too-large'
  | 'car-too-many-blocks'
  | 'car-index-crowded';

/** Units: bytes, blocks. `bytes` stays below 2^31, so that positions are small integers. */
export type CarLimits = { readonly bytes: number; readonly blockBytes: number; readonly blocks: number };

const headerBytesMax = 4096;
/** Up to this count a scan is as fast as a table. */
const scanBlocksMax = 24;
/** Honest digests never collide this often; input with crafted collisions is refused. */
const probesMax = 256;

/** The blocks of one CAR, by identifier. Aliases the source. */
export class CarBlocks {
  readonly source: Buffer;
  readonly root: Cid;
  /** Where each block's identifier starts, ascending; the block's bytes follow it. */
  readonly #starts: readonly number[];
  readonly #ends: readonly number[];
  readonly #table: Int32Array | undefined;

  constructor(source: Buffer, root: Cid, starts: readonly number[], ends: readonly number[], table?: Int32Array) {
    this.source = source;
    this.root = root;
    this.#starts = starts;
    this.#ends = ends;
    this.#table = table;
  }

  get count(): number {
    return this.#starts.length;
  }

  /** Returns the index of a block, or -1 when the CAR lacks it. */
  find(cid: Cid): number {
    if (this.#table === undefined) {
      for (let block = 0; block < this.#starts.length; block++) {
        if (cid.isAt(this.source, this.#starts[block]!)) return block;
      }
      return -1;
    }
    const mask = this.#table.length - 1;
    for (let slot = cid.digestPrefix & mask; ; slot = (slot + 1) & mask) {
      const block = this.#table[slot]! - 1;
      if (block < 0 || cid.isAt(this.source, this.#starts[block]!)) return block;
    }
  }

  /** Where the bytes of a block start. */
  startOf(block: number): number {
    return this.#starts[block]! + cidBytes;
  }

  endOf(block: number): number {
    return this.#ends[block]!;
  }

  /** True when the block's bytes match the hash in its identifier. */
  isIntact(block: number): boolean {
    const start = this.#starts[block]!;
    return isBlockIntact(this.source, start, this.source.subarray(start + cidBytes, this.#ends[block]));
  }
}

function rootOf(header: DagValue): Decoded<Cid, CarReason> {
  if (!isDagMap(header)) return { ok: false, reason: 'car-header-bad' };
  if (header['version'] !== 1) return { ok: false, reason: 'car-version-unknown' };
  const roots = header['roots'];
  const root = Array.isArray(roots) ? roots[0] : undefined;
  return root instanceof Cid ? { ok: true, value: root } : { ok: false, reason: 'car-root-missing' };
}

const varintBytesMax = 4;

/** Reads a number of at most 28 bits. Returns a negative one when it is longer or truncated. */
function varintAt(source: Buffer, start: number): number {
  return readVarint(source, start, Math.min(source.length, start + varintBytesMax));
}

/** Finds the bounds of blocks and then makes their table, a number of blocks at a time. */
class CarScan {
  readonly #source: Buffer;
  readonly #limits: CarLimits;
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  #position: number;
  /** Of block index + 1, by digest prefix; made once all blocks are found. */
  #table: Int32Array | undefined;
  #tabled = 0;

  constructor(source: Buffer, from: number, limits: CarLimits) {
    this.#source = source;
    this.#position = from;
    this.#limits = limits;
  }

  /** Goes on for so many blocks. Returns: true at the end, false before it, or a reason. */
  run(blocksMax: number): boolean | CarReason {
    if (this.#position < this.#source.length) {
      const fault = this.#find(blocksMax);
      if (fault !== null) return fault;
      return this.#position >= this.#source.length && this.#starts.length <= scanBlocksMax;
    }
    if (this.#starts.length <= scanBlocksMax) return true;
    return this.#addToTable(blocksMax) ? this.#tabled === this.#starts.length : 'car-index-crowded';
  }

  #find(blocksMax: number): CarReason | null {
    const source = this.#source;
    const limits = this.#limits;
    const starts = this.#starts;
    let position = this.#position;
    for (let left = blocksMax; position < source.length && left > 0; left--) {
      const length = varintAt(source, position);
      if (length < cidBytes) return length < 0 ? 'car-truncated' : 'car-block-malformed';
      if (length > limits.blockBytes + cidBytes) return 'car-block-too-large';
      const start = varintEnd();
      position = start + length;
      if (position > source.length) return 'car-truncated';
      if (!isCidAt(source, start)) continue;
      if (starts.length >= limits.blocks) return 'car-too-many-blocks';
      starts.push(start);
      this.#ends.push(position);
    }
    this.#position = position;
    return null;
  }

  /** Returns: false beyond `probesMax`. */
  #addToTable(blocksMax: number): boolean {
    const source = this.#source;
    const starts = this.#starts;
    if (this.#table === undefined) {
      let slots = 64;
      while (slots < starts.length * 2) slots *= 2;
      this.#table = new Int32Array(slots);
    }
    const table = this.#table;
    const end = Math.min(starts.length, this.#tabled + blocksMax);
    for (let block = this.#tabled; block < end; block++) {
      let slot = source.readUInt32BE(starts[block]! + 4) & (table.length - 1);
      let probes = 0;
      while (table[slot] !== 0) {
        if (++probes > probesMax) return false;
        slot = (slot + 1) & (table.length - 1);
      }
      table[slot] = block + 1;
    }
    this.#tabled = end;
    return true;
  }

  blocks(root: Cid): CarBlocks {
    return new CarBlocks(this.#source, root, this.#starts, this.#ends, this.#table);
  }
}

function openCar(bytes: Uint8Array, limits: CarLimits): Decoded<{ root: Cid; scan: CarScan }, CarReason> {
  if (bytes.length > limits.bytes) return { ok: false, reason: 'car-too-large' };
  const source = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const headerBytes = varintAt(source, 0);
  if (headerBytes <= 0 || headerBytes > headerBytesMax) return { ok: false, reason: 'car-header-bad' };
  const headerStart = varintEnd();
  if (headerStart + headerBytes > source.length) return { ok: false, reason: 'car-truncated' };
  const reader = new DagCborReader(source, headerStart, headerStart + headerBytes, 'any');
  const header = reader.next();
  if (!header.ok || !reader.isAtEnd) return { ok: false, reason: 'car-header-bad' };
  const root = rootOf(header.value);
  if (!root.ok) return root;
  return { ok: true, value: { root: root.value, scan: new CarScan(source, headerStart + headerBytes, limits) } };
}

/**
 * Reads the header and the bounds of every block.
 *
 * Skips blocks with unknown kinds of identifiers: nothing that we decode can point to them.
 *
 * Shape: `bytes` must not change while the blocks are in use.
 */
export function readCar(bytes: Uint8Array, limits: CarLimits): Decoded<CarBlocks, CarReason> {
  const opened = openCar(bytes, limits);
  if (!opened.ok) return opened;
  const { root, scan } = opened.value;
  for (;;) {
    const state = scan.run(Number.POSITIVE_INFINITY);
    if (typeof state === 'string') return { ok: false, reason: state };
    if (state) return { ok: true, value: scan.blocks(root) };
  }
}

const blocksPerStep = 65_536;

/** Like `readCar`, for one of millions of blocks: yields where a caller may give way to others. */
export function* readCarInSteps(
  bytes: Uint8Array,
  limits: CarLimits,
): Generator<void, Decoded<CarBlocks, CarReason>, undefined> {
  const opened = openCar(bytes, limits);
  if (!opened.ok) return opened;
  const { root, scan } = opened.value;
  for (;;) {
    const state = scan.run(blocksPerStep);
    if (typeof state === 'string') return { ok: false, reason: state };
    if (state) return { ok: true, value: scan.blocks(root) };
    yield;
  }
}
