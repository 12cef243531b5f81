/**
 * Records whose whole meaning is an edge, and their rendering from it.
 *
 * Owns: which collections these are, what each points at, and the exact JSON text of the plain form. A record whose text is
 * not exactly that keeps its text.
 */
import { hash } from 'node:crypto';
import { type RecordRef, recordUri } from '../../atproto/compact-key.ts';
import type { EdgeKind } from '../../atproto/edge-kind.ts';
import { ByteWriter } from '../../base/bytes.ts';
import type { ActorCountName } from './actor-counts.ts';
import type { EdgeSubject } from './edge-subject.ts';
import { type JsonObject, objectOf, refOf, textOf } from './record-values.ts';

/** What follows from a record of one edge collection. */
export type EdgeRule = {
  readonly kind: EdgeKind;
  /** False where the subject's slot has no use for the edge. */
  readonly sendsEffect: boolean;
  readonly count: ActorCountName | null;
  /** Reason of the notification to the author of the repost through which this came, or null. */
  readonly viaReason: string | null;
};

/** The rule of each collection whose records are edges; other collections have none. */
export const edgeRuleByCollection: ReadonlyMap<string, EdgeRule> = new Map<string, EdgeRule>([
  ['app.bsky.graph.follow', { kind: 'follow', sendsEffect: true, count: 'follows', viaReason: null }],
  ['app.bsky.feed.like', { kind: 'like', sendsEffect: true, count: 'likes', viaReason: 'like-via-repost' }],
  ['app.bsky.feed.repost', { kind: 'repost', sendsEffect: true, count: 'reposts', viaReason: 'repost-via-repost' }],
  ['app.bsky.graph.block', { kind: 'block', sendsEffect: true, count: 'blocks', viaReason: null }],
  ['app.bsky.graph.listitem', { kind: 'list-item', sendsEffect: true, count: null, viaReason: null }],
  ['app.bsky.graph.listblock', { kind: 'list-block', sendsEffect: false, count: null, viaReason: null }],
  ['app.bsky.graph.verification', { kind: 'verification', sendsEffect: true, count: null, viaReason: null }],
]);

function isDid(value: unknown): value is string {
  return typeof value === 'string' && value.startsWith('did:') && value.length <= 256;
}

/** Returns what a record of `rule` points at, or undefined when that cannot be keyed; it is then kept without an edge. */
export function subjectOf(rule: EdgeRule, value: JsonObject): EdgeSubject | undefined {
  const subject = value['subject'];
  if (rule.kind === 'like' || rule.kind === 'repost' || rule.kind === 'list-block') {
    const ref = refOf(subject);
    return ref === undefined ? undefined : { did: ref.did, ref };
  }
  if (!isDid(subject)) return undefined;
  if (rule.kind !== 'list-item') return { did: subject, ref: null };
  const list = refOf(value['list']);
  return list === undefined ? undefined : { did: subject, ref: list };
}

/** Returns the cid of the strong reference of a like or repost, or '' where the subject is an actor. */
export function subjectCidOf(value: JsonObject): string {
  return textOf(objectOf(value['subject'])?.['cid']) ?? '';
}

/** Returns the repost through which a like or repost came. */
export function viaOf(value: JsonObject): RecordRef | undefined {
  return refOf(value['via']);
}

/** Kinds that have a plain form. */
const plainCollectionByKind: Partial<Record<EdgeKind, string>> = {
  follow: 'app.bsky.graph.follow',
  like: 'app.bsky.feed.like',
  repost: 'app.bsky.feed.repost',
  block: 'app.bsky.graph.block',
};

/** All that a record in its plain form says, but for its createdAt. `subjectCid` is empty where the subject is an actor. */
export type PlainEdge = { readonly kind: EdgeKind; readonly subject: EdgeSubject; readonly subjectCid: string };

function isoTime(timeMs: number): string | undefined {
  return Math.abs(timeMs) > 8.64e15 ? undefined : new Date(timeMs).toISOString();
}

/** Returns the text of the plain form, keys in the order of canonical DAG-CBOR, or undefined for a kind without one. */
export function renderEdgeRecord({ kind, subject, subjectCid }: PlainEdge, createdMs: number): string | undefined {
  const collection = plainCollectionByKind[kind];
  const createdAt = isoTime(createdMs);
  if (collection === undefined || createdAt === undefined) return undefined;
  const target =
    subject.ref === null ? `"${subject.did}"` : `{"cid":"${subjectCid}","uri":"${recordUri(subject.ref)}"}`;
  return `{"$type":"${collection}","subject":${target},"createdAt":"${createdAt}"}`;
}

const blockWriter = new ByteWriter(512);

/** Writes the DAG-CBOR of a text; these are short. */
function writeText(text: string): void {
  const bytes = Buffer.byteLength(text);
  if (bytes < 24) blockWriter.u8(0x60 | bytes);
  else if (bytes < 256) blockWriter.u8(0x78).u8(bytes);
  else blockWriter.u8(0x79).u16(bytes);
  if (bytes === text.length) blockWriter.ascii(text);
  else blockWriter.bytes(Buffer.from(text, 'utf8'));
}

/** Returns the SHA-256 of the plain form's block, or undefined for a kind without one. */
export function plainDigest({ kind, subject, subjectCid }: PlainEdge, createdMs: number): Buffer | undefined {
  const collection = plainCollectionByKind[kind];
  const createdAt = isoTime(createdMs);
  if (collection === undefined || createdAt === undefined) return undefined;
  blockWriter.clear().u8(0xa3);
  writeText('$type');
  writeText(collection);
  writeText('subject');
  if (subject.ref === null) writeText(subject.did);
  else {
    blockWriter.u8(0xa2);
    writeText('cid');
    writeText(subjectCid);
    writeText('uri');
    writeText(recordUri(subject.ref));
  }
  writeText('createdAt');
  writeText(createdAt);
  return hash('sha256', blockWriter.finish(), 'buffer');
}
