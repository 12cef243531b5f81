/** An append-only file of items that survives a killed process: opening it cuts off a torn end. */
import {
  closeSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { xxh32 } from '../../base/xxh32.ts';

/** Each item follows its length and its hash, 4 bytes each. */
const headBytes = 8;
/** A greater length means a torn item. */
const itemBytesMax = 2 ** 28;

function writeFully(file: number, bytes: Uint8Array, position: number): void {
  for (let written = 0; written < bytes.length; ) {
    written += writeSync(file, bytes, written, bytes.length - written, position + written);
  }
}

function framed(item: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(headBytes + item.length);
  bytes.writeUInt32BE(item.length, 0);
  bytes.writeUInt32BE(xxh32(item), 4);
  item.copy(bytes, headBytes);
  return bytes;
}

/** Reads exactly `length` bytes, or null when the file ends earlier. */
function readExactly(file: number, position: number, length: number): Buffer | null {
  const bytes = Buffer.allocUnsafeSlow(length);
  for (let read = 0; read < length; ) {
    const got = readSync(file, bytes, read, length - read, position + read);
    if (got === 0) return null;
    read += got;
  }
  return bytes;
}

export class ItemFile {
  readonly #file: number;
  #bytes: number;

  private constructor(file: number, bytes: number) {
    this.#file = file;
    this.#bytes = bytes;
  }

  /** Opens or creates the file, passing each whole item to `take` in order. */
  static open(path: string, take: (item: Buffer) => void): ItemFile {
    const file = openSync(path, existsSync(path) ? 'r+' : 'w+');
    const size = fstatSync(file).size;
    let position = 0;
    for (;;) {
      const head = readExactly(file, position, headBytes);
      const length = head?.readUInt32BE(0) ?? 0;
      if (head === null || length > itemBytesMax) break;
      const item = readExactly(file, position + headBytes, length);
      if (item === null || xxh32(item) !== head.readUInt32BE(4)) break;
      take(item);
      position += headBytes + length;
    }
    if (position < size) ftruncateSync(file, position);
    return new ItemFile(file, position);
  }

  /** Replaces the file of this name atomically. */
  static replace(path: string, items: Iterable<Buffer>): ItemFile {
    const partPath = `${path}.part`;
    if (existsSync(partPath)) unlinkSync(partPath);
    const file = ItemFile.open(partPath, () => undefined);
    for (const item of items) file.append(item);
    renameSync(partPath, path);
    return file;
  }

  get bytes(): number {
    return this.#bytes;
  }

  append(item: Buffer): void {
    const bytes = framed(item);
    writeFully(this.#file, bytes, this.#bytes);
    this.#bytes += bytes.length;
  }

  close(): void {
    closeSync(this.#file);
  }
}
