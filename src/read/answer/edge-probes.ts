/** Single edges: whether an actor points at a subject, and who among many actors does. */

import { didLengthMax, parseRecordUri, recordUri } from '../../atproto/compact-key.ts';
import {
  type EdgeKind,
  type EdgeSubject,
  edgeByKind,
  type ProbedEdgeKind,
  probedEdges,
} from '../../atproto/edge-kind.ts';
import type { ByteReader } from '../../base/bytes.ts';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { copyBytes } from '../../proto/fields.ts';
import type { MessageWriter } from '../../proto/message-writer.ts';
import { appendRkey } from '../../slot/packing/key-text.ts';
import { findEdge } from '../../slot/table/edge-by-subject.ts';
import type { SlotState } from '../../slot/table/slot-state.ts';
import { followerTag, readProbe } from '../../wire/edge-messages.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import type { CachedActor, EdgeCache } from '../cache/edge-cache.ts';
import { DidList } from '../lookup/did-list.ts';
import { ownerOfDid } from '../lookup/slot-lookup.ts';

/** Returns the rkey of the record by which `did` points at an actor, or '' when there is none. */
export function rkeyOfActorEdge(state: SlotState, did: string, kind: EdgeKind, subjectDid: string): string {
  const owner = ownerOfDid(state, did);
  if (owner === undefined || subjectDid.length > didLengthMax) return '';
  return findEdge(state, owner, kind, { did: subjectDid, ref: null }) ?? '';
}

/** The DIDs of the current request. */
const dids = new DidList();

/** Writes the rkey of one edge as a length-delimited text, '' when there is no edge. */
function writeRkeyOf(
  into: MessageWriter,
  cache: EdgeCache,
  actor: CachedActor | undefined,
  kind: ProbedEdgeKind,
  subject: number,
): void {
  const start = into.beginLengthDelimited();
  if (actor !== undefined && cache.subjectsOf(actor, kind)?.has(dids, subject) !== false) {
    const row = cache.rowOf(actor, kind, dids, subject);
    if (row !== undefined) appendRkey(into, row, 0);
  }
  into.end(start, 1);
}

/** Answers the probes at the reader's position with rkeys, as `openProbesAnswer` reads them. */
export function writeProbed(into: MessageWriter, cache: EdgeCache, reader: ByteReader): void {
  const { count, source, starts, ends } = dids.read(reader);
  // null until the actor is looked up, at its first probe.
  const actors = new Array<CachedActor | null | undefined>(count).fill(null);
  for (let left = reader.count(); left > 0; left--) {
    const { owner, kinds, subject } = readProbe(reader, count);
    if (actors[owner] === null) actors[owner] = cache.get(source, starts[owner]!, ends[owner]!);
    for (const { kind, probeBit } of probedEdges) {
      if ((kinds & probeBit) !== 0) writeRkeyOf(into, cache, actors[owner]!, kind, subject);
    }
  }
  reader.end();
}

/** More subjects times candidates are refused. */
const pairsMax = 2_000_000;
/** Scratch for one synchronous call: the start and end of each candidate, with its length. */
let candidateRanges = new Int32Array(4096);

/** Returns for each of `dids` the candidates that follow it, as indexes of `candidateRanges`. */
function findFollowers(cache: EdgeCache, reader: ByteReader, candidateCount: number): number[][] {
  const { buffer } = reader;
  const subjectCount = dids.count;
  const found = Array.from({ length: subjectCount }, (): number[] => []);
  if (candidateRanges.length < 2 * candidateCount) candidateRanges = new Int32Array(4 * candidateCount);
  for (let candidate = 0; candidate < candidateCount; candidate++) {
    candidateRanges[2 * candidate] = reader.position;
    const start = reader.lengthDelimitedRange();
    candidateRanges[2 * candidate + 1] = reader.position;
    const actor = cache.get(buffer, start, reader.position);
    if (actor === undefined) continue;
    const follows = cache.subjectsOf(actor, 'follow');
    for (let subject = 0; subject < subjectCount; subject++) {
      const isFollowed =
        follows === null ? cache.rowOf(actor, 'follow', dids, subject) !== undefined : follows.has(dids, subject);
      if (isFollowed) found[subject]!.push(candidate);
    }
  }
  return found;
}

/**
 * Writes which candidates follow each subject, as `openFollowersAmongAnswer` reads it.
 *
 * Errors: DataPlaneError `ResourceExhausted` for too many pairs.
 */
export function writeFollowersAmong(into: MessageWriter, cache: EdgeCache, reader: ByteReader): void {
  dids.read(reader);
  const candidateCount = reader.count();
  if (dids.count * candidateCount > pairsMax) {
    throw new DataPlaneError('ResourceExhausted', `${nodeCalls.followersAmong}: more than ${pairsMax} pairs`);
  }
  const found = findFollowers(cache, reader, candidateCount);
  reader.end();
  for (const candidates of found) {
    const start = into.beginLengthDelimited();
    for (const candidate of candidates) {
      const [from, end] = [candidateRanges[2 * candidate]!, candidateRanges[2 * candidate + 1]!];
      into.reserve(1 + end - from);
      into.buffer[into.length] = followerTag;
      into.length = copyBytes(into.buffer, into.length + 1, reader.buffer, from, end);
    }
    into.end(start, 1);
  }
}

/** Returns for each subject the URI of the actor's record that points at it, or ''. */
export function urisOfEdges(
  state: SlotState,
  did: string,
  kind: EdgeKind,
  subjects: readonly (EdgeSubject | undefined)[],
): string[] {
  const owner = ownerOfDid(state, did);
  const { collection } = edgeByKind[kind];
  return subjects.map((subject) => {
    const rkey = owner === undefined || subject === undefined ? undefined : findEdge(state, owner, kind, subject);
    return rkey === undefined ? '' : recordUri({ did, collection, rkey });
  });
}

/** Returns an actor as the subject of an edge; undefined for a DID too long to be stored. */
export function actorSubject(did: string): EdgeSubject | undefined {
  return did.length > didLengthMax ? undefined : { did, ref: null };
}

/** Returns a record as the subject of an edge; undefined for a malformed URI. */
export function recordSubject(uri: string): EdgeSubject | undefined {
  const ref = parseRecordUri(uri);
  return ref === undefined ? undefined : { did: ref.did, ref };
}
