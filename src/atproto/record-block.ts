/**
 * Finds, checks and decodes the record of an op, which is a block of a CAR.
 *
 * Owns: the reasons for which one op is dropped, and the limits of one record.
 */
import { type BlockSize, sizeOfBlock } from './block-size.ts';
import type { CarBlocks } from './car.ts';
import { type DagCborReason, decodeDagCbor } from './dag-cbor.ts';
import { type DagMap, type DagValue, isDagMap } from './dag-value.ts';
import { inputLimits } from './input-limits.ts';
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

/** A dropped op. Its path is empty when that is unreadable; the collection may have no index. */
export type BadOp = { readonly reason: OpReason; readonly collection: string; readonly rkey: string };

/** `value` and `block` alias the CAR. */
export type RecordBlock = { readonly value: DagMap; readonly block: Uint8Array; readonly size: BlockSize };
export type BadRecord = { readonly reason: OpReason };

/** Returns what the record that is the block of this index will be, or why it is refused unread. */
export function recordSizeAt(blocks: CarBlocks, block: number): BlockSize | BadRecord {
  const start = blocks.startOf(block);
  const end = blocks.endOf(block);
  if (end - start > inputLimits.recordBytesMax) return { reason: 'record-too-large' };
  const size = sizeOfBlock(blocks.source.subarray(start, end));
  if (size.items > inputLimits.cborItemsMax) return { reason: 'record-too-many-items' };
  return size.jsonBytes > inputLimits.recordJsonBytesMax ? { reason: 'record-json-too-large' } : size;
}

/** Checks and decodes the record that is the block of this index and of this size. */
export function decodeRecordAt(blocks: CarBlocks, block: number, size: BlockSize): RecordBlock | BadRecord {
  if (!blocks.isIntact(block)) return { reason: 'op-block-hash-wrong' };
  const bytes = blocks.source.subarray(blocks.startOf(block), blocks.endOf(block));
  const read = decodeDagCbor(bytes);
  if (!read.ok) return { reason: `record-${read.reason}` };
  return isDagMap(read.value) ? { value: read.value, block: bytes, size } : { reason: 'record-not-an-object' };
}
