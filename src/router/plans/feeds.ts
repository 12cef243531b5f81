/** Feeds and threads. */
import { decodeMessage } from '../../proto/codec.ts';
import { fieldOf, lengthDelimitedField } from '../../proto/fields.ts';
import { fieldNumber } from '../../proto/generated/bsky-service.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import { encodeThread } from '../../wire/thread-messages.ts';
import { whenThere } from '../plan/at-once.ts';
import { byItem } from '../plan/by-item.ts';
import { oneSlot } from '../plan/one-slot.ts';
import { emptyAnswer, type Plan, type PlanContext, planDefaults } from '../plan/plan.ts';
import { didOfUri, slotOfDidText } from '../plan/slot-finder.ts';
import { weightOfLevels } from '../plan/weight.ts';
import { claimedRoots } from './op-threads.ts';
import { timelineOf } from './timeline.ts';

/** Levels above and below the asked post; a request for more is cut to it. */
const threadDepthMax = 10_000;

function threadDepth(asked: number): number {
  return Math.max(0, Math.min(asked, threadDepthMax));
}

/**
 * Reads a thread in two steps: the anchor's slot knows the root, the root's slot holds the thread.
 *
 * An anchor that does not exist counts as its own root, since replies to it may exist.
 */
function threadOf(request: Buffer, context: PlanContext): Promise<Uint8Array> | Uint8Array {
  const { postUri, above, below } = decodeMessage('GetThreadRequest', request);
  if (didOfUri(postUri) === undefined) return emptyAnswer;
  context.admit(weightOfLevels(threadDepth(above), threadDepth(below)));
  return whenThere(claimedRoots([postUri], context), ([claimed]) => {
    const root = claimed !== undefined && didOfUri(claimed) !== undefined ? claimed : postUri;
    const { fanOut, deadlineMs } = context;
    const slot = slotOfDidText(didOfUri(root)!, fanOut.map.slots);
    const payload = encodeThread({ root, anchor: postUri, above: threadDepth(above), below: threadDepth(below) });
    return fanOut.ask(fanOut.nodeBySlot[slot]!, nodeCalls.thread, payload, deadlineMs);
  });
}

const { status } = fieldNumber.GetFeedGeneratorStatusResponse;

export const feedPlans: readonly Plan[] = [
  oneSlot({ method: 'GetAuthorFeed', owner: 'actorDid' }),
  oneSlot({ method: 'GetActorFeeds', owner: 'actorDid' }),
  oneSlot({ method: 'GetActorStarterPacks', owner: 'actorDid' }),
  byItem({
    method: 'GetFeedGeneratorStatus',
    items: { ...fieldOf('GetFeedGeneratorStatusRequest', 'uris'), shape: 'uri', malformed: 'missing' },
    answers: [{ number: status, form: 'lengthDelimited', missing: lengthDelimitedField(status, Buffer.alloc(0)) }],
  }),
  {
    method: 'GetTimeline',
    timeoutMs: 2 * planDefaults.timeoutMs,
    isShared: true,
    run: (request, context) => timelineOf(decodeMessage('GetTimelineRequest', request), context),
  },
  {
    method: 'GetThread',
    timeoutMs: planDefaults.timeoutMs,
    isShared: true,
    run: threadOf,
  },
];
