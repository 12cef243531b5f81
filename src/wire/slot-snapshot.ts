/** The messages by which a node gets a copy of a slot from another: what it is, then its bytes. */
import * as v from 'valibot';
import { wholeNumberShape } from '../config/json-shape.ts';
import { controlMessage } from './control-codec.ts';
import { nodeCalls } from './node-calls.ts';

/** Bytes of one part; less than a payload may have. */
export const snapshotPartBytesMax = 2 ** 20;

const count = wholeNumberShape(0, Number.MAX_SAFE_INTEGER);
const hexDigest = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'must be a digest in hex'));

/** The version of manifests and of what they are about: the files of LMDB, the rows of slots. */
export const snapshotFormat = 1;

export const snapshotManifest = v.object({
  format: count,
  /** The version of the rows. */
  rows: count,
  cluster: v.string(),
  slot: count,
  slots: count,
  generation: count,
  /** The last seq that is applied in it; inclusive. */
  seq: count,
  /** Of the file: its size, and SHA-256 of its bytes. */
  bytes: count,
  fileDigest: hexDigest,
  /** Of the state: equal at all nodes at this seq. */
  stateDigest: hexDigest,
});

/** Begins a copy of a slot, or looks at the one that is there. */
export const snapshotRequest = controlMessage(nodeCalls.snapshot, v.object({ slot: count }));
export const snapshotAnswer = controlMessage(
  nodeCalls.snapshot,
  v.object({
    /** Names the copy; another one begins after the first was given up. */
    id: v.string(),
    /** Null while it is made. */
    manifest: v.nullable(snapshotManifest),
  }),
);
/** Answered by bytes of the file. */
export const snapshotPartRequest = controlMessage(
  nodeCalls.snapshotPart,
  v.object({ id: v.string(), offset: count, bytes: wholeNumberShape(1, snapshotPartBytesMax) }),
);
/** Says that a copy is needed no more. */
export const snapshotEndRequest = controlMessage(nodeCalls.snapshotEnd, v.object({ id: v.string() }));

export type SnapshotManifest = Readonly<v.InferOutput<typeof snapshotManifest>>;
