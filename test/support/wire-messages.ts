/**
 * The sides of binary messages that only tests need: writing a node's answers and reading a
 * router's requests, as texts.
 */

import { type RecordRef, writeRecordRef } from '../../src/atproto/compact-key.ts';
import { ByteWriter } from '../../src/base/bytes.ts';
import { writeEntryTime } from '../../src/base/time-bytes.ts';
import { encodeMessage } from '../../src/proto/codec.ts';
import { lengthDelimitedField } from '../../src/proto/fields.ts';
import { fieldNumber } from '../../src/proto/generated/bsky-service.ts';
import {
  type EdgeProbe,
  encodeProbes,
  encodeRawFollowersAmong,
  followerTag,
  openFollowersAmong,
  openFollowersAmongAnswer,
  openProbes,
  openProbesAnswer,
  type RawLists,
  readProbe,
} from '../../src/wire/edge-messages.ts';
import {
  beginNewestByAuthors,
  type FeedItem,
  type FeedRange,
  feedItemAt,
  openNewestByAuthors,
  openNewestByAuthorsAnswer,
  type TimelineAnswer,
  writeTimelineFollows,
} from '../../src/wire/feed-messages.ts';
import { openFollowsOfAnswer } from '../../src/wire/follows-messages.ts';
import { beginMessage, messageVersion, writeTexts } from '../../src/wire/message.ts';

export type ProbeEdgesRequest = { readonly dids: readonly string[]; readonly probes: readonly EdgeProbe[] };

export function encodeProbeEdges({ dids, probes }: ProbeEdgesRequest): Buffer {
  const texts = dids.map((did) => Buffer.from(did));
  const ends: number[] = [];
  for (const text of texts) ends.push((ends.at(-1) ?? 0) + text.length);
  const starts = ends.map((end, index) => end - texts[index]!.length);
  return encodeProbes({ source: Buffer.concat(texts), starts, ends }, [...dids.keys()], probes);
}

export function decodeProbeEdges(bytes: Uint8Array): ProbeEdgesRequest {
  const reader = openProbes(bytes);
  const dids = reader.texts();
  const probes = Array.from({ length: reader.count() }, () => {
    const probe = { owner: 0, kinds: 0, subject: 0 };
    readProbe(reader, dids.length, probe);
    return probe;
  });
  reader.end();
  return { dids, probes };
}

/** What a probe found: the rkey of an edge by its bit. */
export type FoundEdges = { readonly probe: number; readonly rkeys: Readonly<Record<number, string>> };

/** Shape: probes ascend, and each found something. */
export function encodeProbesAnswer(found: readonly FoundEdges[]): Buffer {
  const into = new ByteWriter().u8(messageVersion);
  let last = -1;
  for (const { probe, rkeys } of found) {
    into.varint(probe - last);
    last = probe;
    const bits = Object.keys(rkeys).map(Number);
    into.u8(bits.reduce((kinds, bit) => kinds | bit, 0));
    for (const bit of bits) into.text(rkeys[bit]!);
  }
  return into.varint(0).finish();
}

export function decodeProbesAnswer(bytes: Uint8Array): FoundEdges[] {
  const reader = openProbesAnswer(bytes);
  const found: FoundEdges[] = [];
  let probe = -1;
  for (let step = reader.varint(); step > 0; step = reader.varint()) {
    probe += step;
    const kinds = reader.u8();
    const rkeys: Record<number, string> = {};
    for (let bit = 1; bit <= kinds; bit *= 2) if ((kinds & bit) !== 0) rkeys[bit] = reader.text();
    found.push({ probe, rkeys });
  }
  reader.end();
  return found;
}

/** Asks which of `candidates` (of the called node) follow each of `subjects` (of any node). */
export type FollowersAmongRequest = { readonly subjects: readonly string[]; readonly candidates: readonly string[] };

function lengthDelimitedTexts(texts: readonly string[]): Buffer {
  const into = new ByteWriter();
  for (const text of texts) into.text(text);
  return into.finish();
}

export function encodeFollowersAmong({ subjects, candidates }: FollowersAmongRequest): Buffer {
  return encodeRawFollowersAmong(
    lengthDelimitedTexts(subjects),
    subjects.length,
    lengthDelimitedTexts(candidates),
    candidates.length,
  );
}

export function decodeFollowersAmong(bytes: Uint8Array): FollowersAmongRequest {
  const reader = openFollowersAmong(bytes);
  const request = { subjects: reader.texts(), candidates: reader.texts() };
  reader.end();
  return request;
}

/** For each subject the candidates that follow it, in the order asked. */
export type FollowersAmongAnswer = readonly (readonly string[])[];

export function encodeFollowersAmongAnswer(answer: FollowersAmongAnswer): Buffer {
  const into = new ByteWriter().u8(messageVersion);
  const run = new ByteWriter();
  for (const dids of answer) {
    for (const did of dids) run.u8(followerTag).text(did);
    into.lengthDelimited(run.finish());
  }
  return into.finish();
}

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
function writeFeed(into: ByteWriter, items: readonly FeedItem[]): void {
  into.varint(items.length);
  for (const { sortMs } of items) writeEntryTime(into, sortMs);
  for (const { itemUri, postUri } of items) {
    const repost = itemUri === postUri ? '' : itemUri;
    into.bytes(
      lengthDelimitedField(
        fieldNumber.GetTimelineResponse.items,
        encodeMessage('TimelineFeedItem', { uri: postUri, repost }),
      ),
    );
  }
}

export function encodeNewestByAuthors({ authors, ...range }: NewestByAuthorsRequest): Buffer {
  const into = new ByteWriter();
  beginNewestByAuthors(into, range, authors.length);
  for (const author of authors) into.text(author);
  return into.finish();
}

export function decodeNewestByAuthors(bytes: Uint8Array): NewestByAuthorsRequest {
  const { before, limit, count, reader } = openNewestByAuthors(bytes);
  const authors = Array.from({ length: count }, () => reader.text());
  reader.end();
  return { before, limit, authors };
}

/** Writes the answer; fewer than `limit` items mean that there are no more. */
export function encodeNewestByAuthorsAnswer(items: readonly FeedItem[]): Buffer {
  const into = new ByteWriter().u8(messageVersion);
  writeFeed(into, items);
  return into.finish();
}

/** Reads the answer to a NewestByAuthorsRequest. */
export function decodeNewestByAuthorsAnswer(bytes: Uint8Array): FeedItem[] {
  const feed = openNewestByAuthorsAnswer(bytes);
  return Array.from({ length: feed.count }, (_unused, index) => feedItemAt(feed, index));
}

export function encodeTimelineAnswer(answer: TimelineAnswer<readonly FeedItem[]>): Buffer {
  const into = new ByteWriter().u8(messageVersion);
  writeFeed(into, answer.own);
  writeFeed(into, answer.followed);
  writeTimelineFollows(into, answer);
  return into.finish();
}

/** Asks for the newest feed items of `authors`, who all belong to the called node. */
export type NewestByAuthorsRequest = FeedRange & { readonly authors: readonly string[] };

/** The DIDs of one page of follows; `next` is '' on the last. */
export type FollowsOfAnswer = { readonly dids: readonly string[]; readonly next: string };

export function encodeFollowsOfAnswer({ dids, next }: FollowsOfAnswer): Buffer {
  return writeTexts(beginMessage().text(next), dids).finish();
}

export function decodeFollowsOfAnswer(bytes: Uint8Array): FollowsOfAnswer {
  const { next, count, reader } = openFollowsOfAnswer(bytes);
  const dids = Array.from({ length: count }, () => reader.text());
  reader.end();
  return { dids, next };
}

/** Returns the reference of a record, in the bytes of keys. */
export function keyBytesOf(ref: RecordRef): Buffer {
  const writer = new ByteWriter(256);
  writeRecordRef(writer, ref);
  return writer.finish();
}

/** Returns lists, each in the bytes of keys, as a ListedRequest holds them. */
export function rawLists(lists: readonly Buffer[]): RawLists {
  const writer = new ByteWriter();
  for (const list of lists) writer.lengthDelimited(list);
  return { count: lists.length, bytes: writer.finish() };
}
