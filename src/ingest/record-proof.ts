/** Reads what `com.atproto.sync.getRecord` answers: a record, or the proof that there is none. */
import { readCar } from '../atproto/car.ts';
import { commitCarLimits } from '../atproto/commit-ops.ts';
import type { RecordRef } from '../atproto/compact-key.ts';
import { PartialTree, TreeFault } from '../atproto/partial-tree.ts';
import { decodeRecordAt, recordSizeAt } from '../atproto/record-block.ts';
import { checkRecord } from '../atproto/record-rules.ts';
import { readSignedCommit } from '../atproto/signed-commit.ts';

/** `cid` is null without a record; `refusal` is why we would drop it, or null. */
export type ProvenRecord = { readonly rev: string; readonly cid: string | null; readonly refusal: string | null };

/** Returns what the CAR shows, or why it shows nothing. */
export function readRecordProof(car: Buffer, { did, collection, rkey }: RecordRef): ProvenRecord | string {
  const read = readCar(car, commitCarLimits);
  if (!read.ok) return read.reason;
  const commit = readSignedCommit(read.value);
  if (!commit.ok) return commit.reason;
  if (commit.value.did !== did) return 'repo-of-another-did';
  const { rev, data } = commit.value;
  try {
    const cid = new PartialTree(read.value, data).get(`${collection}/${rkey}`);
    if (cid === null) return { rev, cid: null, refusal: null };
    const block = read.value.find(cid);
    if (block < 0) return { rev, cid: cid.text, refusal: 'op-block-missing' };
    const size = recordSizeAt(read.value, block);
    const record = 'reason' in size ? size : decodeRecordAt(read.value, block, size);
    if ('reason' in record) return { rev, cid: cid.text, refusal: record.reason };
    const check = checkRecord(did, collection, rkey, record.value);
    return { rev, cid: cid.text, refusal: check.ok ? null : check.reason };
  } catch (thrown) {
    if (thrown instanceof TreeFault) return thrown.reason;
    throw thrown;
  }
}
