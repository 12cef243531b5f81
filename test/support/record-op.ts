/** Ops of repos for tests and benches: each record with its block and CID. */
import { cidCodec, cidOfBlock } from '../../src/atproto/cid.ts';
import { decodeDagCbor } from '../../src/atproto/dag-cbor.ts';
import { type DagValue, dagJson } from '../../src/atproto/dag-value.ts';
import type { RepoOp } from '../../src/atproto/repo-op.ts';
import { encodeDagCbor } from './dag-cbor.ts';

/** Where an op writes. */
export type OpPath = Pick<RepoOp, 'collection' | 'rkey'>;

/** Returns an op that writes a record, without fields that are undefined. */
export function recordOp(
  { collection, rkey }: OpPath,
  record: object,
  action: 'create' | 'update' = 'create',
  codec: number = cidCodec.dagCbor,
): RepoOp {
  const block = encodeDagCbor(JSON.parse(JSON.stringify(record)) as DagValue);
  return { action, collection, rkey, cid: Buffer.from(cidOfBlock(block, codec).bytes), block };
}

/** Returns the JSON text of the record that an op writes, keys in the order of its block. */
export function jsonOfOp({ block }: RepoOp): string {
  const read = decodeDagCbor(block);
  if (!read.ok) throw new Error(`the block of an op is no record: ${read.reason}`);
  return dagJson(read.value);
}
