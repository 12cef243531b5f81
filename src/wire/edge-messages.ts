/**
 * The bytes of `slot.probeEdges` and `slot.followersAmong`, the two calls about edges between many
 * actors.
 *
 * Routers and nodes write and read them without making strings of the DIDs.
 */
import { allProbeBits } from '../atproto/edge-kind.ts';
import type { ByteReader } from '../base/bytes.ts';
import { writeVarint } from '../base/varint.ts';
import { copyBytes } from '../proto/fields.ts';
import { fieldNumber } from '../proto/generated/bsky-service.ts';
import { wireType } from '../proto/message-decoder.ts';
import { messageVersion, openMessage } from './message.ts';
import { nodeCalls } from './node-calls.ts';

/**
 * Asks for outgoing edges: which does the owner's slot hold, of these kinds, to the subject?
 * `kinds` are bits of `probeBit`.
 *
 * Owner and subject are indexes of a list of DIDs. Every owner belongs to the called node; subjects
 * need not.
 */
export type EdgeProbe = { readonly owner: number; readonly kinds: number; readonly subject: number };

/** DIDs that are bytes of `source`: the one with index `i` is `starts[i]..ends[i]`. */
export type DidRanges = {
  readonly source: Buffer;
  readonly starts: readonly number[];
  readonly ends: readonly number[];
};

/** Units: bytes that a varint below 2^35 takes at most. */
const varintBytesMax = 5;

/**
 * Writes a ProbeEdgesRequest. The probes name DIDs by their index in `listed`, which holds indexes
 * of `dids`.
 */
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

/** Reads the probe that comes next. `didCount` is how many DIDs are listed. */
export function readProbe(reader: ByteReader, didCount: number): EdgeProbe {
  const owner = reader.varint();
  const kinds = reader.u8();
  const subject = reader.varint();
  if (owner >= didCount || subject >= didCount) reader.fail('a probe names a DID that is not listed');
  if (kinds === 0 || kinds > allProbeBits) reader.fail(`kinds ${kinds} are unknown`);
  return { owner, kinds, subject };
}

/** Begins to read a ProbeEdgesRequest: a list of length-delimited DIDs, then a list of probes. */
export function openProbes(bytes: Uint8Array): ByteReader {
  return openMessage(bytes, nodeCalls.probeEdges);
}

/**
 * Begins to read the answer to probes: length-delimited rkeys, empty for no edge.
 *
 * Each probe has one for each of its kinds, from the lowest bit up.
 */
export function openProbesAnswer(bytes: Uint8Array): ByteReader {
  return openMessage(bytes, nodeCalls.probeEdges);
}

/**
 * Begins to read a FollowersAmongRequest: which of `candidates` (of the called node) follow each of
 * `subjects` (of any)?
 *
 * Both are lists of length-delimited texts, the subjects first.
 */
export function openFollowersAmong(bytes: Uint8Array): ByteReader {
  return openMessage(bytes, nodeCalls.followersAmong);
}

/**
 * Writes a FollowersAmongRequest. Subjects are given as a list of length-delimited texts, and
 * candidates likewise.
 */
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

/**
 * The byte before each DID of a FollowersAmongAnswer: the tag of `FollowsFollowing.dids`, so that a
 * router copies whole runs.
 */
export const followerTag = fieldNumber.FollowsFollowing.dids * 8 + wireType.lengthDelimited;

/**
 * Begins to read a FollowersAmongAnswer: for each subject a length-delimited run of tagged and
 * length-delimited DIDs.
 */
export function openFollowersAmongAnswer(bytes: Uint8Array): ByteReader {
  return openMessage(bytes, nodeCalls.followersAmong);
}
