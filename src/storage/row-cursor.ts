/**
 * Reads the rows of a range without copies: the library decodes each row in its own memory, and the
 * codec here notes where that is.
 *
 * Two buffers for each row are most of what a scan of short rows costs otherwise.
 */
import type { RangeIterable } from 'lmdb';
import { InvariantError } from '../base/invariant.ts';

/**
 * A row in memory of the storage engine, until this thread's next read or write of any table.
 *
 * There is one of these a thread, and every cursor moves it: take from it what is needed before any
 * other read. The key's buffer has more memory than the key, so that `copy`, `subarray`, `set`,
 * `Buffer.from` and slices to text need an explicit end.
 */
export type LentRow = {
  /** The bytes of the key are `key[0..keyLength)`. */
  readonly key: Buffer;
  readonly keyLength: number;
  /** Meaningless at a cursor of keys alone. */
  readonly value: Buffer;
};

const lent: { -readonly [part in keyof LentRow]: LentRow[part] } = {
  key: Buffer.alloc(0),
  keyLength: 0,
  value: Buffer.alloc(0),
};
/** The library's memory for keys, of which `lent.key` is a part. */
let keyMemory: Buffer | null = null;

/** Every key is read at the same `start`. What it returns is where the library would go on. */
function lendKey(source: Buffer, start: number, end: number): typeof lent {
  if (source !== keyMemory) {
    keyMemory = source;
    lent.key = source.subarray(start);
  }
  lent.keyLength = end - start;
  return lent;
}

function writeBound(key: Buffer | typeof lent, into: Buffer, at: number): number {
  // Its bytes are gone: the reader's view of the data was renewed, or the event loop has turned.
  if (key === lent) throw new InvariantError('broken invariant: a cursor sees one state of the data');
  const bound = key as Buffer;
  into.set(bound, at);
  return at + bound.length;
}

/**
 * The library's memory for values, one a thread until a value does not fit, or a view of the file
 * for one of more than 16 MiB. It has properties of its own, among them `length`, which make code
 * slow that also sees plain buffers.
 */
type ValueMemory = Uint8Array & { readonly isGlobal?: true };

const cachedViewBytes = 4096;
/** Plain buffers on the library's memory for values, by their length. */
const views: (Buffer | undefined)[] = new Array(cachedViewBytes).fill(undefined);
let valueMemory: Uint8Array | null = null;

/** Returns the first `length` bytes of a value that was just read, as a plain buffer. */
export function viewOfValue(memory: ValueMemory, length: number): Buffer {
  if (length >= cachedViewBytes || memory.isGlobal !== true)
    return Buffer.from(memory.buffer, memory.byteOffset, length);
  if (memory !== valueMemory) {
    valueMemory = memory;
    views.fill(undefined);
  }
  views[length] ??= Buffer.from(memory.buffer, memory.byteOffset, length);
  return views[length];
}

function lendValue(memory: ValueMemory, length: number): void {
  lent.value = viewOfValue(memory, length);
}

function refuseWrite(): never {
  throw new InvariantError('broken invariant: a table is not written through its cursors');
}

/**
 * How a table is opened a second time, for cursors. The library's type declarations lack codecs of
 * keys.
 */
export const lendingOptions: object = {
  keyEncoder: { readKey: lendKey, writeKey: writeBound },
  encoder: { decode: lendValue, encode: refuseWrite },
};

/**
 * A position in a range of rows, which are lent. The caller closes it in any case, in the same turn
 * of the event loop.
 *
 * While it is open, its thread may read any table, with other cursors too: that takes back the
 * lent row but not the position. It must not write, end a transaction, or let its reads see newer
 * commits.
 */
export class RowCursor {
  readonly #rows: Iterator<unknown>;

  constructor(range: RangeIterable<unknown>) {
    this.#rows = range[Symbol.iterator]();
  }

  /**
   * Moves to the next row; undefined after the last.
   *
   * Errors: InvariantError when the reads of the thread were renewed since.
   */
  next(): LentRow | undefined {
    return this.#rows.next().done === true ? undefined : lent;
  }

  close(): void {
    this.#rows.return?.();
  }
}
