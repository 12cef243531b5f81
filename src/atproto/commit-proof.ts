/**
 * Proves what a `#commit` or a `#sync` claims by its own blocks and the account's key.
 *
 * Proven are the signature over the commit object, that the object is of the message's account, rev
 * and CID, that each written record is in its tree, and, where the message names the root before
 * it, that undoing its ops leads there (the rules of sync 1.1). Older messages name none.
 */
import { type CarBlocks, type CarReason, readCar } from './car.ts';
import { Cid } from './cid.ts';
import { commitCarLimits } from './commit-ops.ts';
import { DagCborReader, type DagCborReason } from './dag-cbor.ts';
import { ByteString, type DagMap, type DagValue, isDagMap } from './dag-value.ts';
import type { Decoded } from './decoded.ts';
import { inputLimits } from './input-limits.ts';
import { PartialTree, TreeFault, type TreeReason } from './partial-tree.ts';
import { isCommitSignedBy, readSignedCommit, type SignedCommitReason } from './signed-commit.ts';
import type { SigningKey } from './signing-key.ts';

export type ProofReason =
  | `frame-${DagCborReason}`
  | 'frame-malformed'
  | CarReason
  | SignedCommitReason
  | 'signature-wrong'
  | 'commit-of-another-event'
  | TreeReason
  | 'op-malformed'
  | 'op-repeated'
  | 'op-prev-missing'
  | 'op-not-in-tree'
  | 'op-prev-wrong'
  | 'prev-data-wrong';

/** What a proven message says of the repo. CIDs are 36 bytes. */
export type Proof = {
  /** Root of the repo's tree. */
  readonly data: Uint8Array;
  /** Root of the tree before; null when the message does not name it, or is a `#sync`. */
  readonly prevData: Uint8Array | null;
};

type Op = { readonly path: string; readonly cid: Cid | null; readonly prev: Cid | null };

/** Reads an op; null for a malformed one. */
function opOf(raw: DagValue): Op | null {
  if (!isDagMap(raw)) return null;
  const { action, path, cid = null, prev = null } = raw;
  if (typeof path !== 'string' || path.length > inputLimits.repoKeyBytesMax) return null;
  if ((cid !== null && !(cid instanceof Cid)) || (prev !== null && !(prev instanceof Cid))) return null;
  const isWrite = action === 'create' || action === 'update';
  if ((!isWrite && action !== 'delete') || isWrite !== (cid !== null)) return null;
  return action === 'create' && prev !== null ? null : { path, cid, prev };
}

function isSame(a: Cid | null, b: Cid | null): boolean {
  return a === null || b === null ? a === b : a.isAt(b.bytes, 0);
}

/** Checks that the ops are in the tree, and with `prevData` that undoing them leads there. */
function checkOps(blocks: CarBlocks, data: Cid, raw: readonly DagValue[], prevData: Cid | null): ProofReason | null {
  const tree = new PartialTree(blocks, data);
  const ops: Op[] = [];
  const paths = new Set<string>();
  for (const one of raw) {
    const op = opOf(one);
    if (op === null) return 'op-malformed';
    if (paths.has(op.path)) return 'op-repeated';
    paths.add(op.path);
    ops.push(op);
    // An older message may lack the blocks that show an absence.
    if (op.cid === null && prevData === null) continue;
    if (!isSame(tree.get(op.path), op.cid)) return 'op-not-in-tree';
  }
  if (prevData === null) return null;
  // Deletes first, since their undoing needs no neighbour that another one removes.
  for (const { path, cid, prev } of ops) {
    if (cid !== null) continue;
    if (prev === null) return 'op-prev-missing';
    tree.insert(path, prev);
  }
  for (const [index, { path, cid, prev }] of ops.entries()) {
    if (cid === null) continue;
    const isUpdate = (raw[index] as DagMap)['action'] === 'update';
    if (isUpdate && prev === null) return 'op-prev-missing';
    if (prev === null) tree.remove(path);
    else tree.set(path, prev);
  }
  return isSame(tree.rootCid(), prevData) ? null : 'prev-data-wrong';
}

function bodyOf(frame: Uint8Array): Decoded<{ type: string; body: DagMap }, ProofReason> {
  const reader = new DagCborReader(frame, 0, frame.length, 'any');
  const header: DagMap = {};
  const body: DagMap = {};
  const fault = reader.nextMapInto(header) ?? reader.nextMapInto(body);
  if (fault !== undefined) return { ok: false, reason: `frame-${fault}` };
  const { t: type } = header;
  return typeof type === 'string' ? { ok: true, value: { type, body } } : { ok: false, reason: 'frame-malformed' };
}

function refuse(reason: ProofReason): Decoded<Proof, ProofReason> {
  return { ok: false, reason };
}

/**
 * Proves one message, a `#commit` or a `#sync`.
 *
 * Shape: the result aliases `frame`.
 */
export function proveMessage(frame: Uint8Array, key: SigningKey): Decoded<Proof, ProofReason> {
  const read = bodyOf(frame);
  if (!read.ok) return read;
  const { type, body } = read.value;
  const { blocks: bytes, rev, ops, prevData = null } = body;
  const did = type === '#commit' ? body['repo'] : body['did'];
  if (!(bytes instanceof ByteString)) return refuse('frame-malformed');
  const car = readCar(bytes.bytes, commitCarLimits);
  if (!car.ok) return car;
  const commit = readSignedCommit(car.value);
  if (!commit.ok) return commit;
  const { data } = commit.value;
  if (commit.value.did !== did || commit.value.rev !== rev) return refuse('commit-of-another-event');
  if (!isCommitSignedBy(key, commit.value)) return refuse('signature-wrong');
  if (type !== '#commit') return { ok: true, value: { data: data.bytes, prevData: null } };
  if (!(body['commit'] instanceof Cid) || !Array.isArray(ops)) return refuse('frame-malformed');
  if (!isSame(body['commit'], car.value.root)) return refuse('commit-of-another-event');
  if (prevData !== null && !(prevData instanceof Cid)) return refuse('frame-malformed');
  if (ops.length > inputLimits.commitOpsMax) return refuse('op-malformed');
  // The repo is fetched whole after it, and then proven.
  if (body['tooBig'] === true) return { ok: true, value: { data: data.bytes, prevData: null } };
  try {
    const reason = checkOps(car.value, data, ops, prevData);
    if (reason !== null) return refuse(reason);
  } catch (thrown) {
    if (thrown instanceof TreeFault) return refuse(thrown.reason);
    throw thrown;
  }
  return { ok: true, value: { data: data.bytes, prevData: prevData?.bytes ?? null } };
}
