/** The calls about what slots hold of one account, for questions of operators. */
import * as v from 'valibot';
import { wholeNumberShape } from '../config/json-shape.ts';
import { controlMessage } from './control-codec.ts';
import { nodeCalls } from './node-calls.ts';

const count = wholeNumberShape(0, Number.MAX_SAFE_INTEGER);
const optionalText = v.nullable(v.string());

/**
 * `record` names one record of the account, or is null. With `slotOf`, the slot of that DID is
 * asked, which may have set aside what the account put there.
 */
export const storedAccountRequest = controlMessage(
  nodeCalls.storedAccount,
  v.object({
    did: v.string(),
    record: v.nullable(v.object({ collection: v.string(), rkey: v.string() })),
    slotOf: v.optional(v.string()),
  }),
);

const actor = v.object({
  handle: optionalText,
  handleVerifiedMs: count,
  upstreamStatus: v.string(),
  takedownRef: optionalText,
  identityMs: count,
  accountMs: count,
  keysJson: v.string(),
});
const repo = v.object({
  rev: v.string(),
  isResyncing: v.boolean(),
  needsResync: v.boolean(),
  deletedMs: v.nullable(count),
  isGivenUp: v.boolean(),
});
const record = v.object({
  cid: v.string(),
  indexedMs: count,
  takedownRef: optionalText,
  violatesThreadGate: v.boolean(),
  violatesEmbeddingRules: v.boolean(),
});

/** What is absent is null. `quarantined` are names of entries, as `quarantine show` takes them. */
const storedAccount = v.object({
  slot: wholeNumberShape(0, 65_535),
  condition: v.picklist(['complete', 'new', 'incomplete']),
  stoppedMs: count,
  actor: v.nullable(actor),
  repo: v.nullable(repo),
  record: v.nullable(record),
  quarantined: v.array(v.object({ name: v.string(), kind: v.string(), reason: v.string() })),
  isSuspended: v.boolean(),
  /** Labels in force by which readers may hide it: of the account, then of the record. */
  hidingLabels: v.array(v.object({ src: v.string(), val: v.string(), ofRecord: v.boolean() })),
});
export type StoredAccount = Readonly<v.InferOutput<typeof storedAccount>>;
export const storedAccountAnswer = controlMessage(nodeCalls.storedAccount, storedAccount);

/** Records in one page. */
export const storedRecordsMax = 500;

/** `after` is the `next` of the page before, '' for the first. */
export const storedRecordsRequest = controlMessage(
  nodeCalls.storedRecords,
  v.object({ did: v.string(), after: v.string() }),
);
/** Paths are `<collection>/<rkey>`, in the order of keys; `next` is null after the last page. */
export const storedRecordsAnswer = controlMessage(
  nodeCalls.storedRecords,
  v.object({
    records: v.pipe(v.array(v.object({ path: v.string(), cid: v.string() })), v.maxLength(storedRecordsMax)),
    next: v.nullable(v.string()),
  }),
  16 * storedRecordsMax,
);

export const storedHandleRequest = controlMessage(nodeCalls.storedHandle, v.object({ handle: v.string() }));
/** The newest claim of a handle, released or not. */
const storedHandle = v.nullable(v.object({ did: v.string(), verifiedMs: count, isReleased: v.boolean() }));
export type StoredHandle = Readonly<v.InferOutput<typeof storedHandle>>;
export const storedHandleAnswer = controlMessage(nodeCalls.storedHandle, v.object({ claim: storedHandle }));
