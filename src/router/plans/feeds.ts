/** Feeds and threads. */
import { decodeMessage } from '../../proto/codec.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import { encodeThread } from '../../wire/thread-messages.ts';
import { oneSlot } from '../plan/one-slot.ts';
import { emptyAnswer, type Plan, type PlanContext, planDefaults } from '../plan/plan.ts';
import { didOfUri, slotOfDidText } from '../plan/slot-finder.ts';
import { claimedRoots } from './op-threads.ts';
import { timelineOf } from './timeline.ts';

/** Generations above or below an anchor are taken as at most this. */
const generationsMax = 10_000;

function generations(asked: number): number {
  return Math.max(0, Math.min(asked, generationsMax));
}

/**
 * Reads a thread in two steps: the anchor's slot knows the root that it claims, the root's slot
 * holds the thread.
 *
 * An anchor that does not exist is taken as its own root: replies to it may exist all the same.
 */
async function threadOf(request: Buffer, context: PlanContext): Promise<Uint8Array> {
  const { postUri, above, below } = decodeMessage('GetThreadRequest', request);
  if (didOfUri(postUri) === undefined) return emptyAnswer;
  const [claimed] = await claimedRoots([postUri], context);
  const root = claimed !== undefined && didOfUri(claimed) !== undefined ? claimed : postUri;
  const { fanOut, deadlineMs } = context;
  const slot = slotOfDidText(didOfUri(root)!, fanOut.map.slots);
  const payload = encodeThread({ root, anchor: postUri, above: generations(above), below: generations(below) });
  return fanOut.ask(fanOut.nodeBySlot[slot]!, nodeCalls.thread, payload, deadlineMs);
}

/** The methods about feeds and threads. */
export const feedPlans: readonly Plan[] = [
  oneSlot({ method: 'GetAuthorFeed', owner: 'actorDid' }),
  {
    method: 'GetTimeline',
    itemsMax: planDefaults.itemsMax,
    timeoutMs: 2 * planDefaults.timeoutMs,
    isShared: true,
    run: (request, context) => timelineOf(decodeMessage('GetTimelineRequest', request), context),
  },
  {
    method: 'GetThread',
    itemsMax: planDefaults.itemsMax,
    timeoutMs: planDefaults.timeoutMs,
    isShared: true,
    run: threadOf,
  },
];
