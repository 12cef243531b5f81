/** The messages with which nodes compare how far slots have each other's effects. */
import * as v from 'valibot';
import { wholeNumberShape } from '../config/json-shape.ts';
import { controlMessage } from './control-codec.ts';
import { nodeCalls } from './node-calls.ts';

/** Pairs of slots in one answer: slots asked for, times slots of the asked node. */
export const pairsPerCallMax = 2_048;
/** A map of one pair has twelve items: six names and six values. */
const itemCountMax = 32 * pairsPerCallMax;

const slot = wholeNumberShape(0, 65_535);
const word = wholeNumberShape(0, 2 ** 32 - 1);
const mark = wholeNumberShape(0, Number.MAX_SAFE_INTEGER);

/** How far the asked node's slot has the effects of a slot of the asking node. */
const held = v.object({ source: slot, target: slot, generation: word, session: word, lastMark: mark });
/** Up to which mark the asking node's slot has acknowledged effects of the asked node's slot. */
const delivered = v.object({ source: slot, target: slot, generation: word, mark });

/** Slots of the asking node. */
export const positionsRequest = controlMessage(nodeCalls.positions, v.object({ slots: v.array(slot) }));
/** Pairs that never had anything to do with each other are left out. */
export const positionsAnswer = controlMessage(
  nodeCalls.positions,
  v.object({ held: v.array(held), delivered: v.array(delivered) }),
  itemCountMax,
);
/** The asking node, which has started and is to be compared with. */
export const comparePositionsRequest = controlMessage(nodeCalls.comparePositions, v.object({ node: v.string() }));
