/** Pages of follows and blocks, and known followers. */
import { type ByteReader, ByteWriter } from '../../base/bytes.ts';
import { writeVarint } from '../../base/varint.ts';
import { fieldNumber } from '../../proto/generated/bsky-service.ts';
import { wireType } from '../../proto/message-decoder.ts';
import { encodeRawFollowersAmong, openFollowersAmongAnswer } from '../../wire/edge-messages.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import { peerReader } from '../../wire/peer-bytes.ts';
import { oneSlot } from '../plan/one-slot.ts';
import { emptyAnswer, type Plan, type PlanContext, planDefaults, requireItemsMax } from '../plan/plan.ts';
import { pairsPerItem } from '../plan/weight.ts';
import { type Ranges, scanActors } from './actor-ranges.ts';
import { followsOf, splitFollows } from './follows-pages.ts';

/** Copies the texts at `ranges`, each length-delimited. */
function lengthDelimitedTexts(request: Buffer, ranges: Ranges): Buffer {
  const texts = new ByteWriter();
  for (let at = 0; at < ranges.length; at += 2) texts.lengthDelimited(request.subarray(ranges[at], ranges[at + 1]));
  return texts.finish();
}

/** Asks whom the viewer follows, then who of them follows each target, in no defined order. */
async function followsFollowing(request: Buffer, context: PlanContext): Promise<Uint8Array> {
  const [actor, targets] = scanActors(request, 'GetFollowsFollowingRequest');
  const count = targets.length / 2;
  requireItemsMax(count, 'GetFollowsFollowingRequest.target_dids', followingTargetsMax);
  if (count === 0) return emptyAnswer;
  context.admit(count);
  const subjects = lengthDelimitedTexts(request, targets);
  const viewer = request.utf8Slice(actor[0], actor[1]);
  // A page of follows bounds the pairs of a call.
  const parts = (await followsOf(viewer, context)).flatMap((page) => splitFollows([page], '', context));
  const followCount = parts.reduce((total, part) => total + part.count, 0);
  context.admit(Math.ceil((followCount * count) / pairsPerItem));
  const subRequests = parts.map((part) => ({
    node: part.node,
    payload: encodeRawFollowersAmong(subjects, count, part.texts, part.count),
  }));
  const answers = await context.fanOut.askAll(nodeCalls.followersAmong, subRequests, context.deadlineMs);
  return mergeFollowers(subjects, count, answers.map(openFollowersAmongAnswer));
}

const resultTag = fieldNumber.GetFollowsFollowingResponse.results * 8 + wireType.lengthDelimited;
const targetTag = fieldNumber.FollowsFollowing.targetDid * 8 + wireType.lengthDelimited;

/** Writes a result for each subject: its DID, then the fields with which each node answered. */
function mergeFollowers(subjects: Buffer, count: number, found: readonly ByteReader[]): Buffer {
  const targets = peerReader(subjects, 'targets');
  let bytesMax = subjects.length + count * resultHeadBytesMax;
  for (const { buffer } of found) bytesMax += buffer.length;
  const into = Buffer.allocUnsafe(bytesMax);
  let at = 0;
  for (let subject = 0; subject < count; subject++) {
    const from = targets.position;
    targets.skip(targets.varint());
    const starts = found.map((reader) => reader.lengthDelimitedRange());
    let bytes = 1 + targets.position - from;
    for (let index = 0; index < found.length; index++) bytes += found[index]!.position - starts[index]!;
    at = writeVarint(into, at, resultTag);
    at = writeVarint(into, at, bytes);
    at = writeVarint(into, at, targetTag);
    at += subjects.copy(into, at, from, targets.position);
    for (let index = 0; index < found.length; index++) {
      const { buffer, position } = found[index]!;
      at += buffer.copy(into, at, starts[index], position);
    }
  }
  for (const reader of found) reader.end();
  return into.subarray(0, at);
}

/** The bytes of the tags and the length before a target. */
const resultHeadBytesMax = 8;

/** Few, since every follow of the viewer is probed for each target of a GetFollowsFollowing. */
const followingTargetsMax = 100;

export const graphPlans: readonly Plan[] = [
  oneSlot({ method: 'GetFollows', owner: 'actorDid' }),
  oneSlot({ method: 'GetFollowers', owner: 'actorDid' }),
  oneSlot({ method: 'GetActorFollowsActors', owner: 'actorDid', items: { request: 'targetDids', response: 'uris' } }),
  oneSlot({ method: 'GetBlocks', owner: 'actorDid' }),
  {
    method: 'GetFollowsFollowing',
    timeoutMs: 2 * planDefaults.timeoutMs,
    isShared: true,
    run: followsFollowing,
  },
];
