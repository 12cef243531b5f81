/**
 * Reads a repo as getRepo returns it: a CAR whose root is the signed commit, over the Merkle search
 * tree of its records.
 *
 * Every block is checked against its CID on use, so all records derive from the commit, whose
 * signature the caller checks.
 */

import { isValidRecordKey } from '@atproto/syntax';
import type { BlockSize } from './block-size.ts';
import { type CarBlocks, type CarLimits, type CarReason, readCarInSteps } from './car.ts';
import { Cid } from './cid.ts';
import { collectionCode } from './collection.ts';
import { type DagCborReason, decodeDagCbor } from './dag-cbor.ts';
import { ByteString, type DagValue, isDagMap } from './dag-value.ts';
import type { Decoded } from './decoded.ts';
import { inputLimits } from './input-limits.ts';
import {
  type BadOp,
  type BadRecord,
  type DecodedOp,
  decodeRecordAt,
  type RecordBlock,
  recordSizeAt,
} from './record-block.ts';
import { readSignedCommit, type SignedCommit, type SignedCommitReason } from './signed-commit.ts';

/** Why a repo cannot be read, or not to its end. */
export type RepoCarReason =
  | CarReason
  | SignedCommitReason
  | 'tree-block-missing'
  | 'tree-block-hash-wrong'
  | 'tree-node-malformed'
  | 'tree-node-too-large'
  | 'tree-keys-not-ascending'
  | 'tree-too-deep'
  | 'tree-too-large'
  | 'records-too-large'
  | `tree-${DagCborReason}`;

/** Some records of a repo, in key order; each op is a create. Unindexed ones are only counted. */
export type RepoChunk = {
  readonly ops: readonly DecodedOp[];
  readonly badOps: readonly BadOp[];
  readonly unindexedRecords: number;
};

/** A repo at one commit. */
export type RepoSnapshot = {
  readonly did: string;
  readonly rev: string;
  /** Base32 CIDv1 text. */
  readonly commitCid: string;
  readonly commit: SignedCommit;
  /**
   * Walks the tree without its records, yielding after every few thousand keys.
   *
   * Returns: why the tree is not whole, or null.
   */
  checkTree(): Generator<void, RepoCarReason | null, undefined>;
  /**
   * Walks the tree in steps that a caller can yield between, each of at most `recordsMax` records
   * and within the limits of a chunk's bytes, unless it is one record.
   *
   * Returns: chunks. A failure is the last step: earlier chunks are valid, but not the whole repo.
   */
  chunks(recordsMax?: number): Generator<Decoded<RepoChunk, RepoCarReason>, void, undefined>;
};

const carLimits: CarLimits = {
  bytes: inputLimits.repoCarBytesMax,
  blockBytes: inputLimits.repoBlockBytesMax,
  blocks: inputLimits.repoBlocksMax,
};

type TreeEntry = { readonly key: string; readonly value: Cid; readonly right: Cid | null };
type TreeNode = { readonly left: Cid | null; readonly entries: readonly TreeEntry[]; readonly bytes: number };

/** Reads a link that may be null. Returns undefined for anything else. */
function optionalLink(value: DagValue | undefined): Cid | null | undefined {
  return value === null || value instanceof Cid ? value : undefined;
}

function readEntry(raw: DagValue, previousKey: string): TreeEntry | undefined {
  if (!isDagMap(raw)) return undefined;
  const { p: prefixLength, k: suffix, v: value } = raw;
  const right = optionalLink(raw['t']);
  if (typeof prefixLength !== 'number' || prefixLength < 0 || prefixLength > previousKey.length) return undefined;
  if (!(suffix instanceof ByteString) || !(value instanceof Cid) || right === undefined) return undefined;
  if (prefixLength + suffix.bytes.length > inputLimits.repoKeyBytesMax) return undefined;
  const rest = Buffer.from(suffix.bytes.buffer, suffix.bytes.byteOffset, suffix.bytes.length).latin1Slice();
  return { key: previousKey.slice(0, prefixLength) + rest, value, right };
}

/** Reads a block of the tree and checks its hash and its shape. */
export function readNode(blocks: CarBlocks, cid: Cid): Decoded<TreeNode, RepoCarReason> {
  const block = blocks.find(cid);
  if (block < 0) return { ok: false, reason: 'tree-block-missing' };
  const bytes = blocks.endOf(block) - blocks.startOf(block);
  if (bytes > inputLimits.repoNodeBytesMax) return { ok: false, reason: 'tree-node-too-large' };
  if (!blocks.isIntact(block)) return { ok: false, reason: 'tree-block-hash-wrong' };
  const read = decodeDagCbor(blocks.source.subarray(blocks.startOf(block), blocks.endOf(block)));
  if (!read.ok) return { ok: false, reason: `tree-${read.reason}` };
  const left = isDagMap(read.value) ? optionalLink(read.value['l']) : undefined;
  const rawEntries = isDagMap(read.value) ? read.value['e'] : undefined;
  if (left === undefined || !Array.isArray(rawEntries)) return { ok: false, reason: 'tree-node-malformed' };
  const entries: TreeEntry[] = [];
  let previousKey = '';
  for (const raw of rawEntries) {
    const entry = readEntry(raw, previousKey);
    if (entry === undefined) return { ok: false, reason: 'tree-node-malformed' };
    entries.push(entry);
    previousKey = entry.key;
  }
  return { ok: true, value: { left, entries, bytes } };
}

/** Position of the walk in one node: the index of the next entry. */
type Frame = { readonly node: TreeNode; next: number };

/**
 * Walks a tree in key order, one leaf per step, with an explicit stack. A step without a leaf,
 * null, follows so many bytes of nodes that a caller should yield.
 *
 * Keys must ascend over the whole walk, so a tree that shares or repeats subtrees ends at its first
 * repeated key.
 */
function* walkTree(blocks: CarBlocks, root: Cid): Generator<Decoded<TreeEntry | null, RepoCarReason>, void, undefined> {
  const stack: Frame[] = [];
  let pending: Cid | null = root;
  let previousKey = '';
  let records = 0;
  let nodes = 0;
  let nodeBytes = 0;
  for (;;) {
    if (pending !== null) {
      if (stack.length >= inputLimits.repoTreeDepthMax) return yield { ok: false, reason: 'tree-too-deep' };
      // An honest walk reads each block once; shared empty nodes could otherwise take hours.
      if (++nodes > blocks.count) return yield { ok: false, reason: 'tree-too-large' };
      const read = readNode(blocks, pending);
      if (!read.ok) return yield read;
      stack.push({ node: read.value, next: 0 });
      pending = read.value.left;
      nodeBytes += read.value.bytes;
      if (nodeBytes < inputLimits.chunkNodeBytesMax) continue;
      nodeBytes = 0;
      yield { ok: true, value: null };
      continue;
    }
    const frame = stack.at(-1);
    if (frame === undefined) return;
    const entry = frame.node.entries[frame.next++];
    if (entry === undefined) {
      stack.pop();
      continue;
    }
    if (entry.key <= previousKey) return yield { ok: false, reason: 'tree-keys-not-ascending' };
    if (++records > inputLimits.repoRecordsMax) return yield { ok: false, reason: 'tree-too-large' };
    previousKey = entry.key;
    yield { ok: true, value: entry };
    pending = entry.right;
  }
}

const keysPerStep = 4096;

function* checkTree(blocks: CarBlocks, root: Cid): Generator<void, RepoCarReason | null, undefined> {
  let keys = 0;
  for (const step of walkTree(blocks, root)) {
    if (!step.ok) return step.reason;
    if (step.value === null || ++keys % keysPerStep === 0) yield;
  }
  return null;
}

/** A chunk being filled, and what its records come to. */
class OpenChunk implements RepoChunk {
  readonly ops: DecodedOp[] = [];
  readonly badOps: BadOp[] = [];
  unindexedRecords = 0;
  #recordBytes = 0;
  #jsonBytes = 0;
  #items = 0;

  get records(): number {
    return this.ops.length + this.badOps.length + this.unindexedRecords;
  }

  hasRoomFor({ bytes, jsonBytes, items }: BlockSize): boolean {
    const isWithin =
      this.#recordBytes + bytes <= inputLimits.chunkRecordBytesMax &&
      this.#jsonBytes + jsonBytes <= inputLimits.chunkJsonBytesMax &&
      this.#items + items <= inputLimits.chunkItemsMax;
    return isWithin || this.ops.length === 0;
  }

  add(leaf: Leaf): void {
    if (leaf.record === null) this.unindexedRecords++;
    else if ('reason' in leaf.record) {
      const { collection, rkey } = leaf;
      this.badOps.push({ reason: leaf.record.reason, collection, rkey });
    } else {
      const { collection, rkey, cid, record } = leaf;
      this.#recordBytes += record.size.bytes;
      this.#jsonBytes += record.size.jsonBytes;
      this.#items += record.size.items;
      const op = { action: 'create', collection, rkey, cid: cid.bytes, block: record.block } as const;
      this.ops.push({ op, value: record.value });
    }
  }
}

/** One key of the tree and its record; null in a collection that is not indexed. */
type Leaf = {
  readonly collection: string;
  readonly rkey: string;
  readonly cid: Cid;
  readonly record: RecordBlock | BadRecord | null;
};

/** Where the record of a key is, and what it will be. */
type SizedBlock = { readonly block: number; readonly size: BlockSize };

function findRecord(blocks: CarBlocks, { collection, rkey, cid }: Omit<Leaf, 'record'>): SizedBlock | BadRecord | null {
  if (collection === '') return { reason: 'op-path-bad' };
  if (collectionCode(collection) === undefined) return null;
  if (!isValidRecordKey(rkey)) return { reason: 'op-path-bad' };
  const block = blocks.find(cid);
  if (block < 0) return { reason: 'op-block-missing' };
  const size = recordSizeAt(blocks, block);
  return 'reason' in size ? size : { block, size };
}

function* chunksOf(
  blocks: CarBlocks,
  tree: Cid,
  recordsMax: number,
): Generator<Decoded<RepoChunk, RepoCarReason>, void, undefined> {
  const { repoExpansionMax, repoRecordBytesMin } = inputLimits;
  let bytesLeft = Math.max(repoExpansionMax * blocks.source.length, repoRecordBytesMin);
  let chunk = new OpenChunk();
  for (const step of walkTree(blocks, tree)) {
    if (!step.ok) return yield step;
    if (step.value !== null) {
      const { key, value: cid } = step.value;
      const slash = Math.max(0, key.indexOf('/'));
      const leaf = { collection: key.slice(0, slash), rkey: key.slice(slash + 1), cid };
      const found = findRecord(blocks, leaf);
      if (found !== null && 'size' in found) {
        bytesLeft -= found.size.bytes;
        if (bytesLeft < 0) return yield { ok: false, reason: 'records-too-large' };
        if (!chunk.hasRoomFor(found.size)) {
          yield { ok: true, value: chunk };
          chunk = new OpenChunk();
        }
        chunk.add({ ...leaf, record: decodeRecordAt(blocks, found.block, found.size) });
      } else chunk.add({ ...leaf, record: found });
      if (chunk.records < recordsMax) continue;
    }
    yield { ok: true, value: chunk };
    chunk = new OpenChunk();
  }
  if (chunk.records > 0) yield { ok: true, value: chunk };
}

/** Opens a small CAR at once; see `openRepoCarInSteps`. */
export function openRepoCar(car: Uint8Array): Decoded<RepoSnapshot, RepoCarReason> {
  const steps = openRepoCarInSteps(car);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/**
 * Opens a getRepo CAR: finds its blocks and checks its commit, yielding where a caller may give way
 * to others.
 *
 * Shape: `car` must not change while the snapshot is in use.
 */
export function* openRepoCarInSteps(car: Uint8Array): Generator<void, Decoded<RepoSnapshot, RepoCarReason>, undefined> {
  const read = yield* readCarInSteps(car, carLimits);
  if (!read.ok) return read;
  const blocks = read.value;
  const commit = readSignedCommit(blocks);
  if (!commit.ok) return commit;
  const { did, rev, data } = commit.value;
  return {
    ok: true,
    value: {
      did,
      rev,
      commitCid: blocks.root.text,
      commit: commit.value,
      checkTree: () => checkTree(blocks, data),
      chunks: (recordsMax = inputLimits.chunkRecordsMax) => chunksOf(blocks, data, recordsMax),
    },
  };
}
