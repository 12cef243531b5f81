/** The call `slot.didsOf`: pages of the DIDs of one slot that the slots of a node name. */
import * as v from 'valibot';
import { wholeNumberShape } from '../config/json-shape.ts';
import { controlMessage } from './control-codec.ts';
import { nodeCalls } from './node-calls.ts';

/** DIDs in one page. */
export const didsOfSlotMax = 2_000;

const slot = wholeNumberShape(0, 65_535);
/** Where a page begins: in this slot of the node, after this key in hex; '' for its first. */
const positionShape = v.object({ slot, after: v.string() });
export type DidsPosition = v.InferOutput<typeof positionShape>;

export const didsOfSlotRequest = controlMessage(nodeCalls.didsOf, v.object({ of: slot, from: positionShape }));
/** `next` begins the next page; null after the last one. A DID may come more than once. */
export const didsOfSlotAnswer = controlMessage(
  nodeCalls.didsOf,
  v.object({ dids: v.pipe(v.array(v.string()), v.maxLength(didsOfSlotMax)), next: v.nullable(positionShape) }),
);
