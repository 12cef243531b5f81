/**
 * Finds, checks and decodes the record of an op, which is a block of a CAR.
 *
 * Owns: the reasons for which one op is dropped, and the limits of one record.
 */
import type { CarBlocks } from './car.ts';
import type { Cid } from './cid.ts';
import { type DagCborReason, decodeDagCbor } from './dag-cbor.ts';
import { type DagMap, type DagValue, isDagMap } from './dag-value.ts';
import { inputLimits } from './input-limits.ts';
import { jsonBytesBound } from './json-size.ts';
import type { RepoOp } from './repo-op.ts';

/** An op of an indexed collection. `value` is its record for `checkRecord`, null for a delete. */
export type DecodedOp = { readonly op: RepoOp; readonly value: DagValue };

/** Why one op of an otherwise valid commit or repo is dropped. */
export type OpReason =
  | 'op-malformed'
  | 'op-path-bad'
  | 'op-action-unknown'
  | 'op-cid-missing'
  | 'op-block-missing'
  | 'op-block-hash-wrong'
  | 'record-too-large'
  | 'record-json-too-large'
  | 'record-not-an-object'
  | `record-${DagCborReason}`;

/** A dropped op. `collection` is empty when the path is unreadable, and may have no index. */
export type BadOp = { readonly reason: OpReason; readonly collection: string };

/** `jsonBytes` is a bound. `value` and `block` alias the CAR. */
export type RecordBlock = { readonly value: DagMap; readonly block: Uint8Array; readonly jsonBytes: number };
export type BadRecord = { readonly reason: OpReason };

/** Decodes the record that an op names. */
export function decodeRecord(blocks: CarBlocks, cid: Cid): RecordBlock | BadRecord {
  const block = blocks.find(cid);
  return block < 0 ? { reason: 'op-block-missing' } : decodeRecordAt(blocks, block);
}

/** Decodes the record that is the block of this index. */
export function decodeRecordAt(blocks: CarBlocks, block: number): RecordBlock | BadRecord {
  const start = blocks.startOf(block);
  const end = blocks.endOf(block);
  if (end - start > inputLimits.recordBytesMax) return { reason: 'record-too-large' };
  if (!blocks.isIntact(block)) return { reason: 'op-block-hash-wrong' };
  const bytes = blocks.source.subarray(start, end);
  const read = decodeDagCbor(bytes);
  if (!read.ok) return { reason: `record-${read.reason}` };
  if (!isDagMap(read.value)) return { reason: 'record-not-an-object' };
  const jsonBytes = jsonBytesBound(bytes);
  if (jsonBytes > inputLimits.recordJsonBytesMax) return { reason: 'record-json-too-large' };
  return { value: read.value, block: bytes, jsonBytes };
}
