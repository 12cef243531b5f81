/** Reads of feeds and threads. */
import { ByteWriter } from '../../base/bytes.ts';
import { decodeMessage, encodeMessage } from '../../proto/codec.ts';
import { feedPrefix } from '../../slot/table/feed-item.ts';
import {
  decodeTimeline,
  openNewestByAuthors,
  type TimelineRequest,
  writeTimelineFollows,
} from '../../wire/feed-messages.ts';
import { decodeTexts, encodeTexts, messageVersion } from '../../wire/message.ts';
import type { CallHandler } from '../../wire/node-caller.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import { decodeThread, encodeOpThreadsAnswer } from '../../wire/thread-messages.ts';
import { writeAuthorFeed } from '../answer/author-feed.ts';
import { newestByAuthor, newestByAuthors, newestByFollows, writeFeedItems } from '../answer/newest-by-authors.ts';
import { claimedRoots, opThreadsOf, threadAround } from '../answer/thread-walk.ts';
import { localFollows, type ViewerFollows } from '../cache/timeline-follows.ts';
import { ownerOfDid } from '../lookup/slot-lookup.ts';
import { prefetching, type RowKey } from './prefetch.ts';
import type { ReadContext } from './read-context.ts';

/** Where the feed of the author at `source[start..end)` begins, unless its newest items are remembered. */
function* feedStart({ lookup, feeds }: ReadContext, source: Buffer, start: number, end: number): Generator<RowKey> {
  if (feeds.has(source, start, end)) return;
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
  const follows = context.timelines.of(did);
  if (follows === undefined) return;
  const { texts, starts, ends } = follows.local;
  for (let index = 0; index < starts.length; index++) yield* feedStart(context, texts, starts[index]!, ends[index]!);
}

/** A viewer that its slot does not know has an empty timeline. */
const noFollows: ViewerFollows = {
  local: localFollows([]),
  elsewhere: [],
  followCount: 0,
  isFollowingSelf: false,
  next: '',
};

function timeline({ feeds, timelines, answer }: ReadContext, { did, ...range }: TimelineRequest): Buffer {
  const follows = timelines.of(did) ?? noFollows;
  answer.clear().varint(messageVersion);
  writeFeedItems(answer, newestByAuthor(feeds, did, range));
  writeFeedItems(answer, newestByFollows(feeds, follows.local, range));
  const rest = new ByteWriter(4096);
  writeTimelineFollows(rest, follows);
  answer.raw(rest.finish());
  return answer.view();
}

/** The handlers of reads of feeds and threads. */
export function feedReads(context: ReadContext): Map<string, CallHandler> {
  const { lookup, answer, feeds } = context;
  const readNewest = (request: Buffer): Buffer => {
    const newest = newestByAuthors(feeds, openNewestByAuthors(request));
    answer.clear().varint(messageVersion);
    writeFeedItems(answer, newest);
    return answer.view();
  };
  const readTimeline = (request: Buffer): Buffer => timeline(context, decodeTimeline(request));
  return new Map<string, CallHandler>([
    [
      'bsky.GetAuthorFeed',
      (payload) => {
        const request = decodeMessage('GetAuthorFeedRequest', payload);
        writeAuthorFeed(answer.clear(), lookup.stateOf(request.actorDid), request.actorDid, request.feedType, request);
        return answer.view();
      },
    ],
    [nodeCalls.timeline, prefetching(context, readTimeline, (request) => feedStartsOfFollows(context, request))],
    [nodeCalls.newestByAuthors, prefetching(context, readNewest, (request) => feedStartsOfAuthors(context, request))],
    [nodeCalls.postRoots, (payload) => encodeTexts(claimedRoots(lookup, decodeTexts(payload)))],
    [nodeCalls.opThreads, (payload) => encodeOpThreadsAnswer(opThreadsOf(lookup, decodeTexts(payload)))],
    [nodeCalls.thread, (payload) => encodeMessage('GetThreadResponse', threadAround(lookup, decodeThread(payload)))],
  ]);
}
