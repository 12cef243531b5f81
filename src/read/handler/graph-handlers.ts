/** Reads of edges: follows, blocks, likes, reposts, quotes, and the probes behind relationships. */
import type { EdgeKind } from '../../atproto/edge-kind.ts';
import { type ByteReader, ByteWriter } from '../../base/bytes.ts';
import { decodeMessage } from '../../proto/codec.ts';
import { MessageWriter } from '../../proto/message-writer.ts';
import type { SlotState } from '../../slot/table/slot-state.ts';
import { openFollowersAmong, openProbes } from '../../wire/edge-messages.ts';
import { decodeFollowsOf } from '../../wire/follows-messages.ts';
import { messageVersion } from '../../wire/message.ts';
import type { CallHandler } from '../../wire/node-caller.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import {
  subjectRef,
  writeActorLikes,
  writeEdgeUrisOfSubject,
  writeFollowers,
  writeFollows,
  writeOwnEdgeUris,
} from '../answer/edge-pages.ts';
import {
  actorSubject,
  recordSubject,
  writeEdgesToSubjects,
  writeFollowersAmong,
  writeProbed,
} from '../answer/edge-probes.ts';
import type { EdgeCache } from '../cache/edge-cache.ts';
import type { ViewerFollows } from '../cache/timeline-follows.ts';
import { writeFollowedDids } from '../lookup/followed-dids.ts';
import type { PageRequest } from '../lookup/page.ts';
import type { ReadContext } from './read-context.ts';

const textsWriter = new MessageWriter();

function followsOf({ lookup, timelines, answer }: ReadContext, payload: Uint8Array): Uint8Array {
  const { did, after, limit } = decodeFollowsOf(payload);
  const known = after === '' ? timelines.of(did) : undefined;
  if (known !== undefined && known.next === '' && known.followCount < limit) return allFollows(answer, did, known);
  const texts = textsWriter.clear();
  const { count, next } = writeFollowedDids(texts, lookup.stateOf(did), did, after, limit);
  return followsPage(answer, next, count, [texts.view()]);
}

/** Answers with all that is remembered, in one page. */
function allFollows(into: MessageWriter, did: string, known: ViewerFollows): Buffer {
  const { local, elsewhere, followCount, isFollowingSelf } = known;
  const self = isFollowingSelf ? [new ByteWriter().text(did).finish()] : [];
  const parts = [local.texts, ...elsewhere.map(({ texts }) => texts), ...self];
  return followsPage(into, '', followCount + self.length, parts);
}

/** Answers with a page whose DIDs are length-delimited texts already. */
function followsPage(into: MessageWriter, next: string, count: number, parts: readonly Buffer[]): Buffer {
  into.clear().raw(new ByteWriter(next.length + 16).u8(messageVersion).text(next).varint(count).finish());
  for (const part of parts) into.raw(part);
  return into.view();
}

/** Answers a call between router and node, whose answer begins with the version of the messages. */
function answered(
  { answer, edges }: ReadContext,
  reader: ByteReader,
  write: (into: MessageWriter, cache: EdgeCache, reader: ByteReader) => void,
): Buffer {
  answer.clear().varint(messageVersion);
  write(answer, edges, reader);
  return answer.view();
}

type SubjectRequest =
  | 'GetLikesBySubjectRequest'
  | 'GetLikesBySubjectSortedRequest'
  | 'GetRepostsBySubjectRequest'
  | 'GetQuotesBySubjectSortedRequest';

function bySubject({ lookup, answer }: ReadContext, name: SubjectRequest, kind: EdgeKind): CallHandler {
  return (payload) => {
    const request = decodeMessage(name, payload);
    const subject = subjectRef(request.subject);
    answer.clear();
    if (subject !== undefined)
      writeEdgeUrisOfSubject(answer, lookup.stateOf(subject.did), subject, kind, request, name);
    return answer.view();
  };
}

type ActorRequest =
  | 'GetFollowsRequest'
  | 'GetFollowersRequest'
  | 'GetActorLikesRequest'
  | 'GetActorRepostsRequest'
  | 'GetBlocksRequest';

function byActor(
  { lookup, answer }: ReadContext,
  name: ActorRequest,
  write: (state: SlotState, did: string, page: PageRequest) => void,
): CallHandler {
  return (payload) => {
    const request = decodeMessage(name, payload);
    answer.clear();
    write(lookup.stateOf(request.actorDid), request.actorDid, request);
    return answer.view();
  };
}

/** The handlers of reads of edges. */
export function graphReads(context: ReadContext): Map<string, CallHandler> {
  const { lookup, answer } = context;
  const byActorAndSubjects = (
    name: 'GetLikesByActorAndSubjectsRequest' | 'GetRepostsByActorAndSubjectsRequest',
    kind: EdgeKind,
  ): CallHandler => {
    return (payload) => {
      const { actorDid, refs } = decodeMessage(name, payload);
      writeEdgesToSubjects(
        answer.clear(),
        lookup.stateOf(actorDid),
        actorDid,
        kind,
        refs.map(({ uri }) => recordSubject(uri)),
      );
      return answer.view();
    };
  };
  return new Map<string, CallHandler>([
    [
      'bsky.GetFollows',
      byActor(context, 'GetFollowsRequest', (state, did, page) => writeFollows(answer, state, did, page)),
    ],
    [
      'bsky.GetFollowers',
      byActor(context, 'GetFollowersRequest', (state, did, page) => writeFollowers(answer, state, did, page)),
    ],
    [
      'bsky.GetActorLikes',
      byActor(context, 'GetActorLikesRequest', (state, did, page) => writeActorLikes(answer, state, did, page)),
    ],
    [
      'bsky.GetActorReposts',
      byActor(context, 'GetActorRepostsRequest', (state, did, page) =>
        writeOwnEdgeUris(answer, state, did, 'repost', page, 'GetActorRepostsRequest'),
      ),
    ],
    [
      'bsky.GetBlocks',
      byActor(context, 'GetBlocksRequest', (state, did, page) =>
        writeOwnEdgeUris(answer, state, did, 'block', page, 'GetBlocksRequest'),
      ),
    ],
    [
      'bsky.GetActorFollowsActors',
      (payload) => {
        const { actorDid, targetDids } = decodeMessage('GetActorFollowsActorsRequest', payload);
        writeEdgesToSubjects(
          answer.clear(),
          lookup.stateOf(actorDid),
          actorDid,
          'follow',
          targetDids.map(actorSubject),
        );
        return answer.view();
      },
    ],
    ['bsky.GetLikesByActorAndSubjects', byActorAndSubjects('GetLikesByActorAndSubjectsRequest', 'like')],
    ['bsky.GetRepostsByActorAndSubjects', byActorAndSubjects('GetRepostsByActorAndSubjectsRequest', 'repost')],
    ['bsky.GetLikesBySubject', bySubject(context, 'GetLikesBySubjectRequest', 'like')],
    ['bsky.GetLikesBySubjectSorted', bySubject(context, 'GetLikesBySubjectSortedRequest', 'like')],
    ['bsky.GetRepostsBySubject', bySubject(context, 'GetRepostsBySubjectRequest', 'repost')],
    ['bsky.GetQuotesBySubjectSorted', bySubject(context, 'GetQuotesBySubjectSortedRequest', 'quote')],
    [nodeCalls.probeEdges, (payload) => answered(context, openProbes(payload), writeProbed)],
    [nodeCalls.followsOf, (payload) => followsOf(context, payload)],
    [nodeCalls.followersAmong, (payload) => answered(context, openFollowersAmong(payload), writeFollowersAmong)],
  ]);
}
