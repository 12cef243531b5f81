/** Reads the signed commit at the root of a CAR: of a repo, of a `#commit` or of a `#sync`. */
import type { CarBlocks } from './car.ts';
import { Cid } from './cid.ts';
import { isKeyableDid } from './compact-key.ts';
import { DagCborReader, type DagCborReason, decodeDagCbor } from './dag-cbor.ts';
import { ByteString, isDagMap } from './dag-value.ts';
import type { Decoded } from './decoded.ts';
import { isSignedBy, type SigningKey } from './signing-key.ts';
import { isTid } from './tid.ts';

export type SignedCommitReason =
  | 'commit-missing'
  | 'commit-malformed'
  | 'commit-hash-wrong'
  | `commit-${DagCborReason}`;

/** A commit object. Aliases the CAR. */
export type SignedCommit = {
  readonly did: string;
  readonly rev: string;
  /** Root of the tree. */
  readonly data: Cid;
  readonly block: Uint8Array;
  readonly signature: Uint8Array;
};

const commitVersion = 3;

/** Reads the root block. */
export function readSignedCommit(blocks: CarBlocks): Decoded<SignedCommit, SignedCommitReason> {
  const index = blocks.find(blocks.root);
  if (index < 0) return { ok: false, reason: 'commit-missing' };
  if (!blocks.isIntact(index)) return { ok: false, reason: 'commit-hash-wrong' };
  const block = blocks.source.subarray(blocks.startOf(index), blocks.endOf(index));
  const read = decodeDagCbor(block);
  if (!read.ok) return { ok: false, reason: `commit-${read.reason}` };
  if (!isDagMap(read.value)) return { ok: false, reason: 'commit-malformed' };
  const { did, rev, data, version, sig } = read.value;
  const isWhole =
    typeof did === 'string' && typeof rev === 'string' && data instanceof Cid && version === commitVersion;
  if (!isWhole || !isKeyableDid(did) || !isTid(rev)) return { ok: false, reason: 'commit-malformed' };
  // No key makes an empty signature.
  const signature = sig instanceof ByteString ? sig.bytes : Buffer.alloc(0);
  return { ok: true, value: { did, rev, data, block, signature } };
}

/** The most entries that a map's head holds in one byte. */
const shortMapMax = 23;

/**
 * Returns what was signed: the commit without its signature, in DAG-CBOR.
 *
 * The block is canonical, so what is left of it is too, once the entry is cut and the count
 * lowered.
 */
function unsignedBytes(block: Uint8Array): Uint8Array {
  const entries = block[0]! & 31;
  if (entries > shortMapMax) return block;
  const reader = new DagCborReader(block, 1);
  for (let index = 0; index < entries; index++) {
    const from = reader.position;
    const key = reader.next();
    reader.next();
    if (!key.ok || key.value !== 'sig') continue;
    const rest = [Buffer.of(0xa0 | (entries - 1)), block.subarray(1, from), block.subarray(reader.position)];
    return Buffer.concat(rest);
  }
  return block;
}

/** True when the key signed the commit. */
export function isCommitSignedBy(key: SigningKey, { block, signature }: SignedCommit): boolean {
  return isSignedBy(key, unsignedBytes(block), signature);
}
