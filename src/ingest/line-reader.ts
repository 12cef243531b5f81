/** Reads the lines of a file from a byte offset, in batches; a line that is too long is skipped. */
import type { FileHandle } from 'node:fs/promises';

/** Null in `lines` is one that was too long. `offset` is that of the next line. */
export type LineBatch = { readonly lines: readonly (string | null)[]; readonly offset: number };

const chunkBytes = 2 ** 20;
const newline = 0x0a;

export class LineReader {
  readonly #file: FileHandle;
  readonly #lineBytesMax: number;
  readonly #chunk = Buffer.allocUnsafe(chunkBytes);
  #offset: number;
  /** The rest of a line that was too long is still to be passed. */
  #isSkipping = false;

  constructor(file: FileHandle, offset: number, lineBytesMax: number) {
    this.#file = file;
    this.#offset = offset;
    this.#lineBytesMax = lineBytesMax;
  }

  /** Returns the next lines, some of them; null at the end of the file. */
  async next(): Promise<LineBatch | null> {
    const { bytesRead } = await this.#file.read(this.#chunk, 0, chunkBytes, this.#offset);
    const bytes = this.#chunk.subarray(0, bytesRead);
    const lines: (string | null)[] = [];
    let start = 0;
    for (let end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline, start)) {
      this.#take(bytes.subarray(start, end), lines);
      start = end + 1;
    }
    if (start === 0 && bytesRead === chunkBytes) {
      if (!this.#isSkipping) lines.push(null);
      this.#isSkipping = true;
      start = chunkBytes;
    }
    // The last line may lack its end; half an object is one that is still being written.
    if (bytesRead < chunkBytes && start < bytesRead && bytes.at(-1) === 0x7d) {
      this.#take(bytes.subarray(start), lines);
      start = bytesRead;
    }
    if (start === 0) return null;
    this.#offset += start;
    return { lines, offset: this.#offset };
  }

  #take(line: Buffer, lines: (string | null)[]): void {
    const wasSkipped = this.#isSkipping;
    this.#isSkipping = false;
    if (wasSkipped || line.length === 0) return;
    lines.push(line.length > this.#lineBytesMax ? null : line.toString('utf8'));
  }
}
