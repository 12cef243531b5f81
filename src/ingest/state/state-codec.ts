/** The keys of ingest's tables, and the version byte that starts each value. */
import { writeDid } from '../../atproto/compact-key.ts';
import { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { invariant } from '../../base/invariant.ts';
import type { Table } from '../../storage/environment.ts';

/** First byte of each value. */
export const valueVersion = 2;

/** The range of all keys of a table. */
export const everyKey = { start: Buffer.of(0), end: Buffer.alloc(64, 255) } as const;

/** Returns the key of a row about a DID. */
export function didKey(did: string): Buffer {
  const writer = new ByteWriter(40);
  writeDid(writer, did);
  return writer.finish();
}

/** Returns the key of a row about a name or an origin. */
export function textKey(text: string): Buffer {
  return Buffer.from(text, 'utf8');
}

/** Returns a writer that holds the version byte. */
export function beginValue(): ByteWriter {
  return new ByteWriter(48).u8(valueVersion);
}

/** Returns a reader after the version byte. Errors: InvariantError for an unknown version. */
export function readValue(value: Buffer): ByteReader {
  const reader = new ByteReader(value);
  invariant(reader.u8() === valueVersion, 'a value of the ingest state has a known version');
  return reader;
}

const lowBits = 2 ** 48;

/** Writes the lower 48 bits of a seq, which may have 53: some sources count microseconds. */
export function writeSeq(writer: ByteWriter, seq: number): ByteWriter {
  return writer.u48(seq % lowBits);
}

/** Writes the other bits of seqs, at the end of a value and only where there are some. */
export function writeHighBits(writer: ByteWriter, seqs: readonly number[]): ByteWriter {
  if (seqs.some((seq) => seq >= lowBits)) for (const seq of seqs) writer.u8(Math.floor(seq / lowBits));
  return writer;
}

/** Reads what `writeHighBits` wrote of the next seq. Returns: what to add to its lower bits. */
export function readHighBits(reader: ByteReader): number {
  return reader.remaining === 0 ? 0 : reader.u8() * lowBits;
}

/** Errors: DataPlaneError `ConfigInvalid` when a table's first value is of another version. */
export function requireKnownVersion(table: Table, path: string): void {
  for (const { value } of table.scan({ ...everyKey, limit: 1 })) {
    if (value[0] === valueVersion) return;
    throw new DataPlaneError('ConfigInvalid', `${path} holds ingest state of format ${value[0]}, not ${valueVersion}`, {
      hint: 'Move the folder away; ingest then begins at --cursor, and `skyshard backfill` fetches the repos.',
    });
  }
}
