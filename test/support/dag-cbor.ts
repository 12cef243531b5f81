/** Canonical DAG-CBOR of values as our decoder returns them, encoded by the protocol's library. */
import { decode, encode, type LexValue } from '@atproto/lex-cbor';
import { Cid } from '../../src/atproto/cid.ts';
import { ByteString, type DagValue } from '../../src/atproto/dag-value.ts';

const linkHead = Buffer.from('d82a582500', 'hex');

function lexValueOf(value: DagValue): LexValue {
  if (value instanceof Cid) return decode(Buffer.concat([linkHead, value.bytes]));
  if (value instanceof ByteString) return value.bytes;
  if (Array.isArray(value)) return value.map(lexValueOf);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, lexValueOf(inner)]));
}

/** Encodes one value as a block. The library refuses fractions; use `doubleBlock` for those. */
export function encodeDagCbor(value: DagValue): Buffer {
  return Buffer.from(encode(lexValueOf(value)));
}

/** Encodes a number as a double: the data model has doubles, though no record holds one. */
export function doubleBlock(value: number): Buffer {
  const block = Buffer.alloc(9, 0xfb);
  block.writeDoubleBE(value, 1);
  return block;
}
