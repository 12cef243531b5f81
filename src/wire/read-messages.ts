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
  /** ProbeEdgesRequest → texts: for each probe the rkey of the owner's record of that kind, or '' when there is none. */
  probeEdges: 'slot.probeEdges',
  /** FollowsOfRequest → FollowsOfAnswer. */
  followsOf: 'slot.followsOf',
  /** FollowersAmongRequest → FollowersAmongAnswer. */
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

/** What a probe looks for among the outgoing edges of its owner. Codes 3 to 5 are kept for mutes and list subscriptions. */
export const probeKind = { follow: 1, block: 2 } as const;
/** A code of probeKind. */
export type ProbeKind = (typeof probeKind)[keyof typeof probeKind];

/** Asks for outgoing edges: does the owner's slot hold an edge of this kind to the subject? */
export type EdgeProbe = { readonly owner: number; readonly kind: ProbeKind; readonly subject: number };

/** Owners and subjects are indexes into `dids`. Every owner belongs to the called node; subjects need not. */
export type ProbeEdgesRequest = { readonly dids: readonly string[]; readonly probes: readonly EdgeProbe[] };

/** Writes a ProbeEdgesRequest. */
export function encodeProbeEdges({ dids, probes }: ProbeEdgesRequest): Buffer {
  const into = writeTexts(begin(), dids).varint(probes.length);
  for (const probe of probes) into.varint(probe.owner).u8(probe.kind).varint(probe.subject);
  return into.finish();
}

/** Reads a ProbeEdgesRequest. */
export function decodeProbeEdges(bytes: Uint8Array): ProbeEdgesRequest {
  const reader = openMessage(bytes, slotCalls.probeEdges);
  const dids = reader.texts();
  const count = reader.count();
  const probes: EdgeProbe[] = new Array(count);
  for (let index = 0; index < count; index++) {
    const owner = reader.varint();
    const kind = reader.u8();
    const subject = reader.varint();
    if (owner >= dids.length || subject >= dids.length) reader.fail('a probe names a DID that is not listed');
    if (kind !== probeKind.follow && kind !== probeKind.block) reader.fail(`kind ${kind} is unknown`);
    probes[index] = { owner, kind: kind as ProbeKind, subject };
  }
  reader.end();
  return { dids, probes };
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

/** A FollowsOfAnswer whose DIDs are still bytes: `count` sized texts from `reader.position` on. */
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

/** Asks which of `candidates` (of the called node) follow each of `subjects` (of any node). */
export type FollowersAmongRequest = { readonly subjects: readonly string[]; readonly candidates: readonly string[] };

/** For each subject the indexes, ascending, of the candidates that follow it. */
export type FollowersAmongAnswer = readonly (readonly number[])[];

/** Writes a FollowersAmongRequest. */
export function encodeFollowersAmong({ subjects, candidates }: FollowersAmongRequest): Buffer {
  return writeTexts(writeTexts(begin(), subjects), candidates).finish();
}

/** Begins a FollowersAmongRequest; `candidateCount` sized texts must follow. */
export function beginFollowersAmong(into: ByteWriter, subjects: readonly string[], candidateCount: number): void {
  writeTexts(into.u8(version), subjects).varint(candidateCount);
}

/** A FollowersAmongRequest whose candidates are still bytes: `count` sized texts from `reader.position` on. */
export type RawFollowersAmong = {
  readonly subjects: readonly string[];
  readonly count: number;
  readonly reader: BoundedReader;
};

/** Reads a FollowersAmongRequest up to its candidates. */
export function openFollowersAmong(bytes: Uint8Array): RawFollowersAmong {
  const reader = openMessage(bytes, slotCalls.followersAmong);
  return { subjects: reader.texts(), count: reader.count(), reader };
}

/** Reads a FollowersAmongRequest. */
export function decodeFollowersAmong(bytes: Uint8Array): FollowersAmongRequest {
  const reader = openMessage(bytes, slotCalls.followersAmong);
  const request = { subjects: reader.texts(), candidates: reader.texts() };
  reader.end();
  return request;
}

/** Writes a FollowersAmongAnswer. */
export function encodeFollowersAmongAnswer(answer: FollowersAmongAnswer): Buffer {
  const into = begin().varint(answer.length);
  for (const indexes of answer) {
    into.varint(indexes.length);
    for (const index of indexes) into.varint(index);
  }
  return into.finish();
}

/** Reads a FollowersAmongAnswer. */
export function decodeFollowersAmongAnswer(bytes: Uint8Array): FollowersAmongAnswer {
  const reader = openMessage(bytes, slotCalls.followersAmong);
  const answer = Array.from({ length: reader.count() }, () =>
    Array.from({ length: reader.count() }, () => reader.varint()),
  );
  reader.end();
  return answer;
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
  return begin().text(did).sized(entry).finish();
}

/** Reads a WriteRequest. `entry` aliases the source. */
export function decodeWrite(bytes: Uint8Array): WriteRequest {
  const reader = openMessage(bytes, slotCalls.write);
  const request = { did: reader.text(), entry: reader.sized() };
  reader.end();
  return request;
}
