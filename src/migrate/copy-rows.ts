/**
 * Reads the rows of PostgreSQL's binary COPY format from chunks of bytes.
 *
 * All columns are cast to text by the queries, so a value is its UTF-8 bytes, or null.
 */
import { DataPlaneError } from '../base/data-plane-error.ts';

/** The columns of one row; they alias the chunk. */
export type CopyRow = readonly (Buffer | null)[];

const signature = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1');
const headBytes = signature.length + 8;
/** A longer row is no row of a data plane. */
const rowBytesMax = 8 * 2 ** 20;

/** Yields the rows of each chunk. Errors: DataPlaneError `Unavailable` for an end amid a row. */
export async function* copyRows(chunks: AsyncIterable<Buffer>): AsyncGenerator<CopyRow[]> {
  let rest: Buffer = Buffer.alloc(0);
  let isBegun = false;
  let isEnded = false;
  for await (const chunk of chunks) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    if (!isBegun) {
      if (bytes.length < headBytes) {
        rest = bytes;
        continue;
      }
      if (!bytes.subarray(0, signature.length).equals(signature)) throw broken('does not begin as a COPY in binary');
      at = headBytes + bytes.readInt32BE(headBytes - 4);
      isBegun = true;
    }
    const rows: CopyRow[] = [];
    for (;;) {
      const row = readRow(bytes, at);
      if (row === null) break;
      if (row === 'end') {
        isEnded = true;
        break;
      }
      rows.push(row.columns);
      at = row.end;
    }
    rest = bytes.subarray(at);
    if (rest.length > rowBytesMax) throw broken(`holds a row of more than ${rowBytesMax} bytes`);
    if (rows.length > 0) yield rows;
  }
  if (!isEnded) throw broken('ended early');
}

function broken(problem: string): DataPlaneError {
  return new DataPlaneError('Unavailable', `what the database sent ${problem}`);
}

/** Returns the row at `at`, null if it is not all there, or that the rows have ended. */
function readRow(bytes: Buffer, at: number): { columns: CopyRow; end: number } | 'end' | null {
  if (bytes.length < at + 2) return null;
  const count = bytes.readInt16BE(at);
  if (count < 0) return 'end';
  const columns: (Buffer | null)[] = [];
  let end = at + 2;
  for (let index = 0; index < count; index++) {
    if (bytes.length < end + 4) return null;
    const length = bytes.readInt32BE(end);
    end += 4;
    if (length < 0) {
      columns.push(null);
      continue;
    }
    if (bytes.length < end + length) return null;
    columns.push(bytes.subarray(end, end + length));
    end += length;
  }
  return { columns, end };
}
