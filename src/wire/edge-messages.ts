/**
 * The bytes of `slot.probeEdges` and `slot.followersAmong`, the two calls about edges between many actors.
 *
 * Routers and nodes write and read them without making strings of the DIDs; the forms with texts are for all others.
 */
import { ByteWriter } from '../base/bytes.ts';
import { copyBytes, writeVarint } from '../proto/fields.ts';
import type { BoundedReader } from './bounded-reader.ts';
import { messageVersion, openMessage, slotCalls } from './read-messages.ts';

/** What a probe looks for among the outgoing edges of its owner: bits, so that one probe asks for several. The next are kept for mutes. */
export const probeKind = { follow: 1, block: 2 } as const;
const allKinds = probeKind.follow | probeKind.block;

/**
 * Asks for outgoing edges: which does the owner's slot hold, of these kinds, to the subject?
 *
 * Owner and subject are indexes of a list of DIDs. Every owner belongs to the called node; subjects need not.
 */
export type EdgeProbe = { readonly owner: number; readonly kinds: number; readonly subject: number };

/** DIDs that are bytes of `source`: the one with index `i` stands at `starts[i]..ends[i]`. */
export type DidRanges = {
  readonly source: Buffer;
  readonly starts: readonly number[];
  readonly ends: readonly number[];
};

/** Units: bytes that a varint below 2^35 takes at most. */
const varintBytesMax = 5;

/** Writes a ProbeEdgesRequest. `listed` are the indexes in `dids` of those that the probes name by their place in it. */
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
export function readProbe(reader: BoundedReader, didCount: number): EdgeProbe {
  const owner = reader.varint();
  const kinds = reader.u8();
  const subject = reader.varint();
  if (owner >= didCount || subject >= didCount) reader.fail('a probe names a DID that is not listed');
  if (kinds === 0 || kinds > allKinds) reader.fail(`kinds ${kinds} are unknown`);
  return { owner, kinds, subject };
}

/** Begins to read a ProbeEdgesRequest: a list of length-delimited DIDs, then a list of probes. */
export function openProbes(bytes: Uint8Array): BoundedReader {
  return openMessage(bytes, slotCalls.probeEdges);
}

/** A ProbeEdgesRequest with texts. */
export type ProbeEdgesRequest = { readonly dids: readonly string[]; readonly probes: readonly EdgeProbe[] };

/** Writes a ProbeEdgesRequest. */
export function encodeProbeEdges({ dids, probes }: ProbeEdgesRequest): Buffer {
  const texts = dids.map((did) => Buffer.from(did));
  const ends: number[] = [];
  for (const text of texts) ends.push((ends.at(-1) ?? 0) + text.length);
  const starts = ends.map((end, index) => end - texts[index]!.length);
  return encodeProbes({ source: Buffer.concat(texts), starts, ends }, [...dids.keys()], probes);
}

/** Reads a ProbeEdgesRequest. */
export function decodeProbeEdges(bytes: Uint8Array): ProbeEdgesRequest {
  const reader = openProbes(bytes);
  const dids = reader.texts();
  const probes = Array.from({ length: reader.count() }, () => readProbe(reader, dids.length));
  reader.end();
  return { dids, probes };
}

/** Begins to read the answer to probes: a length-delimited rkey for each probe and, from the lowest bit up, each of its kinds; empty for no edge. */
export function openProbesAnswer(bytes: Uint8Array): BoundedReader {
  return openMessage(bytes, slotCalls.probeEdges);
}

/** Writes the answer to probes. */
export function encodeProbesAnswer(rkeys: readonly string[]): Buffer {
  const into = new ByteWriter().u8(messageVersion);
  for (const rkey of rkeys) into.text(rkey);
  return into.finish();
}

/** Reads the answer to probes. */
export function decodeProbesAnswer(bytes: Uint8Array): string[] {
  const reader = openProbesAnswer(bytes);
  const rkeys: string[] = [];
  while (reader.position < reader.buffer.length) rkeys.push(reader.text());
  return rkeys;
}

/** Asks which of `candidates` (of the called node) follow each of `subjects` (of any node). */
export type FollowersAmongRequest = { readonly subjects: readonly string[]; readonly candidates: readonly string[] };

/** Begins to read a FollowersAmongRequest: a list of length-delimited subjects, then a list of length-delimited candidates. */
export function openFollowersAmong(bytes: Uint8Array): BoundedReader {
  return openMessage(bytes, slotCalls.followersAmong);
}

/** Writes a FollowersAmongRequest. Subjects are given as a list of length-delimited texts, and candidates likewise. */
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

function lengthDelimitedTexts(texts: readonly string[]): Buffer {
  const into = new ByteWriter();
  for (const text of texts) into.text(text);
  return into.finish();
}

/** Writes a FollowersAmongRequest. */
export function encodeFollowersAmong({ subjects, candidates }: FollowersAmongRequest): Buffer {
  return encodeRawFollowersAmong(
    lengthDelimitedTexts(subjects),
    subjects.length,
    lengthDelimitedTexts(candidates),
    candidates.length,
  );
}

/** Reads a FollowersAmongRequest. */
export function decodeFollowersAmong(bytes: Uint8Array): FollowersAmongRequest {
  const reader = openFollowersAmong(bytes);
  const request = { subjects: reader.texts(), candidates: reader.texts() };
  reader.end();
  return request;
}

/** What stands before each DID of a FollowersAmongAnswer, so that a router need not look at them: the tag of `FollowsFollowing.dids`. */
export const followerTag = 0x12;

/** For each subject the candidates that follow it, in the order asked. */
export type FollowersAmongAnswer = readonly (readonly string[])[];

/** Begins to read a FollowersAmongAnswer: for each subject a length-delimited run of tagged and length-delimited DIDs. */
export function openFollowersAmongAnswer(bytes: Uint8Array): BoundedReader {
  return openMessage(bytes, slotCalls.followersAmong);
}

/** Writes a FollowersAmongAnswer. */
export function encodeFollowersAmongAnswer(answer: FollowersAmongAnswer): Buffer {
  const into = new ByteWriter().u8(messageVersion);
  const run = new ByteWriter();
  for (const dids of answer) {
    for (const did of dids) run.u8(followerTag).text(did);
    into.lengthDelimited(run.finish());
  }
  return into.finish();
}

/** Reads a FollowersAmongAnswer. */
export function decodeFollowersAmongAnswer(bytes: Uint8Array): FollowersAmongAnswer {
  const reader = openFollowersAmongAnswer(bytes);
  const answer: string[][] = [];
  while (reader.position < reader.buffer.length) {
    const length = reader.varint();
    const end = reader.position + length;
    const dids: string[] = [];
    while (reader.position < end) {
      if (reader.u8() !== followerTag) reader.fail('a follower has another tag');
      dids.push(reader.text());
    }
    if (reader.position !== end) reader.fail('a run ends within a DID');
    answer.push(dids);
  }
  return answer;
}
