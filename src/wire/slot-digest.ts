/** The messages of `slot.digest`, by which two copies of a slot are compared. */
import * as v from 'valibot';
import { wholeNumberShape } from '../config/json-shape.ts';
import { controlMessage } from './control-codec.ts';
import { nodeCalls } from './node-calls.ts';

const slot = wholeNumberShape(0, 65_535);

/** Asks for the digest of one slot. */
export const digestRequest = controlMessage(nodeCalls.digest, v.object({ slot }));
/** The digest and the last seq (inclusive) that it is of. */
export const digestAnswer = controlMessage(
  nodeCalls.digest,
  v.object({ slot, seq: wholeNumberShape(0, Number.MAX_SAFE_INTEGER), digest: v.string() }),
);
