/**
 * The answer to `node.status`: routers settle by it, operators read it. Counts of effects are since
 * the slot was made.
 */
import * as v from 'valibot';
import { wholeNumberShape } from '../config/json-shape.ts';
import { controlMessage } from './control-codec.ts';
import { nodeCalls } from './node-calls.ts';

const count = wholeNumberShape(0, Number.MAX_SAFE_INTEGER);

const slotStatus = v.object({
  slot: count,
  /** Last seq applied and durable; inclusive. */
  cursor: count,
  /** Last seq in the log; inclusive. */
  head: count,
  /** Entries that wait to be applied, in memory or in the log. */
  waiting: count,
  outbox: count,
  /** Effects up to this mark (inclusive) are at their targets; null when none is owed. */
  deliveredMark: v.nullable(count),
  /** No effect of an entry up to `cursor` has a greater mark. */
  lastMark: count,
  /** True while long work of the slot goes on in entries of its own. */
  isContinuing: v.boolean(),
  sentEffects: count,
  receivedEffects: count,
  /** Now minus the event time of the last entry applied; null before the first. */
  lagMs: v.nullable(v.number()),
  bytes: count,
  /** `full` while writes are refused for lack of room. */
  state: v.picklist(['applying', 'full']),
});

const nodeStatus = v.object({
  role: v.literal('node'),
  name: v.string(),
  epoch: count,
  pid: count,
  slots: v.array(slotStatus),
});

/** One slot as operators see it. */
export type SlotStatus = Readonly<v.InferOutput<typeof slotStatus>>;
/** One node and its slots, in the order of the slots. */
export type NodeStatus = Readonly<v.InferOutput<typeof nodeStatus>>;

/** Enough for a node that has all slots of the largest map. */
const itemCountMax = 2 ** 21;
/** The answer's bytes. */
export const nodeStatusMessage = controlMessage(nodeCalls.status, nodeStatus, itemCountMax);
