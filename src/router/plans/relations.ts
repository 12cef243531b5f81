/**
 * What lies between two actors: follows, blocks, mutes, and lists of blocked or muted actors.
 *
 * Each is asked in its own direction. Lists take a second step, and only where an actor subscribes
 * to some. As on the official plane, a list counts whether or not its record exists, and whatever
 * its purpose is.
 */
import { probeBit } from '../../atproto/edge-kind.ts';
import { encodeMessage } from '../../proto/codec.ts';
import { FieldScanner } from '../../proto/fields.ts';
import { fieldNumber } from '../../proto/generated/bsky-service.ts';
import { wireType } from '../../proto/message-decoder.ts';
import { MessageWriter } from '../../proto/message-writer.ts';
import { muteFlag, privateBit, type RawLists } from '../../wire/edge-messages.ts';
import { whenThere } from '../plan/at-once.ts';
import { emptyAnswer, type Plan, type PlanContext, planDefaults, requireItemsMax } from '../plan/plan.ts';
import { type Ranges, requireLengthDelimited, scanActors } from './actor-ranges.ts';
import { EdgeProbes } from './edge-probes.ts';
import { ListProbes } from './list-probes.ts';

const { follow, block } = probeBit;
const { mute, listBlocks, listMutes } = privateBit;

/** Probes from one actor to another and in reverse: two ids for each pair, from `first` up. */
type Pairs = { readonly first: number; readonly count: number };

type Kinds = { readonly forward: number; readonly reverse: number };

/** Returns the id of the probe from the first actor of a pair to the other. */
function forwardOf({ first }: Pairs, index: number): number {
  return first + 2 * index;
}

function reverseOf(pairs: Pairs, index: number): number {
  return forwardOf(pairs, index) + 1;
}

/** Adds the probes of a pair. Returns the first one's id. */
function addPair(probes: EdgeProbes, a: number, b: number, kinds: Kinds): number {
  const forward = probes.add(a, kinds.forward, b);
  probes.add(b, kinds.reverse, a);
  return forward;
}

/** The URIs of lists between two actors, '' where there is none. */
type PairLists = { blockingByList: string; blockedByList: string; mutedByList: string };
/** By pair the lists of each other on which its actors are; undefined without any. */
type ListsOfPairs = readonly (PairLists | undefined)[];

const noLists: ListsOfPairs = [];

/** Asks the probes of pairs, then for lists, and goes on with these: at once if all is there. */
function askPairs<Result>(
  probes: EdgeProbes,
  pairs: Pairs,
  context: PlanContext,
  goOn: (lists: ListsOfPairs) => Result,
): Promise<Result> | Result {
  return whenThere(probes.ask(context.deadlineMs), () =>
    whenThere(probes.subscriptions.length === 0 ? noLists : listsBetween(probes, pairs, context), goOn),
  );
}

async function listsBetween(probes: EdgeProbes, pairs: Pairs, context: PlanContext): Promise<ListsOfPairs> {
  const found: (PairLists | undefined)[] = [];
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
  for (let index = 0; index < pairs.count; index++) {
    const [a, b] = [probes.ownerOf(forwardOf(pairs, index)), probes.ownerOf(reverseOf(pairs, index))];
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

/** Of one answer after another, each written without an await. */
const answer = new MessageWriter();
const relationshipFields = fieldNumber.Relationships;

function muteFields(flags: number): { muted: boolean; mutedOnlyReposts: boolean; mutedOnlyQuoteposts: boolean } {
  const [reposts, quotes] = [(flags & muteFlag.onlyReposts) !== 0, (flags & muteFlag.onlyQuoteposts) !== 0];
  return { muted: flags !== 0 && !reposts && !quotes, mutedOnlyReposts: reposts, mutedOnlyQuoteposts: quotes };
}

function relationships(request: Buffer, context: PlanContext): Promise<Uint8Array> | Uint8Array {
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
  for (let index = 0; index < count; index++) addPair(probes, actorId, actorId + 1 + index, kinds);
  const pairs = { first: actorId + 1, count };
  return askPairs(probes, pairs, context, (lists) => writeRelationships(probes, pairs, lists));
}

function writeRelationships(probes: EdgeProbes, pairs: Pairs, lists: ListsOfPairs): Buffer {
  answer.clear();
  for (let index = 0; index < pairs.count; index++) {
    const [forward, reverse] = [forwardOf(pairs, index), reverseOf(pairs, index)];
    const flags = probes.muteFlags(forward);
    const start = answer.begin(fieldNumber.GetRelationshipsResponse.relationships, 1);
    probes.writeUriField(answer, relationshipFields.blockedBy, reverse, block);
    probes.writeUriField(answer, relationshipFields.blocking, forward, block);
    probes.writeUriField(answer, relationshipFields.following, forward, follow);
    probes.writeUriField(answer, relationshipFields.followedBy, reverse, follow);
    if (flags !== 0 || lists[index] !== undefined)
      answer.bytes(encodeMessage('Relationships', { ...lists[index], ...muteFields(flags) }));
    answer.end(start, 1);
  }
  return answer.finish();
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

function blockExistence(request: Buffer, context: PlanContext): Promise<Uint8Array> | Uint8Array {
  const ranges = scanPairs(request);
  const count = ranges.length / 4;
  requireItemsMax(count, 'GetBlockExistenceRequest.pairs');
  if (count === 0) return emptyAnswer;
  context.admit(count);
  const probes = new EdgeProbes(context.fanOut, request);
  for (let at = 0; at < ranges.length; at += 2) probes.did(ranges[at]!, ranges[at + 1]!);
  const pairs = { first: 0, count };
  for (let index = 0; index < count; index++) addPair(probes, 2 * index, 2 * index + 1, blocks);
  return askPairs(probes, pairs, context, (lists) => writeBlockExistence(probes, pairs, lists));
}

function writeBlockExistence(probes: EdgeProbes, pairs: Pairs, lists: ListsOfPairs): Buffer {
  const { count } = pairs;
  const { exists, blocks: blocksField } = fieldNumber.GetBlockExistenceResponse;
  const { blockedBy, blocking } = fieldNumber.BlockExistence;
  answer.clear();
  answer.varint(exists * 8 + wireType.lengthDelimited).varint(count);
  for (let index = 0; index < count; index++) {
    const found = probes.foundBy(forwardOf(pairs, index)) | probes.foundBy(reverseOf(pairs, index));
    answer.u8(found !== 0 || lists[index] !== undefined ? 1 : 0);
  }
  for (let index = 0; index < count; index++) {
    const start = answer.begin(blocksField, 1);
    probes.writeUriField(answer, blockedBy, reverseOf(pairs, index), block);
    probes.writeUriField(answer, blocking, forwardOf(pairs, index), block);
    if (lists[index] !== undefined) answer.bytes(encodeMessage('BlockExistence', lists[index]!));
    answer.end(start, 1);
  }
  return answer.finish();
}

/** Probes the actor of a request and its last target in both directions, as `askPairs` does. */
function askPair(
  request: Buffer,
  message: Parameters<typeof scanActors>[1],
  kinds: Kinds,
  context: PlanContext,
  goOn: (lists: PairLists | undefined, probes: EdgeProbes, pair: Pairs) => Uint8Array,
): Promise<Uint8Array> | Uint8Array {
  const [actor, target] = scanActors(request, message);
  const probes = new EdgeProbes(context.fanOut, request);
  const [a, b] = [probes.did(actor[0]!, actor[1]!), probes.did(target.at(-2) ?? 0, target.at(-1) ?? 0)];
  const pair = { first: addPair(probes, a, b, kinds), count: 1 };
  return askPairs(probes, pair, context, ([lists]) => goOn(lists, probes, pair));
}

function bidirectionalBlock(request: Buffer, context: PlanContext): Promise<Uint8Array> | Uint8Array {
  const kinds = { forward: block, reverse: block };
  return askPair(request, 'GetBidirectionalBlockRequest', kinds, context, (_lists, probes, { first }) => {
    const probe = (probes.foundBy(first) & block) === 0 ? first + 1 : first;
    answer.clear();
    probes.writeUriField(answer, fieldNumber.GetBidirectionalBlockResponse.blockUri, probe, block);
    return answer.finish();
  });
}

function bidirectionalBlockViaList(request: Buffer, context: PlanContext): Promise<Uint8Array> | Uint8Array {
  const kinds = { forward: listBlocks, reverse: listBlocks };
  return askPair(request, 'GetBidirectionalBlockViaListRequest', kinds, context, (lists) => {
    const listUri = lists?.blockingByList || (lists?.blockedByList ?? '');
    return encodeMessage('GetBidirectionalBlockViaListResponse', { listUri });
  });
}

function mutesViaList(request: Buffer, context: PlanContext): Promise<Uint8Array> | Uint8Array {
  const kinds = { forward: listMutes, reverse: 0 };
  return askPair(request, 'GetActorMutesActorViaListRequest', kinds, context, (lists) =>
    encodeMessage('GetActorMutesActorViaListResponse', { listUri: lists?.mutedByList ?? '' }),
  );
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
