/** `node.live`: what a node recorded lately, for the dashboard of a router. */
import * as v from 'valibot';
import { controlMessage } from './control-codec.ts';
import { nodeCalls } from './node-calls.ts';

/** Asks for steps of the last hour and seconds that ended after these times; see LiveQuestion. */
const question = v.object({ stepsSinceMs: v.number(), secondsSinceMs: v.number(), prefix: v.string() });

const frame = v.object({
  endMs: v.number(),
  spanMs: v.number(),
  series: v.record(v.string(), v.object({ count: v.number(), sum: v.number(), counts: v.array(v.number()) })),
  slotReads: v.array(v.number()),
  gauges: v.record(v.string(), v.number()),
});

const answer = v.object({ startMs: v.number(), steps: v.array(frame), seconds: v.array(frame) });

/** Enough for an hour of all series, of which a part is asked for. */
const itemCountMax = 2 ** 22;

export const liveRequest = controlMessage(nodeCalls.live, question);
export const liveAnswer = controlMessage(nodeCalls.live, answer, itemCountMax);
