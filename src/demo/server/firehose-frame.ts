/** Encodes `com.atproto.sync.subscribeRepos` messages in DAG-CBOR, and the CARs of commits. */
import { CborWriter } from '../../atproto/cbor-writer.ts';

/** A block and the 36 bytes of its CID. */
export type Block = { readonly cid: Uint8Array; readonly bytes: Uint8Array };

/** `prev` is the version that an update or a delete replaces, when known. */
export type FrameOp = {
  readonly action: 'create' | 'update' | 'delete';
  readonly path: string;
  readonly cid: Uint8Array | null;
  readonly prev: Uint8Array | null;
};

/** CIDs are 36 bytes. */
export type CommitFrame = {
  readonly seq: number;
  readonly did: string;
  readonly rev: string;
  readonly since: string | null;
  readonly time: string;
  readonly commit: Uint8Array;
  /** Root of the tree before this commit, when there was one. */
  readonly prevData: Uint8Array | null;
  readonly blocks: Uint8Array;
  readonly ops: readonly FrameOp[];
};

const writer = new CborWriter(65_536);
const carWriter = new CborWriter(65_536);

const carHeaderBytes = 58;

/** Returns a CAR v1 with one root. */
export function encodeCar(root: Uint8Array, blocks: Iterable<Block>): Buffer {
  carWriter.varint(carHeaderBytes).map(2).text('roots').array(1).link(root).text('version').integer(1);
  for (const block of blocks) {
    carWriter
      .varint(block.cid.length + block.bytes.length)
      .raw(block.cid)
      .raw(block.bytes);
  }
  return carWriter.finish();
}

function header(type: string): CborWriter {
  return writer.map(2).text('t').text(type).text('op').integer(1);
}

/** Returns a `#commit` message. */
export function encodeCommitFrame(frame: CommitFrame): Buffer {
  header('#commit').map(frame.prevData === null ? 11 : 12);
  writer.text('ops').array(frame.ops.length);
  for (const op of frame.ops) {
    writer.map(op.prev === null ? 3 : 4);
    writer.text('cid').linkOrNull(op.cid).text('path').text(op.path);
    if (op.prev !== null) writer.text('prev').link(op.prev);
    writer.text('action').text(op.action);
  }
  writer.text('rev').text(frame.rev).text('seq').integer(frame.seq).text('repo').text(frame.did);
  writer.text('time').text(frame.time).text('blobs').array(0).text('since');
  if (frame.since === null) writer.null();
  else writer.text(frame.since);
  writer.text('blocks').bytes(frame.blocks).text('commit').link(frame.commit);
  writer.text('rebase').boolean(false).text('tooBig').boolean(false);
  if (frame.prevData !== null) writer.text('prevData').link(frame.prevData);
  return writer.finish();
}

export type AccountFrame = { readonly seq: number; readonly did: string; readonly time: string };

/** Returns a `#identity` message. */
export function encodeIdentityFrame(frame: AccountFrame, handle: string): Buffer {
  header('#identity').map(4).text('did').text(frame.did).text('seq').integer(frame.seq);
  return writer.text('time').text(frame.time).text('handle').text(handle).finish();
}

/** Returns a `#account` message; `status` is left out when the account is active. */
export function encodeAccountFrame(frame: AccountFrame, status: string | null): Buffer {
  header('#account').map(status === null ? 4 : 5);
  writer.text('did').text(frame.did).text('seq').integer(frame.seq).text('time').text(frame.time);
  writer.text('active').boolean(status === null);
  if (status !== null) writer.text('status').text(status);
  return writer.finish();
}

/** Returns a `#sync` message; `blocks` is a CAR that holds the commit alone. */
export function encodeSyncFrame(frame: AccountFrame, rev: string, blocks: Uint8Array): Buffer {
  header('#sync').map(5).text('did').text(frame.did).text('rev').text(rev).text('seq').integer(frame.seq);
  return writer.text('time').text(frame.time).text('blocks').bytes(blocks).finish();
}

/** Returns an `#info` message, which has no seq. */
export function encodeInfoFrame(name: string, message: string): Buffer {
  return header('#info').map(2).text('name').text(name).text('message').text(message).finish();
}

/** Returns an error message; the sender closes after it. */
export function encodeErrorFrame(error: string, message: string): Buffer {
  writer.map(1).text('op').integer(-1);
  return writer.map(2).text('error').text(error).text('message').text(message).finish();
}
