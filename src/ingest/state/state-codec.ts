/** The keys of ingest's tables, and the version byte that starts each value. */
import { writeDid } from '../../atproto/compact-key.ts';
import { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { invariant } from '../../base/invariant.ts';

/** First byte of each value. */
export const valueVersion = 1;

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
