/** The messages of `slot.digest`, which compares two copies of a slot. */
import * as v from 'valibot';
import { wholeNumberShape } from '../config/json-shape.ts';
import { controlMessage } from './control-codec.ts';
import { nodeCalls } from './node-calls.ts';

const slot = wholeNumberShape(0, 65_535);

export const digestRequest = controlMessage(nodeCalls.digest, v.object({ slot }));
/** `seq` is the last one that the digest covers, inclusive. */
export const digestAnswer = controlMessage(
  nodeCalls.digest,
  v.object({ slot, seq: wholeNumberShape(0, Number.MAX_SAFE_INTEGER), digest: v.string() }),
);
