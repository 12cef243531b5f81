/** Reads of edges: follows, blocks, likes, reposts, quotes, and the probes for relationships. */
import { type ByteReader, ByteWriter } from '../../base/bytes.ts';
import { decodeMessage } from '../../proto/codec.ts';
import { fieldNumber } from '../../proto/generated/bsky-service.ts';
import { MessageWriter } from '../../proto/message-writer.ts';
import { openFollowersAmong, openListProbes, openProbes } from '../../wire/edge-messages.ts';
import { decodeFollowsOf, followsPageLimit } from '../../wire/follows-messages.ts';
import { decodeTexts, messageVersion } from '../../wire/message.ts';
import { nodeCalls, readCall } from '../../wire/node-calls.ts';
import {
  type ActorPageWriter,
  edgePages,
  subjectRef,
  writeActorLikes,
  writeEdgeUrisOfSubject,
  writeFollowers,
  writeFollows,
  writeOwnEdgeUris,
  writeVerificationsIssued,
  writeVerificationsReceived,
} from '../answer/edge-pages.ts';
import { actorSubject, urisOfEdges, writeFollowersAmong, writeProbed } from '../answer/edge-probes.ts';
import { writeListed } from '../answer/list-probes.ts';
import { writeRecentLikers } from '../answer/recent-likers.ts';
import { recordEdges, writeEdgesToRecords } from '../answer/record-edges.ts';
import type { EdgeCache } from '../cache/edge-cache.ts';
import type { CachedDidPage } from '../cache/follow-cache.ts';
import { writeFollowedDids } from '../lookup/followed-dids.ts';
import type { SlicedRead, Turn } from '../lookup/turn.ts';
import type { ReadContext } from './read-context.ts';
import { type ReadRow, sliced, writtenBytes, writtenMessage } from './read-row.ts';

const textsWriter = new MessageWriter();

function writeFollowsOf(into: MessageWriter, { lookup, follows }: ReadContext, request: Buffer): void {
  const { did, after, limit } = decodeFollowsOf(request);
  const cached = after === '' ? follows.get(did) : undefined;
  const isSamePage = cached?.next === '' ? cached.didCount < limit : limit >= followsPageLimit;
  if (cached !== undefined && isSamePage) return writeCachedFollows(into, did, cached);
  const texts = textsWriter.clear();
  const { count, next } = writeFollowedDids(texts, lookup.stateOf(did), did, after, limit);
  writeFollowsPage(into, next, count, [texts.view()]);
}

function writeCachedFollows(into: MessageWriter, did: string, cached: CachedDidPage): void {
  const { local, elsewhere, didCount, isFollowingSelf, next } = cached;
  const self = isFollowingSelf ? [new ByteWriter().text(did).finish()] : [];
  const parts = [local.texts, ...elsewhere.map(({ texts }) => texts), ...self];
  writeFollowsPage(into, next, didCount + self.length, parts);
}

/** The DIDs of `parts` are length-delimited texts already. */
function writeFollowsPage(into: MessageWriter, next: string, count: number, parts: readonly Buffer[]): void {
  into.raw(new ByteWriter(next.length + 16).u8(messageVersion).text(next).varint(count).finish());
  for (const part of parts) into.raw(part);
}

/** A page of one actor's edges. */
function actorPage(
  method: 'GetFollows' | 'GetFollowers' | 'GetActorLikes' | 'GetActorReposts' | 'GetBlocks' | 'GetVerificationsIssued',
  write: ActorPageWriter,
): ReadRow {
  const pages = edgePages[method];
  return writtenMessage(method, (into, { lookup }, page) =>
    write(into, lookup.stateOf(page.actorDid), page.actorDid, pages, page),
  );
}

/** A page of the edges that point at one record. */
function subjectPage(
  method: 'GetLikesBySubject' | 'GetLikesBySubjectSorted' | 'GetRepostsBySubject' | 'GetQuotesBySubjectSorted',
): ReadRow {
  const pages = edgePages[method];
  return writtenMessage(method, (into, { lookup }, page) => {
    const ref = subjectRef(page.subject);
    if (ref !== undefined) writeEdgeUrisOfSubject(into, lookup.stateOf(ref.did), ref, pages, page);
  });
}

/** The URIs of an actor's records that point at given records. */
function actorAndRecords(method: keyof typeof recordEdges): ReadRow {
  const edges = recordEdges[method];
  return sliced(readCall(method), (into, context, request) => writeEdgesToRecords(into, context, edges, request));
}

const actorFollowsActors = sliced('bsky.GetActorFollowsActors', function* (into, { lookup, turn }, bytes) {
  const { actorDid: did, targetDids } = decodeMessage('GetActorFollowsActorsRequest', bytes);
  const { uris } = fieldNumber.GetActorFollowsActorsResponse;
  const actor = { state: lookup.stateOf(did), did };
  const found = yield* urisOfEdges(actor, 'follow', targetDids.map(actorSubject), turn);
  for (const uri of found) into.textField(uris, uri);
});

/** A `slot.<name>` call, whose answer begins with the version of the messages. */
function probes(
  call: string,
  open: (request: Buffer) => ByteReader,
  write: (into: MessageWriter, cache: EdgeCache, reader: ByteReader, turn: Turn) => SlicedRead<void>,
): ReadRow {
  return sliced(call, function* (into, { edges, turn }, request) {
    into.varint(messageVersion);
    yield* write(into, edges, open(request), turn);
  });
}

export const graphReads: readonly ReadRow[] = [
  actorPage('GetFollows', writeFollows),
  actorPage('GetFollowers', writeFollowers),
  actorPage('GetActorLikes', writeActorLikes),
  actorPage('GetActorReposts', writeOwnEdgeUris),
  actorPage('GetBlocks', writeOwnEdgeUris),
  actorPage('GetVerificationsIssued', writeVerificationsIssued),
  writtenMessage('GetVerificationsReceived', (into, { lookup }, page) => {
    const { subjectDid } = page;
    const pages = edgePages.GetVerificationsReceived;
    writeVerificationsReceived(into, lookup.stateOf(subjectDid), subjectDid, pages, page);
  }),
  subjectPage('GetLikesBySubject'),
  subjectPage('GetLikesBySubjectSorted'),
  subjectPage('GetRepostsBySubject'),
  subjectPage('GetQuotesBySubjectSorted'),
  actorAndRecords('GetLikesByActorAndSubjects'),
  actorAndRecords('GetRepostsByActorAndSubjects'),
  actorFollowsActors,
  sliced(nodeCalls.recentLikers, function* (into, { lookup, turn }, request) {
    into.varint(messageVersion);
    yield* writeRecentLikers(into, lookup, decodeTexts(request), turn);
  }),
  probes(nodeCalls.probeEdges, openProbes, writeProbed),
  probes(nodeCalls.listed, openListProbes, writeListed),
  probes(nodeCalls.followersAmong, openFollowersAmong, writeFollowersAmong),
  writtenBytes(nodeCalls.followsOf, writeFollowsOf),
];
