/**
 * Decodes the ops of one commit, each with its record.
 *
 * Owns: when the ops do not say all that changed, so that the repo must be fetched, and what a
 * commit may expand to. A block is checked and decoded once, however many ops name it.
 */
import { isValidRecordKey } from '@atproto/syntax';
import { type CarBlocks, type CarLimits, type CarReason, readCar } from './car.ts';
import { Cid } from './cid.ts';
import { collectionCode } from './collection.ts';
import { type DagValue, isDagMap } from './dag-value.ts';
import { inputLimits } from './input-limits.ts';
import {
  type BadOp,
  type BadRecord,
  type DecodedOp,
  decodeRecordAt,
  type OpReason,
  type RecordBlock,
  recordSizeAt,
} from './record-block.ts';
import { deleteOp } from './repo-op.ts';

/**
 * Why a repo must be fetched after its commit. With `op-unreadable` the commit's other ops are
 * decoded; with any other reason it has none.
 */
export type ResyncReason =
  | 'too-big'
  | 'too-many-ops'
  | 'blocks-too-large'
  | 'path-duplicate'
  | 'records-too-large'
  | 'op-unreadable'
  | CarReason;

export type CommitOps = {
  /** Ops of indexed collections, in event order. */
  readonly ops: readonly DecodedOp[];
  readonly badOps: readonly BadOp[];
  /** Ops that were not decoded, since their collection is not indexed. */
  readonly unindexedOps: number;
  /** Null when the ops say all that changed. */
  readonly resyncReason: ResyncReason | null;
};

/** The limits of the CAR of a `#commit` or a `#sync`. */
export const commitCarLimits: CarLimits = {
  bytes: inputLimits.commitCarBytesMax,
  blockBytes: inputLimits.commitCarBytesMax,
  blocks: inputLimits.commitBlocksMax,
};

/** After these, what the op did to its record is unknown; any other is a fault of the record. */
const unreadableReasons: ReadonlySet<OpReason> = new Set([
  'op-malformed',
  'op-action-unknown',
  'op-cid-missing',
  'op-block-missing',
  'op-block-hash-wrong',
]);

function withoutOps(resyncReason: ResyncReason): CommitOps {
  return { ops: [], badOps: [], unindexedOps: 0, resyncReason };
}

/** The ops as they are sorted, and what their records come to. */
class OpSorter {
  readonly ops: DecodedOp[] = [];
  readonly badOps: BadOp[] = [];
  unindexedOps = 0;
  /** True once the records come to more than a commit's may. */
  isTooLarge = false;
  #recordBytes = 0;
  #jsonBytes = 0;
  #items = 0;
  readonly #blocks: CarBlocks | null;
  /** By index of the block; null where one op is all, as in most commits. */
  readonly #records: Map<number, RecordBlock | BadRecord> | null;

  constructor(blocks: CarBlocks | null, opCount: number) {
    this.#blocks = blocks;
    this.#records = opCount > 1 ? new Map() : null;
  }

  add(raw: DagValue): void {
    if (!isDagMap(raw)) return this.#drop('op-malformed', '');
    const { path, action, cid } = raw;
    const slash = typeof path === 'string' ? path.indexOf('/') : -1;
    if (typeof path !== 'string' || slash <= 0) return this.#drop('op-path-bad', '');
    const collection = path.slice(0, slash);
    if (collectionCode(collection) === undefined) {
      this.unindexedOps++;
      return;
    }
    const rkey = path.slice(slash + 1);
    if (!isValidRecordKey(rkey)) return this.#drop('op-path-bad', collection);
    if (action === 'delete') {
      this.ops.push({ op: deleteOp(collection, rkey), value: null });
      return;
    }
    if (action !== 'create' && action !== 'update') return this.#drop('op-action-unknown', collection, rkey);
    if (!(cid instanceof Cid)) return this.#drop('op-cid-missing', collection, rkey);
    const record = this.#recordOf(cid);
    if ('reason' in record) return this.#drop(record.reason, collection, rkey);
    this.#recordBytes += record.size.bytes;
    this.#jsonBytes += record.size.jsonBytes;
    this.isTooLarge ||=
      this.#recordBytes > inputLimits.commitRecordBytesMax || this.#jsonBytes > inputLimits.commitJsonBytesMax;
    this.ops.push({ op: { action, collection, rkey, cid: cid.bytes, block: record.block }, value: record.value });
  }

  #drop(reason: OpReason, collection: string, rkey = ''): void {
    this.badOps.push({ reason, collection, rkey });
  }

  #recordOf(cid: Cid): RecordBlock | BadRecord {
    const block = this.#blocks?.find(cid) ?? -1;
    if (this.#blocks === null || block < 0) return { reason: 'op-block-missing' };
    const record = this.#records?.get(block) ?? this.#decode(this.#blocks, block);
    this.#records?.set(block, record);
    return record;
  }

  /** Decoding costs by the item, so the sum is checked first. */
  #decode(blocks: CarBlocks, block: number): RecordBlock | BadRecord {
    const size = recordSizeAt(blocks, block);
    if ('reason' in size) return size;
    this.#items += size.items;
    this.isTooLarge ||= this.#items > inputLimits.commitItemsMax;
    return this.isTooLarge ? { reason: 'record-too-many-items' } : decodeRecordAt(blocks, block, size);
  }

  get result(): CommitOps {
    const { ops, badOps, unindexedOps } = this;
    const isUnreadable = badOps.some(({ reason }) => unreadableReasons.has(reason));
    return { ops, badOps, unindexedOps, resyncReason: isUnreadable ? 'op-unreadable' : null };
  }
}

/** True when an op needs a block: commits without indexed records skip reading the CAR. */
function needsBlocks(ops: readonly DagValue[]): boolean {
  for (const op of ops) {
    if (!isDagMap(op) || op['action'] === 'delete') continue;
    const { path } = op;
    if (typeof path === 'string' && collectionCode(path.slice(0, path.indexOf('/'))) !== undefined) return true;
  }
  return false;
}

/** True when two ops name one path, which no sequence of writes to a tree does. */
function repeatsPath(ops: readonly DagValue[]): boolean {
  if (ops.length < 2) return false;
  const paths = new Set<DagValue>();
  let count = 0;
  for (const op of ops) {
    if (!isDagMap(op) || op['path'] === undefined) continue;
    paths.add(op['path']);
    count++;
  }
  return paths.size < count;
}

/** Decodes the ops of a commit from its CAR. `isTooBig`: its sender says that some are missing. */
export function decodeCommitOps(rawOps: readonly DagValue[], car: Uint8Array, isTooBig: boolean): CommitOps {
  if (isTooBig) return withoutOps('too-big');
  if (rawOps.length > inputLimits.commitOpsMax) return withoutOps('too-many-ops');
  if (car.length > inputLimits.commitCarBytesMax) return withoutOps('blocks-too-large');
  if (repeatsPath(rawOps)) return withoutOps('path-duplicate');
  const blocks = needsBlocks(rawOps) ? readCar(car, commitCarLimits) : null;
  if (blocks?.ok === false) return withoutOps(blocks.reason);
  const sorter = new OpSorter(blocks === null ? null : blocks.value, rawOps.length);
  for (const raw of rawOps) {
    sorter.add(raw);
    if (sorter.isTooLarge) return withoutOps('records-too-large');
  }
  return sorter.result;
}
