/**
 * The `slot.<name>` calls between router and node: what bsky.Service has no method for.
 *
 * Owns: their names, requests, answers and bytes. Each message begins with a version byte. A request holds only keys whose
 * slots the called node serves; the node answers for each of its slots and in the order asked. Where an answer is said to be
 * protobuf, the router passes it on undecoded.
 */
import { ByteWriter } from '../base/bytes.ts';
import { BoundedReader } from './bounded-reader.ts';

/** Method names of the calls. */
export const slotCalls = {
  /** ProbeEdgesRequest → for each probe and each of its kinds the rkey of the owner's record, see edge-messages.ts. */
  probeEdges: 'slot.probeEdges',
  /** FollowsOfRequest → FollowsOfAnswer. */
  followsOf: 'slot.followsOf',
  /** FollowersAmongRequest → FollowersAmongAnswer, see edge-messages.ts. */
  followersAmong: 'slot.followersAmong',
  /** TimelineRequest, to the viewer's node → TimelineAnswer. */
  timeline: 'slot.timeline',
  /** NewestByAuthorsRequest → a list of feed items. */
  newestByAuthors: 'slot.newestByAuthors',
  /** Texts (post URIs) → Texts: the claimed root's URI (its own for a post that is no reply), '' when the post does not exist. */
  postRoots: 'slot.postRoots',
  /** Texts (root URIs) → OpThreadsAnswer. */
  opThreads: 'slot.opThreads',
  /** ThreadRequest, to the node of the root's DID → protobuf GetThreadResponse. */
  thread: 'slot.thread',
  /** Texts with one DID → protobuf GetIdentityByDidResponse, or no bytes when the slot knows no document. */
  identity: 'slot.identity',
  /** No bytes → Texts: DIDs of the node whose repo needs a resync. */
  reposToResync: 'slot.reposToResync',
  /** WriteRequest → no bytes, once the primary has applied the entry. */
  write: 'slot.write',
} as const;

/** Every message begins with it. */
export const messageVersion = 2;
const version = messageVersion;
const writer = new ByteWriter(4096);

function begin(): ByteWriter {
  return writer.clear().u8(version);
}

/** Begins to read a message of another of our processes. Errors: DataPlaneError `Internal` for another version. */
export function openMessage(bytes: Uint8Array, what: string): BoundedReader {
  const reader = new BoundedReader(bytes, what);
  const found = reader.u8();
  if (found !== version) reader.fail(`version ${found} is not ${version}: routers and nodes differ`);
  return reader;
}

function writeTexts(into: ByteWriter, texts: readonly string[]): ByteWriter {
  into.varint(texts.length);
  for (const text of texts) into.text(text);
  return into;
}

/** Writes a plain list of texts. */
export function encodeTexts(texts: readonly string[]): Buffer {
  return writeTexts(begin(), texts).finish();
}

/** Reads a plain list of texts. */
export function decodeTexts(bytes: Uint8Array): string[] {
  const reader = openMessage(bytes, 'texts');
  const texts = reader.texts();
  reader.end();
  return texts;
}

/** One page of whom a DID follows, in an order that means nothing but holds from page to page. `after` is '' or the `next` of the page before. */
export type FollowsOfRequest = { readonly did: string; readonly after: string; readonly limit: number };

/** The DIDs of one such page; `next` is '' on the last. */
export type FollowsOfAnswer = { readonly dids: readonly string[]; readonly next: string };

/** Writes a FollowsOfRequest. */
export function encodeFollowsOf({ did, after, limit }: FollowsOfRequest): Buffer {
  return begin().text(did).text(after).varint(limit).finish();
}

/** Reads a FollowsOfRequest. */
export function decodeFollowsOf(bytes: Uint8Array): FollowsOfRequest {
  const reader = openMessage(bytes, slotCalls.followsOf);
  const request = { did: reader.text(), after: reader.text(), limit: reader.varint() };
  reader.end();
  return request;
}

/** Writes a FollowsOfAnswer. */
export function encodeFollowsOfAnswer({ dids, next }: FollowsOfAnswer): Buffer {
  return writeTexts(begin().text(next), dids).finish();
}

/** A FollowsOfAnswer whose DIDs are still bytes: `count` length-delimited texts from `reader.position` on. */
export type RawFollows = { readonly next: string; readonly count: number; readonly reader: BoundedReader };

/** Reads a FollowsOfAnswer up to its list, which a router splits without making strings. */
export function openFollowsOfAnswer(bytes: Uint8Array): RawFollows {
  const reader = openMessage(bytes, slotCalls.followsOf);
  const next = reader.text();
  return { next, count: reader.count(), reader };
}

/** Reads a FollowsOfAnswer. */
export function decodeFollowsOfAnswer(bytes: Uint8Array): FollowsOfAnswer {
  const { next, count, reader } = openFollowsOfAnswer(bytes);
  const dids = Array.from({ length: count }, () => reader.text());
  reader.end();
  return { dids, next };
}

/** For each asked root the URIs of its OP thread, root first; none when no reply of the author continues it. */
export type OpThreadsAnswer = readonly (readonly string[])[];

/** Writes an OpThreadsAnswer. */
export function encodeOpThreadsAnswer(answer: OpThreadsAnswer): Buffer {
  const into = begin().varint(answer.length);
  for (const uris of answer) writeTexts(into, uris);
  return into.finish();
}

/** Reads an OpThreadsAnswer. */
export function decodeOpThreadsAnswer(bytes: Uint8Array): OpThreadsAnswer {
  const reader = openMessage(bytes, slotCalls.opThreads);
  const answer = Array.from({ length: reader.count() }, () => reader.texts());
  reader.end();
  return answer;
}

/**
 * Asks for a thread around `anchor`, in the slot of the root that it claims.
 *
 * `above` and `below` are how many generations to give beside the anchor. Answer: the anchor and its ancestors nearest first, then
 * descendants newest first, only posts that exist; and the OP thread of the root.
 */
export type ThreadRequest = {
  readonly root: string;
  readonly anchor: string;
  readonly above: number;
  readonly below: number;
};

/** Writes a ThreadRequest. */
export function encodeThread({ root, anchor, above, below }: ThreadRequest): Buffer {
  return begin().text(root).text(anchor).varint(above).varint(below).finish();
}

/** Reads a ThreadRequest. */
export function decodeThread(bytes: Uint8Array): ThreadRequest {
  const reader = openMessage(bytes, slotCalls.thread);
  const request = { root: reader.text(), anchor: reader.text(), above: reader.varint(), below: reader.varint() };
  reader.end();
  return request;
}

/** An entry for the log of the slot of `did`; `entry` is what `encodeEntry` of `atproto/` gives. */
export type WriteRequest = { readonly did: string; readonly entry: Uint8Array };

/** Writes a WriteRequest. */
export function encodeWrite({ did, entry }: WriteRequest): Buffer {
  return begin().text(did).lengthDelimited(entry).finish();
}

/** Reads a WriteRequest. `entry` aliases the source. */
export function decodeWrite(bytes: Uint8Array): WriteRequest {
  const reader = openMessage(bytes, slotCalls.write);
  const request = { did: reader.text(), entry: reader.lengthDelimited() };
  reader.end();
  return request;
}
