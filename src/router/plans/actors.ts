/** Actors: rows by DID, DIDs by handle, and an actor's latest revision. */
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { decodeMessage, encodeMessage } from '../../proto/codec.ts';
import { fieldOf, lengthDelimitedField } from '../../proto/fields.ts';
import { fieldNumber } from '../../proto/generated/bsky-service.ts';
import { decodeTexts, encodeTexts } from '../../wire/message.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import { byItem } from '../plan/by-item.ts';
import { oneSlot } from '../plan/one-slot.ts';
import { emptyAnswer, type Plan, type PlanContext, planDefaults } from '../plan/plan.ts';
import { slotOfDidText } from '../plan/slot-finder.ts';

const noRecord = { record: Buffer.from('null') };

/** The official plane's answer for a DID without a row. */
const missingActor = lengthDelimitedField(
  fieldNumber.GetActorsResponse.actors,
  encodeMessage('ActorInfo', {
    profile: noRecord,
    statusRecord: noRecord,
    germRecord: noRecord,
    allowActivitySubscriptionsFrom: 'followers',
  }),
);

const { dids } = fieldNumber.GetDidsByHandlesResponse;

/** A time that no actor was seen after. Units: ms. */
const endOfTimeMs = 2 ** 47;

/** Asks all nodes how many actors were first seen, to the minute; an absent end is open. */
async function newUserCount(request: Buffer, context: PlanContext): Promise<Uint8Array> {
  const { start = 0, end = endOfTimeMs } = decodeMessage('GetNewUserCountForRangeRequest', request);
  const payload = encodeTexts([String(start), String(Math.min(end, endOfTimeMs))]);
  const { fanOut, deadlineMs } = context;
  const asked = fanOut.primaries.map((node) => ({ node, payload }));
  context.admit(fanOut.map.slots);
  const answers = (await fanOut.askAll(nodeCalls.newActors, asked, deadlineMs)).map(decodeTexts);
  const sum = (at: number): number => answers.reduce((total, answer) => total + Number(answer[at]), 0);
  if (sum(0) !== fanOut.map.slots)
    throw new DataPlaneError('WrongEpoch', `nodes count ${sum(0)} of ${fanOut.map.slots} slots`);
  return encodeMessage('GetNewUserCountForRangeResponse', { count: sum(1) });
}

/**
 * Answers with the least rev of all nodes from which feeds may be read: the AppView adds to feeds
 * what a repo has beyond it, so one that is fresher than a feed would hide an actor's own posts.
 */
async function leastRev(bytes: Buffer, { fanOut, deadlineMs }: PlanContext): Promise<Uint8Array> {
  const { actorDid } = decodeMessage('GetLatestRevRequest', bytes);
  const slot = slotOfDidText(actorDid, fanOut.map.slots);
  if (slot < 0) return emptyAnswer;
  const request = Buffer.from(bytes);
  const asked = fanOut.copiesOf(slot).map(async (node) => fanOut.ask(node, 'bsky.GetLatestRev', request, deadlineMs));
  const outcomes = await Promise.allSettled(asked);
  const answers = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  if (answers.length === 0) throw (outcomes[0] as PromiseRejectedResult).reason;
  const revOf = (answer: Uint8Array): string => decodeMessage('GetLatestRevResponse', answer).rev;
  return answers.reduce((least, answer) => (revOf(answer) < revOf(least) ? answer : least));
}

const revOfPrimary = oneSlot({ method: 'GetLatestRev', owner: 'actorDid', isShared: false });
const latestRev: Plan = {
  ...revOfPrimary,
  run: (bytes, context) => (context.fanOut.hasCopies ? leastRev(bytes, context) : revOfPrimary.run(bytes, context)),
};

export const actorPlans: readonly Plan[] = [
  byItem({
    method: 'GetActors',
    items: { ...fieldOf('GetActorsRequest', 'dids'), shape: 'did', malformed: 'missing' },
    answers: [{ number: fieldNumber.GetActorsResponse.actors, form: 'lengthDelimited', missing: missingActor }],
  }),
  byItem({
    method: 'GetDidsByHandles',
    items: { ...fieldOf('GetDidsByHandlesRequest', 'handles'), shape: 'handle', malformed: 'missing' },
    answers: [{ number: dids, form: 'lengthDelimited', missing: lengthDelimitedField(dids, Buffer.alloc(0)) }],
  }),
  { method: 'GetNewUserCountForRange', timeoutMs: planDefaults.timeoutMs, isShared: true, run: newUserCount },
  latestRev,
];
