/** `node.histograms`: which histograms of a node are asked for, and those. */
import * as v from 'valibot';
import { controlMessage } from './control-codec.ts';
import { nodeCalls } from './node-calls.ts';

const question = v.object({ lastMs: v.nullable(v.number()), name: v.nullable(v.string()) });

const report = v.object({
  process: v.string(),
  startMs: v.number(),
  atMs: v.number(),
  memory: v.object({ series: v.number(), bytes: v.number(), bytesMax: v.number(), refused: v.number() }),
  series: v.array(
    v.object({
      name: v.string(),
      labels: v.record(v.string(), v.string()),
      unit: v.picklist(['microseconds', 'items']),
      count: v.number(),
      sum: v.number(),
      histogram: v.string(),
    }),
  ),
  slotReads: v.array(v.object({ slot: v.number(), count: v.number() })),
});

/** Enough for all series that a process may have, and the slots of the largest map. */
const itemCountMax = 2 ** 20;

export const histogramsRequest = controlMessage(nodeCalls.histograms, question);
export const histogramsAnswer = controlMessage(nodeCalls.histograms, report, itemCountMax);
