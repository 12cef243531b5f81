/** Reads what `com.atproto.sync.getRecord` answers: a record, or the proof that there is none. */
import { readCar } from '../atproto/car.ts';
import { commitCarLimits } from '../atproto/commit-ops.ts';
import { isKeyableDid, type RecordRef } from '../atproto/compact-key.ts';
import { type DagValue, isDagMap } from '../atproto/dag-value.ts';
import { PartialTree, TreeFault } from '../atproto/partial-tree.ts';
import { decodeRecordAt, recordSizeAt } from '../atproto/record-block.ts';
import { checkRecord } from '../atproto/record-rules.ts';
import { readSignedCommit } from '../atproto/signed-commit.ts';

/**
 * `cid` is null without a record; `refusal` is why we would drop it, or null. `others` are the DIDs
 * of the accounts in whose slots the record shows: whom it answers, quotes, likes, follows.
 */
export type ProvenRecord = {
  readonly rev: string;
  readonly cid: string | null;
  readonly refusal: string | null;
  readonly others: readonly string[];
};

/** Fields of records that name, by DID or AT-URI, in whose slots the record shows. */
const naming: ReadonlySet<string> = new Set(['subject', 'uri', 'list', 'post']);
/** Fields that such fields may be within. */
const holding: ReadonlySet<string> = new Set(['reply', 'root', 'parent', 'embed', 'record', 'subject']);
const othersMax = 4;

/** Returns the DIDs of other accounts that a record names where its indexes look, root first. */
function othersOf(did: string, value: DagValue): string[] {
  const found = new Set<string>();
  const collect = (map: DagValue): void => {
    if (!isDagMap(map)) return;
    for (const [field, inner] of Object.entries(map)) {
      if (naming.has(field) && typeof inner === 'string') {
        const named = inner.startsWith('did:') ? inner : /^at:\/\/(did:[^/]+)/.exec(inner)?.[1];
        if (named !== undefined && named !== did && isKeyableDid(named)) found.add(named);
      } else if (holding.has(field)) collect(inner);
    }
  };
  collect(value);
  return [...found].slice(0, othersMax);
}

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
    if (cid === null) return { rev, cid: null, refusal: null, others: [] };
    const block = read.value.find(cid);
    if (block < 0) return { rev, cid: cid.text, refusal: 'op-block-missing', others: [] };
    const size = recordSizeAt(read.value, block);
    const record = 'reason' in size ? size : decodeRecordAt(read.value, block, size);
    if ('reason' in record) return { rev, cid: cid.text, refusal: record.reason, others: [] };
    const check = checkRecord(did, collection, rkey, record.value);
    const others = check.ok ? othersOf(did, record.value) : [];
    return { rev, cid: cid.text, refusal: check.ok ? null : check.reason, others };
  } catch (thrown) {
    if (thrown instanceof TreeFault) return thrown.reason;
    throw thrown;
  }
}
