/**
 * What lies between two actors: follows, blocks, mutes, and lists of blocked or muted actors.
 *
 * Each is asked in its own direction. Lists take a second step, and only where an actor subscribes
 * to some. As on the official plane, a list counts whether or not its record exists, and whatever
 * its purpose is.
 */
import { probeBit } from '../../atproto/edge-kind.ts';
import { varintBytes, writeVarint } from '../../base/varint.ts';
import { encodeMessage } from '../../proto/codec.ts';
import { FieldScanner, lengthDelimitedField } from '../../proto/fields.ts';
import { fieldNumber } from '../../proto/generated/bsky-service.ts';
import { wireType } from '../../proto/message-decoder.ts';
import { muteFlag, privateBit, type RawLists } from '../../wire/edge-messages.ts';
import { emptyAnswer, type Plan, type PlanContext, planDefaults, requireItemsMax } from '../plan/plan.ts';
import { type Ranges, requireLengthDelimited, scanActors } from './actor-ranges.ts';
import { EdgeProbes } from './edge-probes.ts';
import { ListProbes } from './list-probes.ts';

const { follow, block } = probeBit;
const { mute, listBlocks, listMutes } = privateBit;

/** The ids of two actors, and of the probes from one to the other and in reverse. */
type Pair = { readonly a: number; readonly b: number; readonly forward: number; readonly reverse: number };

type Kinds = { readonly forward: number; readonly reverse: number };

function addPair(probes: EdgeProbes, a: number, b: number, kinds: Kinds): Pair {
  return { a, b, forward: probes.add(a, kinds.forward, b), reverse: probes.add(b, kinds.reverse, a) };
}

/** The URIs of lists between two actors, '' where there is none. */
type PairLists = { blockingByList: string; blockedByList: string; mutedByList: string };

/** Returns the lists of pairs that are on lists of each other; undefined for the others. */
async function listsBetween(
  probes: EdgeProbes,
  pairs: readonly Pair[],
  context: PlanContext,
): Promise<(PairLists | undefined)[]> {
  const found = new Array<PairLists | undefined>(pairs.length).fill(undefined);
  if (probes.subscriptions.length === 0) return found;
  const listsOf = new Map<number, (RawLists | undefined)[]>();
  for (const bit of [listBlocks, listMutes]) listsOf.set(bit, new Array(probes.dids.nodes.length).fill(undefined));
  for (const { did, bit, lists } of probes.subscriptions) listsOf.get(bit)![did] = lists;
  const [blocked, muted] = [listsOf.get(listBlocks)!, listsOf.get(listMutes)!];
  const listProbes = new ListProbes(probes);
  /** By probe. */
  const asked: { readonly pair: number; readonly field: keyof PairLists }[] = [];
  const add = (pair: number, field: keyof PairLists, lists: RawLists | undefined, subject: number): void => {
    if (lists !== undefined) asked[listProbes.add(subject, lists)] = { pair, field };
  };
  for (let index = 0; index < pairs.length; index++) {
    const { a, b } = pairs[index]!;
    add(index, 'blockingByList', blocked[a], b);
    add(index, 'blockedByList', blocked[b], a);
    add(index, 'mutedByList', muted[a], b);
  }
  await listProbes.ask(context);
  for (const [probe, uri] of listProbes.found()) {
    const { pair, field } = asked[probe]!;
    found[pair] ??= { blockingByList: '', blockedByList: '', mutedByList: '' };
    found[pair][field] = uri;
  }
  return found;
}

const noFields: Uint8Array = Buffer.alloc(0);

function muteFields(flags: number): { muted: boolean; mutedOnlyReposts: boolean; mutedOnlyQuoteposts: boolean } {
  const [reposts, quotes] = [(flags & muteFlag.onlyReposts) !== 0, (flags & muteFlag.onlyQuoteposts) !== 0];
  return { muted: flags !== 0 && !reposts && !quotes, mutedOnlyReposts: reposts, mutedOnlyQuoteposts: quotes };
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
  const kinds = { forward: follow | block | mute, reverse: follow | block | listBlocks };
  probes.add(actorId, listBlocks | listMutes, actorId);
  const pairs = Array.from({ length: count }, (_unused, index) => addPair(probes, actorId, actorId + 1 + index, kinds));
  await probes.ask(context.deadlineMs);
  const lists = await listsBetween(probes, pairs, context);
  const more = pairs.map(({ forward }, index) => {
    const flags = probes.muteFlags(forward);
    if (flags === 0 && lists[index] === undefined) return noFields;
    return encodeMessage('Relationships', { ...lists[index], ...muteFields(flags) });
  });
  const fields = fieldNumber.Relationships;
  const head = { number: fieldNumber.GetRelationshipsResponse.relationships, bytes: Buffer.alloc(0) };
  return writeMessages(probes, pairs, more, head, [
    { number: fields.blockedBy, direction: 'reverse', kind: block },
    { number: fields.blocking, direction: 'forward', kind: block },
    { number: fields.following, direction: 'forward', kind: follow },
    { number: fields.followedBy, direction: 'reverse', kind: follow },
  ]);
}

/** A field of a pair's message: the URI of one kind of edge in one direction. */
type PairField = { readonly number: number; readonly direction: 'forward' | 'reverse'; readonly kind: number };

/** Returns `head.bytes`, then a message in field `head.number` for each pair, ended by `more`. */
function writeMessages(
  probes: EdgeProbes,
  pairs: readonly Pair[],
  more: readonly Uint8Array[],
  head: { readonly number: number; readonly bytes: Buffer },
  fields: readonly PairField[],
): Buffer {
  const messageBytes = pairs.map((pair, index) => {
    let bytes = more[index]!.length;
    if (!probes.hasFound(pair.forward) && !probes.hasFound(pair.reverse)) return bytes;
    for (const { direction, kind } of fields) bytes += probes.uriFieldBytes(pair[direction], kind);
    return bytes;
  });
  let bytes = head.bytes.length;
  for (const each of messageBytes) bytes += 1 + varintBytes(each) + each;
  const into = Buffer.allocUnsafe(bytes);
  let at = head.bytes.copy(into);
  for (let index = 0; index < pairs.length; index++) {
    at = writeVarint(into, at, head.number * 8 + wireType.lengthDelimited);
    at = writeVarint(into, at, messageBytes[index]!);
    if (messageBytes[index] === 0) continue;
    const pair = pairs[index]!;
    for (const field of fields) at = probes.writeUriField(into, at, field.number, pair[field.direction], field.kind);
    into.set(more[index]!, at);
    at += more[index]!.length;
  }
  return into;
}

/** Returns the ranges of the two DIDs of each pair. */
function scanPairs(request: Buffer): Ranges {
  const path = 'GetBlockExistenceRequest';
  const scanner = new FieldScanner(request, path);
  const ranges: Ranges = [];
  const { a, b } = fieldNumber.RelationshipPair;
  const inner = new FieldScanner(request, path, 0, 0);
  while (scanner.next()) {
    if (scanner.number !== fieldNumber.GetBlockExistenceRequest.pairs) continue;
    requireLengthDelimited(scanner, path);
    const at = ranges.push(0, 0, 0, 0) - 4;
    inner.reset(request, scanner.start, scanner.end);
    while (inner.next()) {
      if (inner.number !== a && inner.number !== b) continue;
      requireLengthDelimited(inner, path);
      // The last one wins.
      const actorAt = inner.number === a ? at : at + 2;
      ranges[actorAt] = inner.start;
      ranges[actorAt + 1] = inner.end;
    }
  }
  return ranges;
}

const blocks = { forward: block | listBlocks, reverse: block | listBlocks };

async function blockExistence(request: Buffer, context: PlanContext): Promise<Uint8Array> {
  const ranges = scanPairs(request);
  const count = ranges.length / 4;
  requireItemsMax(count, 'GetBlockExistenceRequest.pairs');
  if (count === 0) return emptyAnswer;
  context.admit(count);
  const probes = new EdgeProbes(context.fanOut, request);
  for (let at = 0; at < ranges.length; at += 2) probes.did(ranges[at]!, ranges[at + 1]!);
  const pairs = Array.from({ length: count }, (_unused, index) => addPair(probes, 2 * index, 2 * index + 1, blocks));
  await probes.ask(context.deadlineMs);
  const lists = await listsBetween(probes, pairs, context);
  const more = lists.map((found) => (found === undefined ? noFields : encodeMessage('BlockExistence', found)));
  const exists = Buffer.from(
    pairs.map(({ forward, reverse }, index) =>
      lists[index] !== undefined || probes.uriBytes(forward, block) + probes.uriBytes(reverse, block) > 0 ? 1 : 0,
    ),
  );
  const fields = fieldNumber.GetBlockExistenceResponse;
  const head = { number: fields.blocks, bytes: lengthDelimitedField(fields.exists, exists) };
  return writeMessages(probes, pairs, more, head, [
    { number: fieldNumber.BlockExistence.blockedBy, direction: 'reverse', kind: block },
    { number: fieldNumber.BlockExistence.blocking, direction: 'forward', kind: block },
  ]);
}

/** Probes the actor of a request and its last target, in both directions. */
async function probePair(
  request: Buffer,
  message: Parameters<typeof scanActors>[1],
  kinds: Kinds,
  context: PlanContext,
): Promise<{ readonly probes: EdgeProbes; readonly pair: Pair }> {
  const [actor, target] = scanActors(request, message);
  const probes = new EdgeProbes(context.fanOut, request);
  const [a, b] = [probes.did(actor[0]!, actor[1]!), probes.did(target.at(-2) ?? 0, target.at(-1) ?? 0)];
  const pair = addPair(probes, a, b, kinds);
  await probes.ask(context.deadlineMs);
  return { probes, pair };
}

async function bidirectionalBlock(request: Buffer, context: PlanContext): Promise<Uint8Array> {
  const kinds = { forward: block, reverse: block };
  const { probes, pair } = await probePair(request, 'GetBidirectionalBlockRequest', kinds, context);
  const probe = probes.uriBytes(pair.forward, block) > 0 ? pair.forward : pair.reverse;
  const into = Buffer.allocUnsafe(probes.uriFieldBytes(probe, block));
  probes.writeUriField(into, 0, fieldNumber.GetBidirectionalBlockResponse.blockUri, probe, block);
  return into;
}

async function bidirectionalBlockViaList(request: Buffer, context: PlanContext): Promise<Uint8Array> {
  const kinds = { forward: listBlocks, reverse: listBlocks };
  const { probes, pair } = await probePair(request, 'GetBidirectionalBlockViaListRequest', kinds, context);
  const [lists] = await listsBetween(probes, [pair], context);
  const listUri = lists?.blockingByList || (lists?.blockedByList ?? '');
  return encodeMessage('GetBidirectionalBlockViaListResponse', { listUri });
}

async function mutesViaList(request: Buffer, context: PlanContext): Promise<Uint8Array> {
  const kinds = { forward: listMutes, reverse: 0 };
  const { probes, pair } = await probePair(request, 'GetActorMutesActorViaListRequest', kinds, context);
  const [lists] = await listsBetween(probes, [pair], context);
  return encodeMessage('GetActorMutesActorViaListResponse', { listUri: lists?.mutedByList ?? '' });
}

const { timeoutMs } = planDefaults;

/** What reads mutes, which are private, is not shared. */
export const relationPlans: readonly Plan[] = [
  { method: 'GetRelationships', timeoutMs, isShared: false, run: relationships },
  { method: 'GetBlockExistence', timeoutMs, isShared: true, run: blockExistence },
  { method: 'GetBidirectionalBlock', timeoutMs, isShared: true, run: bidirectionalBlock },
  { method: 'GetBidirectionalBlockViaList', timeoutMs, isShared: true, run: bidirectionalBlockViaList },
  { method: 'GetActorMutesActorViaList', timeoutMs, isShared: false, run: mutesViaList },
];
