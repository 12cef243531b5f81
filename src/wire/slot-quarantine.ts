/** The calls about what a slot keeps in quarantine: lists it, shows one, and takes a decision. */
import * as v from 'valibot';
import { wholeNumberShape } from '../config/json-shape.ts';
import { controlMessage } from './control-codec.ts';
import { nodeCalls } from './node-calls.ts';

const count = wholeNumberShape(0, Number.MAX_SAFE_INTEGER);
const slot = wholeNumberShape(0, 65_535);

/** An entry's seq; a part above 0 is a piece of long work that failed after it. */
const id = { slot, seq: count, part: wholeNumberShape(0, 65_535) };

const entry = v.object({
  ...id,
  kind: v.string(),
  did: v.string(),
  reason: v.string(),
  appendMs: v.number(),
  bytes: count,
  /** The slot that sent the effect, or null. */
  fromSlot: v.nullable(slot),
  isSuperseded: v.boolean(),
});

const did = v.object({ did: v.string(), keptCount: count, isSuspended: v.boolean(), skippedCount: count });

/** What a slot keeps. `stoppedMs` is 0 while it applies. */
const slotQuarantine = v.object({ slot, stoppedMs: count, entries: v.array(entry), dids: v.array(did) });
export type SlotQuarantine = Readonly<v.InferOutput<typeof slotQuarantine>>;
export type ListedEntry = SlotQuarantine['entries'][number];

/** Enough for all that a slot may keep, and its DIDs. */
const listItemsMax = 2 ** 16;

export const quarantineListRequest = controlMessage(nodeCalls.quarantineList, v.object({ slot }));
export const quarantineListAnswer = controlMessage(nodeCalls.quarantineList, slotQuarantine, listItemsMax);

/** Bytes of an entry that are shown. */
export const shownBytesMax = 64 * 2 ** 10;

export const quarantineId = v.object(id);
export const quarantineShowRequest = controlMessage(nodeCalls.quarantineShow, quarantineId);
/** `itemBase64` is the entry as it is in the log, its first `shownBytesMax` bytes. */
export const quarantineShowAnswer = controlMessage(
  nodeCalls.quarantineShow,
  v.object({ entry, stack: v.string(), itemBase64: v.string() }),
);

export const quarantineDecision = v.object({ ...id, action: v.picklist(['retry', 'drop']) });
export const quarantineDecideRequest = controlMessage(nodeCalls.quarantineDecide, quarantineDecision);
/** `isKept`: it failed again. `resendFrom`: slots that must send this one again what they owe. */
export const quarantineDecideAnswer = controlMessage(
  nodeCalls.quarantineDecide,
  v.object({ isKept: v.boolean(), resendFrom: v.array(slot) }),
);
