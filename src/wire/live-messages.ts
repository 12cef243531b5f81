/** `node.live`: what a node recorded lately, for the dashboard of a router. */
import * as v from 'valibot';
import { controlMessage } from './control-codec.ts';
import { nodeCalls } from './node-calls.ts';

/** Of one question; a router asks for those of all its watchers. */
export const livePrefixesMax = 256;
export const livePrefixShape = v.pipe(v.string(), v.maxLength(256));

/** See LiveQuestion. */
export const liveQuestionShape = v.object({
  spanS: v.number(),
  sinceMs: v.number(),
  prefixes: v.pipe(v.array(livePrefixShape), v.maxLength(livePrefixesMax)),
  numbersMax: v.number(),
});

const frame = v.object({
  endMs: v.number(),
  spanMs: v.number(),
  series: v.record(v.string(), v.object({ count: v.number(), sum: v.number(), counts: v.array(v.number()) })),
  totals: v.record(v.string(), v.tuple([v.number(), v.number()])),
  slotReads: v.array(v.number()),
  gauges: v.record(v.string(), v.number()),
});

/** See Live. */
export const liveAnswerShape = v.object({
  startMs: v.number(),
  frames: v.array(frame),
  names: v.array(v.string()),
  bits: v.number(),
});

/** Enough for all that a question may ask for. */
const itemCountMax = 2 ** 22;

export const liveRequest = controlMessage(nodeCalls.live, liveQuestionShape);
export const liveAnswer = controlMessage(nodeCalls.live, liveAnswerShape, itemCountMax);
