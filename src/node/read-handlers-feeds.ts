/** Reads of feeds and threads. */
import { decodeMessage, encodeMessage } from '../proto/codec.ts';
import { feedPrefix } from '../slot/feed-item.ts';
import { writeAuthorFeed } from '../slot/read/author-feed.ts';
import { newestByAuthors, writeNewestByAuthors } from '../slot/read/newest-by-authors.ts';
import { ownerOfDid } from '../slot/read/slot-lookup.ts';
import { claimedRoots, opThreadsOf, threadAround } from '../slot/read/thread-walk.ts';
import type { CallHandler } from '../wire/node-caller.ts';
import {
  decodeTexts,
  decodeThread,
  encodeOpThreadsAnswer,
  encodeTexts,
  openNewestByAuthors,
  slotCalls,
} from '../wire/read-messages.ts';
import { prefetching, type RowKey } from './prefetch.ts';
import type { ReadContext } from './read-context.ts';

/** Where the feeds of the asked authors begin, for those that are not remembered. */
function* feedStarts({ lookup, feeds }: ReadContext, request: Buffer): Generator<RowKey> {
  const { count, reader } = openNewestByAuthors(request);
  for (let index = 0; index < count; index++) {
    const start = reader.sizedRange();
    if (feeds.has(request, start, reader.position)) continue;
    const did = request.latin1Slice(start, reader.position);
    const state = lookup.stateOf(did);
    const owner = ownerOfDid(state, did);
    if (owner !== undefined) yield { state, key: feedPrefix(owner) };
  }
}

/** The handlers of reads of feeds and threads. */
export function feedReads(context: ReadContext): Map<string, CallHandler> {
  const { lookup, answer, feeds } = context;
  const readNewest = (request: Buffer): Buffer => {
    const newest = newestByAuthors(feeds, openNewestByAuthors(request));
    writeNewestByAuthors(answer.clear(), newest);
    return answer.copy();
  };
  return new Map<string, CallHandler>([
    [
      'bsky.GetAuthorFeed',
      (payload) => {
        const request = decodeMessage('GetAuthorFeedRequest', payload);
        writeAuthorFeed(answer.clear(), lookup.stateOf(request.actorDid), request.actorDid, request.feedType, request);
        return answer.copy();
      },
    ],
    [slotCalls.newestByAuthors, prefetching(context, readNewest, (request) => feedStarts(context, request))],
    [slotCalls.postRoots, (payload) => encodeTexts(claimedRoots(lookup, decodeTexts(payload)))],
    [slotCalls.opThreads, (payload) => encodeOpThreadsAnswer(opThreadsOf(lookup, decodeTexts(payload)))],
    [slotCalls.thread, (payload) => encodeMessage('GetThreadResponse', threadAround(lookup, decodeThread(payload)))],
  ]);
}
