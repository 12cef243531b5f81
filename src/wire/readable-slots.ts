/** The answer to `node.readable`: slots that a node answers reads of as their replica. */
import * as v from 'valibot';
import { wholeNumberShape } from '../config/json-shape.ts';
import { controlMessage } from './control-codec.ts';
import { nodeCalls } from './node-calls.ts';

const itemCountMax = 2 ** 17;

export const readableAnswer = controlMessage(
  nodeCalls.readable,
  v.object({ slots: v.array(wholeNumberShape(0, 65_535)) }),
  itemCountMax,
);
