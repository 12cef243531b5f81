/** Content identifiers: CIDv1 with sha2-256 over dag-cbor or raw bytes, the two that the protocol knows. */
export class Cid {
  /** 36 bytes: version, codec, hash code, hash length, digest. May alias the source that it was decoded from. */
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
}
