/** The bytes of `slot.probeEdges`, `slot.followersAmong` and `slot.recentLikers`: DIDs as bytes. */
import { allProbeBits } from '../atproto/edge-kind.ts';
import type { ByteReader } from '../base/bytes.ts';
import { writeVarint } from '../base/varint.ts';
import { copyBytes } from '../proto/fields.ts';
import { fieldNumber } from '../proto/generated/bsky-service.ts';
import { wireType } from '../proto/message-decoder.ts';
import { messageVersion, openMessage } from './message.ts';
import { nodeCalls } from './node-calls.ts';

/**
 * Asks which edges from owner to subject exist, of the kinds whose bits of `probeBit` are set.
 *
 * Owner and subject are indexes in a list of DIDs. Owners belong to the called node; subjects need
 * not.
 */
export type EdgeProbe = { readonly owner: number; readonly kinds: number; readonly subject: number };

/** DIDs within `source`: the one with index `i` is `starts[i]..ends[i]`. */
export type DidRanges = {
  readonly source: Buffer;
  readonly starts: readonly number[];
  readonly ends: readonly number[];
};

/** Units: bytes of a varint below 2^35. */
const varintBytesMax = 5;

/** Writes a ProbeEdgesRequest. Probes hold indexes in `listed`, which holds indexes in `dids`. */
export function encodeProbes(dids: DidRanges, listed: readonly number[], probes: readonly EdgeProbe[]): Buffer {
  const { source, starts, ends } = dids;
  let bytesMax = 1 + 2 * varintBytesMax + probes.length * (2 * varintBytesMax + 1);
  for (const index of listed) bytesMax += varintBytesMax + ends[index]! - starts[index]!;
  const into = Buffer.allocUnsafe(bytesMax);
  into[0] = messageVersion;
  let at = writeVarint(into, 1, listed.length);
  for (const index of listed) {
    const [start, end] = [starts[index]!, ends[index]!];
    at = copyBytes(into, writeVarint(into, at, end - start), source, start, end);
  }
  at = writeVarint(into, at, probes.length);
  for (const { owner, kinds, subject } of probes) {
    at = writeVarint(into, at, owner);
    into[at++] = kinds;
    at = writeVarint(into, at, subject);
  }
  return into.subarray(0, at);
}

/** Reads the next probe of a request that lists `didCount` DIDs. */
export function readProbe(reader: ByteReader, didCount: number): EdgeProbe {
  const owner = reader.varint();
  const kinds = reader.u8();
  const subject = reader.varint();
  if (owner >= didCount || subject >= didCount) reader.fail('a probe names a DID that is not listed');
  if (kinds === 0 || kinds > allProbeBits) reader.fail(`kinds ${kinds} are unknown`);
  return { owner, kinds, subject };
}

/** Opens a ProbeEdgesRequest: a list of length-delimited DIDs, then a list of probes. */
export function openProbes(bytes: Uint8Array): ByteReader {
  return openMessage(bytes, nodeCalls.probeEdges);
}

/**
 * Opens the answer to probes: length-delimited rkeys, empty without an edge.
 *
 * Each probe has one for each of its kinds, from the lowest bit up.
 */
export function openProbesAnswer(bytes: Uint8Array): ByteReader {
  return openMessage(bytes, nodeCalls.probeEdges);
}

/**
 * Opens a FollowersAmongRequest: which of the candidates follow each of the subjects?
 *
 * Both are lists of length-delimited texts, subjects first. Candidates belong to the called node.
 */
export function openFollowersAmong(bytes: Uint8Array): ByteReader {
  return openMessage(bytes, nodeCalls.followersAmong);
}

/** Writes a FollowersAmongRequest. Subjects and candidates are length-delimited texts. */
export function encodeRawFollowersAmong(
  subjects: Buffer,
  subjectCount: number,
  candidates: Buffer,
  candidateCount: number,
): Buffer {
  const into = Buffer.allocUnsafe(1 + 2 * varintBytesMax + subjects.length + candidates.length);
  into[0] = messageVersion;
  let at = writeVarint(into, 1, subjectCount);
  at = copyBytes(into, at, subjects, 0, subjects.length);
  at = writeVarint(into, at, candidateCount);
  return into.subarray(0, copyBytes(into, at, candidates, 0, candidates.length));
}

/** Precedes each DID of a FollowersAmongAnswer, so that a router copies whole runs of fields. */
export const followerTag = fieldNumber.FollowsFollowing.dids * 8 + wireType.lengthDelimited;

/** Opens a FollowersAmongAnswer: for each subject a length-delimited run of `dids` fields. */
export function openFollowersAmongAnswer(bytes: Uint8Array): ByteReader {
  return openMessage(bytes, nodeCalls.followersAmong);
}

/**
 * Opens a RecentLikersAnswer: for each record a length-delimited run of length-delimited DIDs, of
 * those who liked it last, newest first.
 */
export function openRecentLikersAnswer(bytes: Uint8Array): ByteReader {
  return openMessage(bytes, nodeCalls.recentLikers);
}
