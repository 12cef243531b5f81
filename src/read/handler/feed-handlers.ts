/** Reads of feeds and threads. */
import { ByteWriter } from '../../base/bytes.ts';
import { decodeMessage } from '../../proto/codec.ts';
import { fieldNumber } from '../../proto/generated/bsky-service.ts';
import { MessageWriter } from '../../proto/message-writer.ts';
import { feedPrefix } from '../../slot/table/feed-item.ts';
import { decodeTimeline, openNewestByAuthors, writeTimelineFollows } from '../../wire/feed-messages.ts';
import { decodeFollowsOf } from '../../wire/follows-messages.ts';
import { decodeTexts, encodeTexts, messageVersion } from '../../wire/message.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import { decodeThread, encodeOpThreadsAnswer } from '../../wire/thread-messages.ts';
import { writeAuthorFeed } from '../answer/author-feed.ts';
import { claimedRoots } from '../answer/claimed-roots.ts';
import { feedGeneratorStatus, listedPages, writeListedUris } from '../answer/listed-records.ts';
import { newestByAuthor, newestByAuthors, newestByList, writeFeedItems } from '../answer/newest-by-authors.ts';
import { opThreadsOf } from '../answer/op-thread-rows.ts';
import { writePostItems } from '../answer/post-items.ts';
import { writeThread } from '../answer/thread-walk.ts';
import { type CachedDidPage, localDidListOf } from '../cache/follow-cache.ts';
import { writeMemberDids } from '../lookup/list-record.ts';
import { ownerOfDid } from '../lookup/slot-lookup.ts';
import type { SlicedRead } from '../lookup/turn.ts';
import type { RowKey } from './prefetch.ts';
import type { ReadContext } from './read-context.ts';
import { byItem, type ReadRow, sliced, writtenBytes, writtenMessage } from './read-row.ts';

const textsWriter = new MessageWriter();

/** Yields the key where the feed of the author at `source[start..end)` begins, unless cached. */
function* feedStart({ lookup, feeds }: ReadContext, source: Buffer, start: number, end: number): Generator<RowKey> {
  if (feeds.cache.has(source, start, end)) return;
  const did = source.latin1Slice(start, end);
  const state = lookup.stateOf(did);
  const owner = ownerOfDid(state, did);
  if (owner !== undefined) yield { state, key: feedPrefix(owner) };
}

function* feedStartsOfAuthors(context: ReadContext, request: Buffer): Generator<RowKey> {
  const { count, reader } = openNewestByAuthors(request);
  for (let index = 0; index < count; index++) {
    const start = reader.lengthDelimitedRange();
    yield* feedStart(context, reader.buffer, start, reader.position);
  }
}

function* feedStartsOfFollows(context: ReadContext, request: Buffer): Generator<RowKey> {
  const { did } = decodeTimeline(request);
  const viewer = Buffer.from(did);
  yield* feedStart(context, viewer, 0, viewer.length);
  const follows = context.follows.get(did);
  if (follows !== undefined) yield* feedStartsOfPage(context, follows);
}

function* feedStartsOfMembers(context: ReadContext, request: Buffer): Generator<RowKey> {
  const members = context.lists.get(decodeTimeline(request).did);
  if (members !== undefined) yield* feedStartsOfPage(context, members);
}

function* feedStartsOfPage(context: ReadContext, { local }: CachedDidPage): Generator<RowKey> {
  const { texts, starts, ends } = local;
  for (let index = 0; index < starts.length; index++) yield* feedStart(context, texts, starts[index]!, ends[index]!);
}

/** For an unknown viewer, whose timeline is empty. */
const noDids: CachedDidPage = {
  local: localDidListOf([]),
  elsewhere: [],
  didCount: 0,
  isFollowingSelf: false,
  next: '',
};

function* writeTimeline(into: MessageWriter, context: ReadContext, request: Buffer): SlicedRead<void> {
  const { feeds, follows, turn } = context;
  const { did, ...range } = decodeTimeline(request);
  const followed = follows.get(did) ?? noDids;
  into.varint(messageVersion);
  writeFeedItems(into, yield* newestByAuthor(feeds, did, range, turn));
  writeFeedItems(into, yield* newestByList(feeds, followed.local, range, turn));
  writeTimelineFollows(into, { ...followed, followCount: followed.didCount });
}

/** A list has no feed of its own, so its own items are none. */
function* writeListFeed(into: MessageWriter, { feeds, lists, turn }: ReadContext, request: Buffer): SlicedRead<void> {
  const { did: listUri, ...range } = decodeTimeline(request);
  const members = lists.get(listUri) ?? noDids;
  into.varint(messageVersion);
  into.varint(0);
  writePostItems(into, yield* newestByList(feeds, members.local, range, turn, true));
  writeTimelineFollows(into, { ...members, followCount: members.didCount });
}

function* writeNewestByAuthors(into: MessageWriter, context: ReadContext, request: Buffer): SlicedRead<void> {
  const newest = yield* newestByAuthors(context.feeds, openNewestByAuthors(request), context.turn);
  into.varint(messageVersion);
  writeFeedItems(into, newest);
}

function* writeNewestPosts(into: MessageWriter, context: ReadContext, request: Buffer): SlicedRead<void> {
  const newest = yield* newestByAuthors(context.feeds, openNewestByAuthors(request), context.turn, true);
  into.varint(messageVersion);
  writePostItems(into, newest);
}

function writeMembersOf(into: MessageWriter, { lookup }: ReadContext, request: Buffer): void {
  const { did: listUri, after, limit } = decodeFollowsOf(request);
  const texts = textsWriter.clear();
  const { count, next } = writeMemberDids(texts, lookup, listUri, { after, limit });
  into.raw(new ByteWriter(next.length + 16).u8(messageVersion).text(next).varint(count).finish());
  into.raw(texts.view());
}

/** A page of an actor's records of one collection. */
function listed(method: keyof typeof listedPages): ReadRow {
  return writtenMessage(method, (into, { lookup }, page) =>
    writeListedUris(into, lookup.stateOf(page.actorDid), page.actorDid, listedPages[method], page),
  );
}

/** About what a status takes. */
const statusMicros = 20;

function writeFeedStatuses(into: MessageWriter, { lookup, turn }: ReadContext, request: Buffer): number | null {
  const { uris } = decodeMessage('GetFeedGeneratorStatusRequest', request);
  for (let count = 1; count <= uris.length; count++) {
    into.textField(fieldNumber.GetFeedGeneratorStatusResponse.status, feedGeneratorStatus(lookup, uris[count - 1]!));
    if (turn.isOver(statusMicros) && count < uris.length) return count;
  }
  return null;
}

export const feedReads: readonly ReadRow[] = [
  listed('GetActorFeeds'),
  listed('GetActorLists'),
  listed('GetActorStarterPacks'),
  byItem('bsky.GetFeedGeneratorStatus', writeFeedStatuses),
  writtenMessage('GetAuthorFeed', (into, { lookup }, page) =>
    writeAuthorFeed(into, lookup.stateOf(page.actorDid), page.actorDid, page.feedType, page),
  ),
  sliced(nodeCalls.timeline, writeTimeline, feedStartsOfFollows),
  sliced(nodeCalls.listFeed, writeListFeed, feedStartsOfMembers),
  sliced(nodeCalls.newestByAuthors, writeNewestByAuthors, feedStartsOfAuthors),
  sliced(nodeCalls.newestPosts, writeNewestPosts, feedStartsOfAuthors),
  writtenBytes(nodeCalls.membersOf, writeMembersOf),
  sliced(nodeCalls.postRoots, function* (into, { lookup, turn }, request) {
    into.raw(encodeTexts(yield* claimedRoots(lookup, decodeTexts(request), turn)));
  }),
  sliced(nodeCalls.opThreads, function* (into, { lookup, turn }, request) {
    into.raw(encodeOpThreadsAnswer(yield* opThreadsOf(lookup, decodeTexts(request), turn)));
  }),
  sliced(nodeCalls.thread, (into, { lookup, turn }, request) => writeThread(into, lookup, decodeThread(request), turn)),
];
