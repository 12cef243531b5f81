/**
 * Values of the protocol's data model, as decoded from DAG-CBOR, and their JSON text.
 *
 * `Cid` and `ByteString` have `toJSON`, so JSON.stringify writes the protocol's `$link` and
 * `$bytes`.
 */
import { Cid } from './cid.ts';

/** A CBOR byte string. `bytes` aliases the source that it was decoded from. */
export class ByteString {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** The protocol's JSON form: base64 without padding. */
  toJSON(): { $bytes: string } {
    const base64 = Buffer.from(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length).toString('base64');
    return { $bytes: base64.replace(/=+$/, '') };
  }
}

export type DagValue = null | boolean | number | string | Cid | ByteString | DagValue[] | DagMap;
/** Keys are in block order, except that JavaScript puts decimal integers first. */
export type DagMap = { [key: string]: DagValue };

/** True for a map; false for lists, CIDs and byte strings, which are objects too. */
export function isDagMap(value: DagValue | undefined): value is DagMap {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Cid) &&
    !(value instanceof ByteString)
  );
}

/** Returns the protocol's JSON text of a value. */
export function dagJson(value: DagValue): string {
  return JSON.stringify(value);
}
