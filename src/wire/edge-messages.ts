/** The bytes of `slot.probeEdges`, `slot.followersAmong` and `slot.recentLikers`: DIDs as bytes. */
import { allProbeBits as edgeBits } from '../atproto/edge-kind.ts';
import { type ByteReader, ByteWriter } from '../base/bytes.ts';
import { writeVarint } from '../base/varint.ts';
import { copyBytes } from '../proto/fields.ts';
import { fieldNumber } from '../proto/generated/bsky-service.ts';
import { wireType } from '../proto/message-decoder.ts';
import { messageVersion, openMessage } from './message.ts';
import { nodeCalls } from './node-calls.ts';

/**
 * What a probe asks besides edges: whether the owner mutes the subject, and to which lists of
 * blocked or muted actors the owner subscribes, whoever the subject is.
 */
export const privateBit = { mute: 4, listBlocks: 8, listMutes: 16 } as const;

/** The bits whose probes have a value each; those of lists are answered once for an owner. */
export const valueBits = edgeBits | privateBit.mute;
const subscriptionBits = privateBit.listBlocks | privateBit.listMutes;
const allBits = valueBits | subscriptionBits;

/** The one byte by which a mute is answered. */
export const muteFlag = { muted: 1, onlyReposts: 2, onlyQuoteposts: 4 } as const;

/**
 * Asks which edges from owner to subject exist, of the kinds whose bits of `probeBit` are set, and
 * what the bits of `privateBit` say.
 *
 * Owner and subject are indexes in a list of DIDs. Owners belong to the called node; subjects need
 * not.
 */
export type EdgeProbe = { owner: number; kinds: number; subject: number };

/** DIDs within `source`: the one with index `i` is `starts[i]..ends[i]`. */
export type DidRanges = {
  readonly source: Buffer;
  readonly starts: readonly number[];
  readonly ends: readonly number[];
};

/** Units: bytes of a varint below 2^35. */
const varintBytesMax = 5;

/** Writes a ProbeEdgesRequest. Probes hold indexes in `listed`, which holds indexes in `dids`. */
export function encodeProbes(
  dids: DidRanges,
  listed: readonly number[],
  probes: readonly Readonly<EdgeProbe>[],
): Buffer {
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

/** Reads the next probe of a request that lists `didCount` DIDs into an object that is reused. */
export function readProbe(reader: ByteReader, didCount: number, into: EdgeProbe): void {
  into.owner = reader.varint();
  into.kinds = reader.u8();
  into.subject = reader.varint();
  if (into.owner >= didCount || into.subject >= didCount) reader.fail('a probe names a DID that is not listed');
  if (into.kinds === 0 || into.kinds > allBits) reader.fail(`kinds ${into.kinds} are unknown`);
}

/** Opens a ProbeEdgesRequest: a list of length-delimited DIDs, then a list of probes. */
export function openProbes(bytes: Uint8Array): ByteReader {
  return openMessage(bytes, nodeCalls.probeEdges);
}

/**
 * Opens the answer to probes, of which most find nothing and are left out.
 *
 * Each other one is a varint, by how much its index is above that of the one before (the first,
 * -1); a byte of the `valueBits` that it found; and a length-delimited value for each bit, from the
 * lowest up: the rkey of an edge, the flags of a mute. A 0 ends them. Subscriptions to lists follow
 * up to the end; `readSubscriptions` reads them.
 */
export function openProbesAnswer(bytes: Uint8Array): ByteReader {
  return openMessage(bytes, nodeCalls.probeEdges);
}

/** `count` length-delimited references of lists, in the bytes of keys, which a router copies. */
export type RawLists = { readonly count: number; readonly bytes: Buffer };

/** The lists to which one actor subscribes. */
export type Subscriptions = {
  /** The indexes of the actor in the list of DIDs, which may name it more than once. */
  readonly owners: readonly number[];
  /** One of `subscriptionBits`. */
  readonly bit: number;
  readonly lists: RawLists;
};

function readLists(reader: ByteReader): RawLists {
  const count = reader.count();
  const start = reader.position;
  for (let left = count; left > 0; left--) reader.lengthDelimitedRange();
  return { count, bytes: reader.buffer.subarray(start, reader.position) };
}

/** Reads all subscriptions at the end of an answer; only actors that have some are there. */
export function readSubscriptions(reader: ByteReader): Subscriptions[] {
  const all: Subscriptions[] = [];
  while (reader.position < reader.buffer.length) {
    const bit = reader.u8();
    if (bit !== privateBit.listBlocks && bit !== privateBit.listMutes)
      reader.fail(`subscriptions of unknown bit ${bit}`);
    const owners = Array.from({ length: reader.count() }, () => reader.varint());
    all.push({ bit, owners, lists: readLists(reader) });
  }
  return all;
}

/** Writes the subscriptions of one actor. */
export function writeSubscriptions(into: ByteWriter, { bit, owners, lists }: Subscriptions): void {
  into.u8(bit).varint(owners.length);
  for (const owner of owners) into.varint(owner);
  into.varint(lists.count).bytes(lists.bytes);
}

/** Asks whether the actor with index `subject` is on one of the lists with index `lists`. */
export type ListProbe = { readonly subject: number; readonly lists: number };

/** Writes a ListedRequest. `listed` holds indexes in `dids`; subjects belong to the called node. */
export function encodeListProbes(
  { source, starts, ends }: DidRanges,
  listed: readonly number[],
  lists: readonly RawLists[],
  probes: readonly ListProbe[],
): Buffer {
  const into = new ByteWriter(4096).u8(messageVersion).varint(listed.length);
  for (const index of listed) into.lengthDelimited(source.subarray(starts[index], ends[index]));
  into.varint(lists.length);
  for (const { count, bytes } of lists) into.varint(count).bytes(bytes);
  into.varint(probes.length);
  for (const probe of probes) into.varint(probe.subject).varint(probe.lists);
  return into.finish();
}

/** Opens a ListedRequest: DIDs, lists of lists, then pairs of indexes. */
export function openListProbes(bytes: Uint8Array): ByteReader {
  return openMessage(bytes, nodeCalls.listed);
}

/**
 * Opens a ListedAnswer. Probes that found nothing are left out; each other one is a varint, by how
 * much its index is above that of the one before (the first, -1), and the index of the list that
 * the subject is on. A 0 ends them.
 */
export function openListedAnswer(bytes: Uint8Array): ByteReader {
  return openMessage(bytes, nodeCalls.listed);
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
