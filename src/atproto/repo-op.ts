/** One record operation of a commit. */
export type RepoOp = {
  readonly action: 'create' | 'update' | 'delete';
  readonly collection: string;
  readonly rkey: string;
  /** The 36 bytes of the record's CID; empty for a delete. */
  readonly cid: Uint8Array;
  /** The record's DAG-CBOR block, whose hash is the CID's; empty for a delete. */
  readonly block: Uint8Array;
};

const noBytes: Uint8Array = Buffer.alloc(0);

/** Returns the deletion of a record. */
export function deleteOp(collection: string, rkey: string): RepoOp {
  return { action: 'delete', collection, rkey, cid: noBytes, block: noBytes };
}
