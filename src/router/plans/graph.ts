/** Follows and blocks. Mutes and lists have their place in the answers and stay empty until they are stored. */
import { probeBit } from '../../atproto/edge-kind.ts';
import type { ByteReader } from '../../base/bytes.ts';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { FieldScanner, lengthDelimitedField, varintBytes, writeVarint } from '../../proto/fields.ts';
import { wireType } from '../../proto/message-decoder.ts';
import { encodeRawFollowersAmong, openFollowersAmongAnswer } from '../../wire/edge-messages.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import { peerReader } from '../../wire/peer-bytes.ts';
import { oneSlot } from '../plan/one-slot.ts';
import { emptyAnswer, type Plan, type PlanContext, planDefaults } from '../plan/plan.ts';
import { EdgeProbes } from './edge-probes.ts';
import { followsOf, splitFollows } from './follows-pages.ts';

const { follow, block } = probeBit;
const relationshipField = { blockedBy: 3, blocking: 4, following: 7, followedBy: 8 } as const;
const blockField = { blockedBy: 1, blocking: 2 } as const;

function refuseOver(itemsMax: number, items: number, place: string): void {
  if (items > itemsMax)
    throw new DataPlaneError('ResourceExhausted', `${place}: ${items} items, more than ${itemsMax}`);
}

/** Where texts stand in a request: start and end by turns. */
type Ranges = number[];

/**
 * Returns where the texts of field 1, the last one of them, and of field 2 stand.
 *
 * Both are texts in all requests about an actor and others, and in a pair.
 */
function actorAndTargets(request: Buffer, place: string, start = 0, end = request.length): [Ranges, Ranges] {
  const scanner = new FieldScanner(request, place, start, end);
  let actor = [0, 0];
  const targets: Ranges = [];
  while (scanner.next()) {
    if (scanner.number > 2) continue;
    requireLengthDelimited(scanner, place);
    if (scanner.number === 1) actor = [scanner.start, scanner.end];
    else targets.push(scanner.start, scanner.end);
  }
  return [actor, targets];
}

function requireLengthDelimited({ number, wire }: FieldScanner, place: string): void {
  if (wire !== wireType.lengthDelimited)
    throw new DataPlaneError('InvalidArgument', `${place}: wire type ${wire} does not fit field ${number}`);
}

/** The tickets of two actors: what the one has to the other, and the way back. */
type Pair = { readonly there: number; readonly back: number };

function addPair(probes: EdgeProbes, a: number, b: number, kinds: number): Pair {
  return { there: probes.add(a, kinds, b), back: probes.add(b, kinds, a) };
}

async function relationships(request: Buffer, context: PlanContext): Promise<Uint8Array> {
  const [actor, targets] = actorAndTargets(request, 'GetRelationshipsRequest');
  const count = targets.length / 2;
  refuseOver(planDefaults.itemsMax, count, 'GetRelationshipsRequest.target_dids');
  if (count === 0) return emptyAnswer;
  context.admit(count);
  const probes = new EdgeProbes(context.fanOut, request);
  const me = probes.did(actor[0]!, actor[1]!);
  for (let at = 0; at < targets.length; at += 2) probes.did(targets[at]!, targets[at + 1]!);
  const pairs = Array.from({ length: count }, (_unused, index) => addPair(probes, me, me + 1 + index, follow | block));
  await probes.ask(context.deadlineMs);
  return writeMessages(probes, pairs, 1, Buffer.alloc(0), [
    { number: relationshipField.blockedBy, side: 'back', kind: block },
    { number: relationshipField.blocking, side: 'there', kind: block },
    { number: relationshipField.following, side: 'there', kind: follow },
    { number: relationshipField.followedBy, side: 'back', kind: follow },
  ]);
}

/** A field of one pair's message: the URI of an edge of a kind, there or back. */
type PairField = { readonly number: number; readonly side: keyof Pair; readonly kind: number };

/** Returns `head`, then a message in field `number` for each pair. */
function writeMessages(
  probes: EdgeProbes,
  pairs: readonly Pair[],
  number: number,
  head: Buffer,
  fields: readonly PairField[],
): Buffer {
  const messageBytes = pairs.map((pair) => {
    let bytes = 0;
    for (const { side, kind } of fields) bytes += probes.uriFieldBytes(pair[side], kind);
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
    for (const field of fields) at = probes.writeUriField(into, at, field.number, pair[field.side], field.kind);
  }
  return into;
}

async function blockExistence(request: Buffer, context: PlanContext): Promise<Uint8Array> {
  const place = 'GetBlockExistenceRequest';
  const scanner = new FieldScanner(request, place);
  const ranges: Ranges = [];
  while (scanner.next()) {
    if (scanner.number !== 1) continue;
    requireLengthDelimited(scanner, place);
    const [a, b] = actorAndTargets(request, place, scanner.start, scanner.end);
    ranges.push(a[0]!, a[1]!, b.at(-2) ?? 0, b.at(-1) ?? 0);
  }
  const count = ranges.length / 4;
  refuseOver(planDefaults.itemsMax, count, `${place}.pairs`);
  if (count === 0) return emptyAnswer;
  context.admit(count);
  const probes = new EdgeProbes(context.fanOut, request);
  for (let at = 0; at < ranges.length; at += 2) probes.did(ranges[at]!, ranges[at + 1]!);
  const pairs = Array.from({ length: count }, (_unused, index) => addPair(probes, 2 * index, 2 * index + 1, block));
  await probes.ask(context.deadlineMs);
  const exists = Buffer.from(
    pairs.map(({ there, back }) => (probes.uriBytes(there, block) + probes.uriBytes(back, block) > 0 ? 1 : 0)),
  );
  return writeMessages(probes, pairs, 2, lengthDelimitedField(1, exists), [
    { number: blockField.blockedBy, side: 'back', kind: block },
    { number: blockField.blocking, side: 'there', kind: block },
  ]);
}

async function bidirectionalBlock(request: Buffer, context: PlanContext): Promise<Uint8Array> {
  const [actor, target] = actorAndTargets(request, 'GetBidirectionalBlockRequest');
  const probes = new EdgeProbes(context.fanOut, request);
  const pair = addPair(
    probes,
    probes.did(actor[0]!, actor[1]!),
    probes.did(target.at(-2) ?? 0, target.at(-1) ?? 0),
    block,
  );
  await probes.ask(context.deadlineMs);
  const ticket = probes.uriBytes(pair.there, block) > 0 ? pair.there : pair.back;
  const into = Buffer.allocUnsafe(probes.uriFieldBytes(ticket, block));
  probes.writeUriField(into, 0, 1, ticket, block);
  return into;
}

/** Returns the texts at `ranges` as a list of length-delimited texts. */
function lengthDelimitedTexts(request: Buffer, ranges: Ranges): Buffer {
  const fields: Buffer[] = [];
  for (let at = 0; at < ranges.length; at += 2) {
    fields.push(lengthDelimitedField(1, request.subarray(ranges[at], ranges[at + 1])).subarray(1));
  }
  return Buffer.concat(fields);
}

/** Whom the viewer follows, then which of those follow each target: known followers, in no order that means anything. */
async function followsFollowing(request: Buffer, context: PlanContext): Promise<Uint8Array> {
  const [actor, targets] = actorAndTargets(request, 'GetFollowsFollowingRequest');
  const count = targets.length / 2;
  refuseOver(followingTargetsMax, count, 'GetFollowsFollowingRequest.target_dids');
  if (count === 0) return emptyAnswer;
  context.admit(count);
  const subjects = lengthDelimitedTexts(request, targets);
  const viewer = request.utf8Slice(actor[0], actor[1]);
  const parts = splitFollows(await followsOf(viewer, context), '', context);
  const questions = parts.map((part) => ({
    node: part.node,
    payload: encodeRawFollowersAmong(subjects, count, part.texts, part.count),
  }));
  const answers = await context.fanOut.askAll(nodeCalls.followersAmong, questions, context.deadlineMs);
  return mergeFollowers(subjects, count, answers.map(openFollowersAmongAnswer));
}

const didsOfFollowing = { target: 1, result: 1 } as const;

/** Writes a result for each of the length-delimited subjects: its DID, then what each node found, which is written as fields already. */
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
    at = writeVarint(into, at, didsOfFollowing.result * 8 + wireType.lengthDelimited);
    at = writeVarint(into, at, bytes);
    at = writeVarint(into, at, didsOfFollowing.target * 8 + wireType.lengthDelimited);
    at += subjects.copy(into, at, from, targets.position);
    for (let index = 0; index < found.length; index++) {
      const { buffer, position } = found[index]!;
      at += buffer.copy(into, at, starts[index], position);
    }
  }
  for (const reader of found) reader.end();
  return into.subarray(0, at);
}

/** Units: bytes of the tags and the length before a target. */
const resultHeadBytesMax = 8;

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
