/** Follows and blocks. Mutes and lists have their place in the answers and stay empty until they are stored. */
import { ByteWriter } from '../../base/bytes.ts';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { decodeMessage, encodeMessage } from '../../proto/codec.ts';
import { BoundedReader } from '../../wire/bounded-reader.ts';
import { beginFollowersAmong, decodeFollowersAmongAnswer, probeKind, slotCalls } from '../../wire/read-messages.ts';
import { EdgeProbes } from '../edge-probes.ts';
import { followsOf, splitFollows } from '../follows-pages.ts';
import { oneSlot } from '../one-slot.ts';
import { emptyAnswer, type Plan, type PlanContext, planDefaults } from '../plan.ts';

const { follow, block } = probeKind;

function refuseOver(itemsMax: number, items: number, place: string): void {
  if (items > itemsMax)
    throw new DataPlaneError('ResourceExhausted', `${place}: ${items} items, more than ${itemsMax}`);
}

async function relationships(request: Buffer, context: PlanContext): Promise<Uint8Array> {
  const { actorDid: actor, targetDids } = decodeMessage('GetRelationshipsRequest', request);
  refuseOver(planDefaults.itemsMax, targetDids.length, 'GetRelationshipsRequest.target_dids');
  if (targetDids.length === 0) return emptyAnswer;
  context.admit(targetDids.length);
  const probes = new EdgeProbes(context.fanOut);
  const me = probes.did(actor);
  const tickets = targetDids.map((did) => {
    const target = probes.did(did);
    return {
      following: probes.add(me, follow, target),
      followedBy: probes.add(target, follow, me),
      blocking: probes.add(me, block, target),
      blockedBy: probes.add(target, block, me),
    };
  });
  await probes.ask(context.deadlineMs);
  return encodeMessage('GetRelationshipsResponse', {
    relationships: tickets.map(({ following, followedBy, blocking, blockedBy }) => ({
      following: probes.uri(following),
      followedBy: probes.uri(followedBy),
      blocking: probes.uri(blocking),
      blockedBy: probes.uri(blockedBy),
    })),
  });
}

async function blockExistence(request: Buffer, context: PlanContext): Promise<Uint8Array> {
  const { pairs } = decodeMessage('GetBlockExistenceRequest', request);
  refuseOver(planDefaults.itemsMax, pairs.length, 'GetBlockExistenceRequest.pairs');
  if (pairs.length === 0) return emptyAnswer;
  context.admit(pairs.length);
  const probes = new EdgeProbes(context.fanOut);
  const tickets = pairs.map((pair) => {
    const [a, b] = [probes.did(pair.a), probes.did(pair.b)];
    return { blocking: probes.add(a, block, b), blockedBy: probes.add(b, block, a) };
  });
  await probes.ask(context.deadlineMs);
  const blocks = tickets.map(({ blocking, blockedBy }) => ({
    blocking: probes.uri(blocking),
    blockedBy: probes.uri(blockedBy),
  }));
  const exists = blocks.map(({ blocking, blockedBy }) => blocking !== '' || blockedBy !== '');
  return encodeMessage('GetBlockExistenceResponse', { exists, blocks });
}

async function bidirectionalBlock(request: Buffer, context: PlanContext): Promise<Uint8Array> {
  const { actorDid, targetDid } = decodeMessage('GetBidirectionalBlockRequest', request);
  const probes = new EdgeProbes(context.fanOut);
  const [actor, target] = [probes.did(actorDid), probes.did(targetDid)];
  const blocking = probes.add(actor, block, target);
  const blockedBy = probes.add(target, block, actor);
  await probes.ask(context.deadlineMs);
  return encodeMessage('GetBidirectionalBlockResponse', { blockUri: probes.uri(blocking) || probes.uri(blockedBy) });
}

/** Where each of `count` sized texts begins. */
function startsOfTexts(texts: Buffer, count: number): Int32Array {
  const reader = new BoundedReader(texts, slotCalls.followsOf);
  return Int32Array.from({ length: count }, () => {
    const start = reader.position;
    reader.skipSized();
    return start;
  });
}

/** Whom the viewer follows, then which of those follow each target: known followers, in no order that means anything. */
async function followsFollowing(request: Buffer, context: PlanContext): Promise<Uint8Array> {
  const { actorDid, targetDids } = decodeMessage('GetFollowsFollowingRequest', request);
  refuseOver(followingTargetsMax, targetDids.length, 'GetFollowsFollowingRequest.target_dids');
  if (targetDids.length === 0) return emptyAnswer;
  context.admit(targetDids.length);
  const parts = splitFollows(await followsOf(actorDid, context), '', context);
  const questions = parts.map(({ node, count, texts }) => {
    const writer = new ByteWriter(texts.length + 64 * targetDids.length + 64);
    beginFollowersAmong(writer, targetDids, count);
    return { node, payload: writer.bytes(texts).finish() };
  });
  const answers = (await context.fanOut.askAll(slotCalls.followersAmong, questions, context.deadlineMs)).map(
    decodeFollowersAmongAnswer,
  );
  const starts = parts.map(({ texts, count }) => startsOfTexts(texts, count));
  const results = targetDids.map((targetDid, target) => {
    const dids = parts.flatMap(({ texts }, at) => {
      const found = answers[at]![target];
      if (found === undefined)
        throw new DataPlaneError('Internal', `${slotCalls.followersAmong}: a subject is not answered`);
      return found.map((index) => didAt(texts, starts[at]![index]));
    });
    return { targetDid, dids };
  });
  return encodeMessage('GetFollowsFollowingResponse', { results });
}

function didAt(texts: Buffer, start: number | undefined): string {
  if (start === undefined) throw new DataPlaneError('Internal', `${slotCalls.followersAmong}: no such candidate`);
  const reader = new BoundedReader(texts, slotCalls.followsOf);
  reader.position = start;
  return reader.text();
}

/** Targets of one GetFollowsFollowing: each is probed with every follow of the viewer. */
const followingTargetsMax = 100;

const byActor = { number: 1, shape: 'did' } as const;
const limits = { itemsMax: planDefaults.itemsMax, timeoutMs: planDefaults.timeoutMs, isShared: true } as const;

/** The methods about follows and blocks. */
export const graphPlans: readonly Plan[] = [
  oneSlot({ method: 'GetFollows', owner: byActor }),
  oneSlot({ method: 'GetFollowers', owner: byActor }),
  oneSlot({ method: 'GetActorFollowsActors', owner: byActor, countedField: 2 }),
  oneSlot({ method: 'GetBlocks', owner: byActor }),
  { method: 'GetRelationships', ...limits, run: relationships },
  { method: 'GetBlockExistence', ...limits, run: blockExistence },
  { method: 'GetBidirectionalBlock', ...limits, run: bidirectionalBlock },
  {
    method: 'GetFollowsFollowing',
    ...limits,
    itemsMax: followingTargetsMax,
    timeoutMs: 2 * limits.timeoutMs,
    run: followsFollowing,
  },
];
