/**
 * Writes DAG-CBOR piece by piece: tree nodes, and the demo's records, commits and frames.
 *
 * Owns: minimal heads. The caller gives map keys in canonical order (shorter first, then by byte),
 * which `record` checks for the values it walks.
 */

import { ByteWriter } from '../base/bytes.ts';
import { invariant } from '../base/invariant.ts';
import { Cid } from './cid.ts';
import { ByteString, type DagMap, type DagValue } from './dag-value.ts';

const major = { unsigned: 0, negative: 0x20, bytes: 0x40, text: 0x60, array: 0x80, map: 0xa0, tag: 0xc0 } as const;

export class CborWriter {
  readonly #out: ByteWriter;

  constructor(initialBytes = 4096) {
    this.#out = new ByteWriter(initialBytes);
  }

  #head(kind: number, value: number): void {
    if (value < 24) this.#out.u8(kind | value);
    else if (value < 0x100) this.#out.u8(kind | 24).u8(value);
    else if (value < 0x10000) this.#out.u8(kind | 25).u16(value);
    else if (value < 0x1_0000_0000) this.#out.u8(kind | 26).u32(value);
    else {
      const high = Math.floor(value / 2 ** 32);
      this.#out
        .u8(kind | 27)
        .u32(high)
        .u32(value % 2 ** 32);
    }
  }

  /** Opens a map; `entries` keys and values must follow. */
  map(entries: number): this {
    this.#head(major.map, entries);
    return this;
  }

  /** Opens an array; `items` values must follow. */
  array(items: number): this {
    this.#head(major.array, items);
    return this;
  }

  text(value: string): this {
    const bytes = Buffer.byteLength(value);
    this.#head(major.text, bytes);
    if (bytes === value.length) this.#out.ascii(value);
    else this.#out.utf8(value, bytes);
    return this;
  }

  bytes(value: Uint8Array): this {
    this.#head(major.bytes, value.length);
    return this.raw(value);
  }

  /** Writes an unsigned LEB128 number, as CAR has before its blocks. */
  varint(value: number): this {
    this.#out.varint(value);
    return this;
  }

  /** Copies bytes that already are CBOR. */
  raw(value: Uint8Array): this {
    this.#out.bytes(value);
    return this;
  }

  integer(value: number): this {
    invariant(Number.isSafeInteger(value), 'written numbers are whole');
    if (value < 0) this.#head(major.negative, -1 - value);
    else this.#head(major.unsigned, value);
    return this;
  }

  boolean(value: boolean): this {
    this.#out.u8(value ? 0xf5 : 0xf4);
    return this;
  }

  null(): this {
    this.#out.u8(0xf6);
    return this;
  }

  /** Writes a link: tag 42 over a zero byte and the CID's 36 bytes. */
  link(cid: Uint8Array): this {
    this.#head(major.tag, 42);
    this.#head(major.bytes, cid.length + 1);
    this.#out.u8(0).bytes(cid);
    return this;
  }

  linkOrNull(cid: Uint8Array | null): this {
    return cid === null ? this.null() : this.link(cid);
  }

  /** Writes a whole record value. Shape: its keys are in canonical order. */
  record(value: DagValue): this {
    if (typeof value === 'string') return this.text(value);
    if (typeof value === 'number') return this.integer(value);
    if (typeof value === 'boolean') return this.boolean(value);
    if (value === null) return this.null();
    if (value instanceof Cid) return this.link(value.bytes);
    if (value instanceof ByteString) return this.bytes(value.bytes);
    if (Array.isArray(value)) {
      this.array(value.length);
      for (const item of value) this.record(item);
      return this;
    }
    return this.#recordMap(value);
  }

  #recordMap(value: DagMap): this {
    const keys = Object.keys(value);
    this.map(keys.length);
    let last = '';
    for (const key of keys) {
      invariant(
        key.length > last.length || (key.length === last.length && key > last),
        'keys of a record are in canonical order',
      );
      last = key;
      this.text(key).record(value[key]!);
    }
    return this;
  }

  /** Returns a copy of the output and empties the writer. */
  finish(): Buffer {
    return this.#out.finish();
  }
}
