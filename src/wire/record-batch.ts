/**
 * The call `slot.records`: stored records by AT-URI, for callers that need only their JSON.
 *
 * ```
 * request: version u8, count (varint), each: length (varint), AT-URI of a DID (ASCII)
 * answer:  version u8, count (varint), each: 0 for none, else length + 1 (varint), JSON (UTF-8)
 * ```
 *
 * Answers are in the order asked. A takedown does not hide a stored record here.
 */
import { ByteWriter } from '../base/bytes.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { nodeCalls } from './node-calls.ts';
import { peerReader } from './peer-bytes.ts';

/** The first byte of requests and answers. */
export const recordBatchVersion = 1;
/** A larger batch is refused. */
export const recordBatchItemsMax = 5000;

/** Encodes a request. */
export function encodeRecordBatchRequest(uris: readonly string[]): Buffer {
  const writer = new ByteWriter(uris.length * 80 + 8);
  writer.u8(recordBatchVersion).varint(uris.length);
  for (const uri of uris) writer.varint(uri.length).ascii(uri);
  return writer.finish();
}

/** Decodes an answer into JSON that aliases it, or null for a record that is not stored. */
export function decodeRecordBatchAnswer(answer: Uint8Array): (Buffer | null)[] {
  const reader = peerReader(answer, `${nodeCalls.records} answer`);
  if (reader.u8() !== recordBatchVersion) reader.fail('of another version');
  const count = reader.varint();
  if (count > recordBatchItemsMax) throw new DataPlaneError('Internal', `an answer of ${count} records`);
  const records: (Buffer | null)[] = [];
  for (let index = 0; index < count; index++) {
    const length = reader.varint();
    records.push(length === 0 ? null : reader.bytes(length - 1));
  }
  reader.end();
  return records;
}
