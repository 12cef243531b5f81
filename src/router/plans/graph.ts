/** Follows and blocks. The fields of mutes and lists are empty, since those are not stored. */
import { probeBit } from '../../atproto/edge-kind.ts';
import { type ByteReader, ByteWriter } from '../../base/bytes.ts';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { varintBytes, writeVarint } from '../../base/varint.ts';
import { FieldScanner, lengthDelimitedField } from '../../proto/fields.ts';
import { fieldNumber } from '../../proto/generated/bsky-service.ts';
import { wireType } from '../../proto/message-decoder.ts';
import { encodeRawFollowersAmong, openFollowersAmongAnswer } from '../../wire/edge-messages.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import { peerReader } from '../../wire/peer-bytes.ts';
import { oneSlot } from '../plan/one-slot.ts';
import { emptyAnswer, type Plan, type PlanContext, planDefaults, requireItemsMax } from '../plan/plan.ts';
import { pairsPerItem } from '../plan/weight.ts';
import { EdgeProbes } from './edge-probes.ts';
import { followsOf, splitFollows } from './follows-pages.ts';

const { follow, block } = probeBit;

/** Ranges of texts in a request, as alternating starts and ends. */
type Ranges = number[];

/** The numbers of the two fields that name an actor and others. */
type ActorFields = { readonly actor: number; readonly target: number };

/** Returns the range of the actor, of which the last one wins, and those of the targets. */
function actorAndTargets(scanner: FieldScanner, path: string, { actor, target }: ActorFields): [Ranges, Ranges] {
  let last = [0, 0];
  const targets: Ranges = [];
  while (scanner.next()) {
    if (scanner.number !== actor && scanner.number !== target) continue;
    requireLengthDelimited(scanner, path);
    if (scanner.number === actor) last = [scanner.start, scanner.end];
    else targets.push(scanner.start, scanner.end);
  }
  return [last, targets];
}

function scanActors(
  request: Buffer,
  message: 'GetRelationshipsRequest' | 'GetFollowsFollowingRequest' | 'GetBidirectionalBlockRequest',
): [Ranges, Ranges] {
  const fields = fieldNumber[message];
  const target = 'targetDid' in fields ? fields.targetDid : fields.targetDids;
  return actorAndTargets(new FieldScanner(request, message), message, { actor: fields.actorDid, target });
}

function requireLengthDelimited({ number, wire }: FieldScanner, path: string): void {
  if (wire !== wireType.lengthDelimited)
    throw new DataPlaneError('InvalidArgument', `${path}: wire type ${wire} does not fit field ${number}`);
}

/** The ids of the probes from one actor to another, and in reverse. */
type Pair = { readonly forward: number; readonly reverse: number };

function addPair(probes: EdgeProbes, a: number, b: number, kinds: number): Pair {
  return { forward: probes.add(a, kinds, b), reverse: probes.add(b, kinds, a) };
}

async function relationships(request: Buffer, context: PlanContext): Promise<Uint8Array> {
  const [actor, targets] = scanActors(request, 'GetRelationshipsRequest');
  const count = targets.length / 2;
  requireItemsMax(count, 'GetRelationshipsRequest.target_dids');
  if (count === 0) return emptyAnswer;
  context.admit(count);
  const probes = new EdgeProbes(context.fanOut, request);
  const actorId = probes.did(actor[0]!, actor[1]!);
  for (let at = 0; at < targets.length; at += 2) probes.did(targets[at]!, targets[at + 1]!);
  const kinds = follow | block;
  const pairs = Array.from({ length: count }, (_unused, index) => addPair(probes, actorId, actorId + 1 + index, kinds));
  await probes.ask(context.deadlineMs);
  const fields = fieldNumber.Relationships;
  return writeMessages(probes, pairs, fieldNumber.GetRelationshipsResponse.relationships, Buffer.alloc(0), [
    { number: fields.blockedBy, direction: 'reverse', kind: block },
    { number: fields.blocking, direction: 'forward', kind: block },
    { number: fields.following, direction: 'forward', kind: follow },
    { number: fields.followedBy, direction: 'reverse', kind: follow },
  ]);
}

/** A field of a pair's message: the URI of one kind of edge in one direction. */
type PairField = { readonly number: number; readonly direction: keyof Pair; readonly kind: number };

/** Returns `head`, followed by a message in field `number` for each pair. */
function writeMessages(
  probes: EdgeProbes,
  pairs: readonly Pair[],
  number: number,
  head: Buffer,
  fields: readonly PairField[],
): Buffer {
  const messageBytes = pairs.map((pair) => {
    let bytes = 0;
    for (const { direction, kind } of fields) bytes += probes.uriFieldBytes(pair[direction], kind);
    return bytes;
  });
  let bytes = head.length;
  for (const each of messageBytes) bytes += 1 + varintBytes(each) + each;
  const into = Buffer.allocUnsafe(bytes);
  let at = head.copy(into);
  for (let index = 0; index < pairs.length; index++) {
    at = writeVarint(into, at, number * 8 + wireType.lengthDelimited);
    at = writeVarint(into, at, messageBytes[index]!);
    if (messageBytes[index] === 0) continue;
    const pair = pairs[index]!;
    for (const field of fields) at = probes.writeUriField(into, at, field.number, pair[field.direction], field.kind);
  }
  return into;
}

async function blockExistence(request: Buffer, context: PlanContext): Promise<Uint8Array> {
  const path = 'GetBlockExistenceRequest';
  const scanner = new FieldScanner(request, path);
  const ranges: Ranges = [];
  const pairFields = { actor: fieldNumber.RelationshipPair.a, target: fieldNumber.RelationshipPair.b };
  const inner = new FieldScanner(request, path, 0, 0);
  while (scanner.next()) {
    if (scanner.number !== fieldNumber.GetBlockExistenceRequest.pairs) continue;
    requireLengthDelimited(scanner, path);
    const [a, b] = actorAndTargets(inner.reset(request, scanner.start, scanner.end), path, pairFields);
    ranges.push(a[0]!, a[1]!, b.at(-2) ?? 0, b.at(-1) ?? 0);
  }
  const count = ranges.length / 4;
  requireItemsMax(count, `${path}.pairs`);
  if (count === 0) return emptyAnswer;
  context.admit(count);
  const probes = new EdgeProbes(context.fanOut, request);
  for (let at = 0; at < ranges.length; at += 2) probes.did(ranges[at]!, ranges[at + 1]!);
  const pairs = Array.from({ length: count }, (_unused, index) => addPair(probes, 2 * index, 2 * index + 1, block));
  await probes.ask(context.deadlineMs);
  const exists = Buffer.from(
    pairs.map(({ forward, reverse }) =>
      probes.uriBytes(forward, block) + probes.uriBytes(reverse, block) > 0 ? 1 : 0,
    ),
  );
  const fields = fieldNumber.GetBlockExistenceResponse;
  return writeMessages(probes, pairs, fields.blocks, lengthDelimitedField(fields.exists, exists), [
    { number: fieldNumber.BlockExistence.blockedBy, direction: 'reverse', kind: block },
    { number: fieldNumber.BlockExistence.blocking, direction: 'forward', kind: block },
  ]);
}

async function bidirectionalBlock(request: Buffer, context: PlanContext): Promise<Uint8Array> {
  const [actor, target] = scanActors(request, 'GetBidirectionalBlockRequest');
  const probes = new EdgeProbes(context.fanOut, request);
  const pair = addPair(
    probes,
    probes.did(actor[0]!, actor[1]!),
    probes.did(target.at(-2) ?? 0, target.at(-1) ?? 0),
    block,
  );
  await probes.ask(context.deadlineMs);
  const probe = probes.uriBytes(pair.forward, block) > 0 ? pair.forward : pair.reverse;
  const into = Buffer.allocUnsafe(probes.uriFieldBytes(probe, block));
  probes.writeUriField(into, 0, fieldNumber.GetBidirectionalBlockResponse.blockUri, probe, block);
  return into;
}

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

const limits = { timeoutMs: planDefaults.timeoutMs, isShared: true } as const;

export const graphPlans: readonly Plan[] = [
  oneSlot({ method: 'GetFollows', owner: 'actorDid' }),
  oneSlot({ method: 'GetFollowers', owner: 'actorDid' }),
  oneSlot({ method: 'GetActorFollowsActors', owner: 'actorDid', items: { request: 'targetDids', response: 'uris' } }),
  oneSlot({ method: 'GetBlocks', owner: 'actorDid' }),
  { method: 'GetRelationships', ...limits, run: relationships },
  { method: 'GetBlockExistence', ...limits, run: blockExistence },
  { method: 'GetBidirectionalBlock', ...limits, run: bidirectionalBlock },
  {
    method: 'GetFollowsFollowing',
    ...limits,
    timeoutMs: 2 * limits.timeoutMs,
    run: followsFollowing,
  },
];
