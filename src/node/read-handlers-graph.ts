/** Reads of edges: follows, blocks, likes, reposts, quotes, and the probes behind relationships. */
import { didLengthMax } from '../atproto/compact-key.ts';
import type { EdgeKind } from '../atproto/entry.ts';
import { ByteWriter } from '../base/bytes.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { decodeMessage } from '../proto/codec.ts';
import { AnswerWriter } from '../slot/read/answer-writer.ts';
import {
  subjectRef,
  writeActorLikes,
  writeEdgeUrisOfSubject,
  writeFollowers,
  writeFollows,
  writeOwnEdgeUris,
} from '../slot/read/edge-pages.ts';
import {
  actorSubject,
  recordSubject,
  rkeyOfActorEdge,
  writeEdgesToSubjects,
  writeFollowedDids,
} from '../slot/read/edge-probes.ts';
import { followSubject } from '../slot/read/follow-cache.ts';
import type { PageRequest } from '../slot/read/page.ts';
import type { SlotState } from '../slot/slot-state.ts';
import type { CallHandler } from '../wire/node-caller.ts';
import {
  decodeFollowsOf,
  decodeProbeEdges,
  encodeFollowersAmongAnswer,
  encodeTexts,
  messageVersion,
  openFollowersAmong,
  probeKind,
  slotCalls,
} from '../wire/read-messages.ts';
import type { ReadContext } from './read-context.ts';

/** Subjects times candidates of one `slot.followersAmong` beyond this are refused. */
const probesMax = 2_000_000;
const kindOfProbe = { [probeKind.follow]: 'follow', [probeKind.block]: 'block' } as const;

function probeEdges({ lookup }: ReadContext, payload: Uint8Array): Uint8Array {
  const { dids, probes } = decodeProbeEdges(payload);
  return encodeTexts(
    probes.map(({ owner, kind, subject }) =>
      rkeyOfActorEdge(lookup.stateOf(dids[owner]!), dids[owner]!, kindOfProbe[kind], dids[subject]!),
    ),
  );
}

const textsWriter = new AnswerWriter();

function followsOf({ lookup }: ReadContext, payload: Uint8Array): Uint8Array {
  const { did, after, limit } = decodeFollowsOf(payload);
  const texts = textsWriter.clear();
  const { count, next } = writeFollowedDids(texts, lookup.stateOf(did), did, after, limit);
  // The same bytes as `encodeFollowsOfAnswer` gives, without a string for each DID.
  const head = new ByteWriter(next.length + 16).u8(messageVersion).text(next).varint(count).finish();
  const answer = Buffer.allocUnsafe(head.length + texts.length);
  head.copy(answer);
  texts.buffer.copy(answer, head.length, 0, texts.length);
  return answer;
}

function followersAmong({ follows }: ReadContext, payload: Uint8Array): Uint8Array {
  const { subjects, count, reader } = openFollowersAmong(payload);
  if (subjects.length * count > probesMax) {
    throw new DataPlaneError('ResourceExhausted', `${slotCalls.followersAmong}: more than ${probesMax} probes`);
  }
  const found: number[][] = subjects.map(() => []);
  // What no key can hold is followed by nobody.
  const asked = subjects.flatMap((did, index) => (did.length > didLengthMax ? [] : [index]));
  const askedSubjects = asked.map((index) => followSubject(subjects[index]!));
  for (let candidate = 0; candidate < count; candidate++) {
    const start = reader.sizedRange();
    follows.subjectsFollowedBy(reader.buffer, start, reader.position, askedSubjects, (at) => {
      found[asked[at]!]!.push(candidate);
    });
  }
  reader.end();
  return encodeFollowersAmongAnswer(found);
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
    return answer.copy();
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
    return answer.copy();
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
      return answer.copy();
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
        return answer.copy();
      },
    ],
    ['bsky.GetLikesByActorAndSubjects', byActorAndSubjects('GetLikesByActorAndSubjectsRequest', 'like')],
    ['bsky.GetRepostsByActorAndSubjects', byActorAndSubjects('GetRepostsByActorAndSubjectsRequest', 'repost')],
    ['bsky.GetLikesBySubject', bySubject(context, 'GetLikesBySubjectRequest', 'like')],
    ['bsky.GetLikesBySubjectSorted', bySubject(context, 'GetLikesBySubjectSortedRequest', 'like')],
    ['bsky.GetRepostsBySubject', bySubject(context, 'GetRepostsBySubjectRequest', 'repost')],
    ['bsky.GetQuotesBySubjectSorted', bySubject(context, 'GetQuotesBySubjectSortedRequest', 'quote')],
    [slotCalls.probeEdges, (payload) => probeEdges(context, payload)],
    [slotCalls.followsOf, (payload) => followsOf(context, payload)],
    [slotCalls.followersAmong, (payload) => followersAmong(context, payload)],
  ]);
}
