/**
 * Writes DAG-CBOR piece by piece, for the demo's records, commits and frames.
 *
 * Owns: minimal heads and one growing buffer. The caller gives map keys in canonical order (shorter first, then by
 * byte), which `record` checks for the values it walks.
 */
import { Cid } from '../../atproto/cid.ts';
import { ByteString, type DagMap, type DagValue } from '../../atproto/dag-value.ts';
import { invariant } from '../../base/invariant.ts';

const major = { unsigned: 0, negative: 0x20, bytes: 0x40, text: 0x60, array: 0x80, map: 0xa0, tag: 0xc0 } as const;

export class CborWriter {
  #buffer: Buffer;
  #length = 0;

  constructor(initialBytes = 4096) {
    this.#buffer = Buffer.allocUnsafeSlow(initialBytes);
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#length + bytes, this.#buffer.length * 2));
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
  }

  #head(kind: number, value: number): void {
    this.#reserve(9);
    if (value < 24) {
      this.#buffer[this.#length++] = kind | value;
    } else if (value < 0x100) {
      this.#buffer[this.#length++] = kind | 24;
      this.#buffer[this.#length++] = value;
    } else if (value < 0x10000) {
      this.#buffer[this.#length++] = kind | 25;
      this.#length = this.#buffer.writeUInt16BE(value, this.#length);
    } else if (value < 0x1_0000_0000) {
      this.#buffer[this.#length++] = kind | 26;
      this.#length = this.#buffer.writeUInt32BE(value, this.#length);
    } else {
      this.#buffer[this.#length++] = kind | 27;
      this.#length = this.#buffer.writeUInt32BE(Math.floor(value / 2 ** 32), this.#length);
      this.#length = this.#buffer.writeUInt32BE(value % 2 ** 32, this.#length);
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
    this.#reserve(bytes);
    if (bytes === value.length) this.#buffer.latin1Write(value, this.#length, bytes);
    else this.#buffer.utf8Write(value, this.#length, bytes);
    this.#length += bytes;
    return this;
  }

  bytes(value: Uint8Array): this {
    this.#head(major.bytes, value.length);
    return this.raw(value);
  }

  /** Copies bytes that are CBOR already. */
  raw(value: Uint8Array): this {
    this.#reserve(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
    return this;
  }

  integer(value: number): this {
    invariant(Number.isSafeInteger(value), 'numbers of the demo are whole');
    if (value < 0) this.#head(major.negative, -1 - value);
    else this.#head(major.unsigned, value);
    return this;
  }

  boolean(value: boolean): this {
    this.#reserve(1);
    this.#buffer[this.#length++] = value ? 0xf5 : 0xf4;
    return this;
  }

  null(): this {
    this.#reserve(1);
    this.#buffer[this.#length++] = 0xf6;
    return this;
  }

  /** Writes a link: tag 42 over a zero byte and the CID's 36 bytes. */
  link(cid: Uint8Array): this {
    this.#head(major.tag, 42);
    this.#head(major.bytes, cid.length + 1);
    this.#reserve(1);
    this.#buffer[this.#length++] = 0;
    return this.raw(cid);
  }

  linkOrNull(cid: Uint8Array | null): this {
    return cid === null ? this.null() : this.link(cid);
  }

  /** Writes a whole record value. Shape: its keys stand in canonical order. */
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
        'keys of a record stand in canonical order',
      );
      last = key;
      this.text(key).record(value[key]!);
    }
    return this;
  }

  /** Returns a copy of what was written and empties the writer. */
  finish(): Buffer {
    const result = Buffer.from(this.#buffer.subarray(0, this.#length));
    this.#length = 0;
    return result;
  }
}
