/** The messages of `slot.compact`, which begins the compaction of a slot or looks at it. */
import * as v from 'valibot';
import { wholeNumberShape } from '../config/json-shape.ts';
import { controlMessage } from './control-codec.ts';
import { nodeCalls } from './node-calls.ts';

const count = wholeNumberShape(0, Number.MAX_SAFE_INTEGER);
const slot = wholeNumberShape(0, 65_535);

export const compactionAsked = v.object({ slot, action: v.picklist(['begin', 'look']) });
export const compactRequest = controlMessage(nodeCalls.compact, compactionAsked);

const slotCompaction = v.object({
  slot,
  /** Of the file now, and about what they would be after a compaction. */
  bytes: count,
  packedBytes: count,
  /** Of the last one of this process. */
  phase: v.picklist(['none', 'waiting', 'copying', 'done', 'failed']),
  /** Rows to copy when it began, and those that are copied. */
  rows: count,
  rowsDone: count,
  /** Of the file when it began. */
  bytesBefore: count,
  /** Why it failed, or empty. */
  problem: v.string(),
});
export const compactAnswer = controlMessage(nodeCalls.compact, slotCompaction);
export type SlotCompaction = Readonly<v.InferOutput<typeof slotCompaction>>;
