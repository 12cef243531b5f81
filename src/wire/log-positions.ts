/** How far a node has the logs of slots on the log server, durably. */
import * as v from 'valibot';
import { wholeNumberShape } from '../config/json-shape.ts';
import { controlMessage } from './control-codec.ts';
import { nodeCalls } from './node-calls.ts';

const slot = wholeNumberShape(0, 65_535);
/** Each position is a map of three. */
const itemCountMax = 2 ** 20;

export const logPositionsRequest = controlMessage(
  nodeCalls.logPositions,
  v.object({ slots: v.array(slot) }),
  itemCountMax,
);
/** Slots that have nothing of their logs, or are not here, are left out. */
export const logPositionsAnswer = controlMessage(
  nodeCalls.logPositions,
  v.object({
    positions: v.array(
      v.object({
        slot,
        /** Names the stream. */
        created: v.string(),
        seq: wholeNumberShape(0, Number.MAX_SAFE_INTEGER),
      }),
    ),
  }),
  itemCountMax,
);
