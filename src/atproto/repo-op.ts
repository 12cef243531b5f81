/** One record operation of a commit. `cid` and `json` are empty for a delete. */
export type RepoOp = {
  readonly action: 'create' | 'update' | 'delete';
  readonly collection: string;
  readonly rkey: string;
  /** Base32 CIDv1 text. */
  readonly cid: string;
  /** The record in the protocol's JSON form ($link, $bytes), keys in the order of the block. */
  readonly json: string;
};
