/** The answer to `node.status`. Effects are counted since the slot was created. */
import * as v from 'valibot';
import { wholeNumberShape } from '../config/json-shape.ts';
import { controlMessage } from './control-codec.ts';
import { nodeCalls } from './node-calls.ts';

const count = wholeNumberShape(0, Number.MAX_SAFE_INTEGER);

const slotStatus = v.object({
  slot: count,
  /** The last seq applied and durable, inclusive. */
  cursor: count,
  /** The last seq in the log, inclusive. */
  head: count,
  /** Entries that wait to be applied, in memory or in the log. */
  waiting: count,
  outbox: count,
  /** Effects up to this mark, inclusive, are delivered; null if none is in flight. */
  deliveredMark: v.nullable(count),
  /** No effect of an entry up to `cursor` has a higher mark. */
  lastMark: count,
  /** True while long work of the slot continues in entries of its own. */
  isContinuing: v.boolean(),
  sentEffects: count,
  receivedEffects: count,
  /** The age of the last applied event; null before the first. */
  lagMs: v.nullable(v.number()),
  bytes: count,
  /** Accounts of the slot, and those that others only name. */
  owners: count,
  /** Entries that could not be applied and are kept, and DIDs whose input is suspended. */
  quarantined: count,
  suspendedDids: count,
  /** `full` while writes are refused for lack of storage, `stopped` after too many failures. */
  state: v.picklist(['applying', 'full', 'stopped']),
  /** Another one once what the slot had was lost. */
  generation: count,
  /** `incomplete` until a repair, `new` until all nodes were heard. */
  condition: v.picklist(['complete', 'new', 'incomplete']),
  /** The number of slots of which it is one, and of which it knows all others to be. */
  slots: v.optional(count),
  knownSlots: v.optional(count),
  /** True while it waits for its child, or removes what a split has given to another slot. */
  isDividing: v.optional(v.boolean()),
  /** While slots are doubled on a node with search: whether the slot has an index of its own. */
  isIndexed: v.optional(v.boolean()),
  /** Of a log on a server: the last message applied, and the last there was. */
  messages: v.optional(v.nullable(v.object({ applied: count, last: count }))),
  /** What keeps the slot from its log on a server; null where nothing does. */
  log: v.nullable(v.string()),
  /** What the node is to the slot; what is absent is of an earlier version, without replicas. */
  role: v.optional(v.picklist(['primary', 'replica']), 'primary'),
  /** True once it acts as the primary: from where the log says that it has opened the slot. */
  acts: v.optional(v.boolean(), true),
  /** The age of the oldest message of the log that is not applied; 0 where all are. */
  behindMs: v.optional(v.number(), 0),
  /** Replicas that lack what the log has no more; only a primary names them. */
  leftBehind: v.optional(v.array(v.string())),
  /** How often the node, as the primary, has left one behind since it started. */
  leftBehindCount: v.optional(count),
});

/** The log's NATS server, as one process sees it. */
const logServerStatus = v.object({
  url: v.string(),
  /** Of the server, and how many servers have each entry; null before the first connection. */
  version: v.nullable(v.string()),
  copies: v.nullable(count),
  /** Why the log cannot be read or written; null while it can. */
  problem: v.nullable(v.string()),
  /** What could be lost by how the server is set up; null where nothing is known to be. */
  warning: v.nullable(v.string()),
});

/** A copy of a slot that the node fetches from another. */
const slotFetch = v.object({
  slot: count,
  /** A node; '' while none has a copy to give. */
  from: v.string(),
  bytes: count,
  bytesDone: count,
  /** Why there is no copy yet; '' for nothing. */
  problem: v.string(),
  /** What reads at `from` take, for which the copy goes slowly; null while it does not. */
  slowedMs: v.optional(v.nullable(v.number()), null),
});

/** Memory of the node's histograms; `refused` counts series that are `other` for want of it. */
const histogramMemory = v.object({ series: count, bytes: count, bytesMax: count, refused: count });

const nodeStatus = v.object({
  role: v.literal('node'),
  name: v.string(),
  epoch: count,
  pid: count,
  /** How long the process has run; what is absent is of an earlier version. */
  upMs: v.optional(count),
  slots: v.array(slotStatus),
  /** Replicas that begin again from copies; these are what the node waits for. */
  fetches: v.optional(v.array(slotFetch), []),
  /** What the disk of the node's folder has left. */
  freeBytes: v.optional(count),
  /** Null where the logs of the slots are in their folders. */
  log: v.optional(v.nullable(logServerStatus)),
  histograms: v.optional(histogramMemory),
  /** The most that a slot can grow to. */
  slotMapBytes: v.optional(count),
});

export type SlotFetch = Readonly<v.InferOutput<typeof slotFetch>>;
export type LogServerStatus = Readonly<v.InferOutput<typeof logServerStatus>>;
export type SlotStatus = Readonly<v.InferOutput<typeof slotStatus>>;
/** A node's slots are in ascending order. */
export type NodeStatus = Readonly<v.InferOutput<typeof nodeStatus>>;

/** Enough for a node that has all slots of the largest map. */
const itemCountMax = 2 ** 22;
export const nodeStatusMessage = controlMessage(nodeCalls.status, nodeStatus, itemCountMax);
