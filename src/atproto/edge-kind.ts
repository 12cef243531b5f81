/**
 * The kinds of edges, which are the ways in which a record points at an actor or at another record:
 * one row each, from which all else about them is derived.
 *
 * A new kind is a row here and, where it does more than its row says, an apply rule. Also owns the
 * bytes of what an edge points at.
 */
import type { ByteReader, ByteWriter } from '../base/bytes.ts';
import { invariant } from '../base/invariant.ts';
import { type Collection, nsid } from './collection.ts';
import { type RecordRef, readDid, readRecordRef, writeDid, writeRecordRef } from './compact-key.ts';
import type { NoticeReason } from './notice-reason.ts';

/** What there is to know of one kind. */
type EdgeRow = {
  readonly kind: string;
  /** One byte in keys and entries. Part of the stored format: append only, never reuse. */
  readonly code: number;
  readonly collection: Collection;
  /** True where a record is this edge and nothing else; posts have edges beside their text. */
  readonly isWholeRecord: boolean;
  /** What it points at. `both`: an actor within a list. */
  readonly subject: 'actor' | 'record' | 'both';
  /** False where the subject's slot has no use for the edge. */
  readonly sendsEffect: boolean;
  /**
   * The count of its maker that it adds to; of the actor that it points at; of the record that it
   * points at.
   */
  readonly makerCount: string | null;
  readonly actorCount: string | null;
  readonly recordCount: string | null;
  /** Why the subject's owner is notified, and the author of the repost through which it came. */
  readonly reason: NoticeReason | null;
  readonly viaReason: NoticeReason | null;
  /**
   * The bit of a probe, for edges between actors that are asked for one by one; serving threads
   * cache those.
   */
  readonly probeBit: number | null;
  /**
   * Index of the plain form, for records whose whole text follows from their edge. Two bits of the
   * stored format.
   */
  readonly plainForm: number | null;
};

/** What holds of a kind whose row says nothing else. */
const usual = {
  isWholeRecord: true,
  sendsEffect: true,
  makerCount: null,
  actorCount: null,
  recordCount: null,
  reason: null,
  viaReason: null,
  probeBit: null,
  plainForm: null,
} as const;

const rows = [
  {
    ...usual,
    kind: 'follow',
    code: 1,
    collection: nsid.follow,
    subject: 'actor',
    makerCount: 'follows',
    actorCount: 'followers',
    reason: 'follow',
    probeBit: 1,
    plainForm: 0,
  },
  {
    ...usual,
    kind: 'like',
    code: 2,
    collection: nsid.like,
    subject: 'record',
    makerCount: 'likes',
    recordCount: 'likes',
    reason: 'like',
    viaReason: 'like-via-repost',
    plainForm: 1,
  },
  {
    ...usual,
    kind: 'repost',
    code: 3,
    collection: nsid.repost,
    subject: 'record',
    makerCount: 'reposts',
    recordCount: 'reposts',
    reason: 'repost',
    viaReason: 'repost-via-repost',
    plainForm: 2,
  },
  {
    ...usual,
    kind: 'quote',
    code: 4,
    collection: nsid.post,
    subject: 'record',
    isWholeRecord: false,
    recordCount: 'quotes',
    reason: 'quote',
  },
  // A reply's notices are sent by its thread, whose index knows the ancestors.
  {
    ...usual,
    kind: 'reply',
    code: 5,
    collection: nsid.post,
    subject: 'record',
    isWholeRecord: false,
    recordCount: 'replies',
  },
  {
    ...usual,
    kind: 'block',
    code: 6,
    collection: nsid.block,
    subject: 'actor',
    makerCount: 'blocks',
    probeBit: 2,
    plainForm: 3,
  },
  { ...usual, kind: 'list-item', code: 7, collection: nsid.listItem, subject: 'both' },
  { ...usual, kind: 'list-block', code: 8, collection: nsid.listBlock, subject: 'record', sendsEffect: false },
  { ...usual, kind: 'verification', code: 9, collection: nsid.verification, subject: 'actor', reason: 'verified' },
] as const satisfies readonly EdgeRow[];

/** One row of the table. */
export type Edge = (typeof rows)[number];

/** The kind of an edge. */
export type EdgeKind = Edge['kind'];

/** A kind of edge between actors that can be probed. */
export type ProbedEdgeKind = Extract<Edge, { readonly probeBit: number }>['kind'];

/** The rows by kind. */
export const edgeByKind = Object.fromEntries(rows.map((row) => [row.kind, row])) as Readonly<Record<EdgeKind, Edge>>;

/** The rows of collections whose records are edges and nothing else. */
export const edgeByCollection: ReadonlyMap<string, Edge> = new Map(
  rows.filter((row) => row.isWholeRecord).map((row) => [row.collection, row]),
);

/** The rows of kinds that can be probed, from the lowest bit up. */
export const probedEdges = rows.filter((row) => row.probeBit !== null);

/** The bits of a probe by kind. */
export const probeBit = Object.fromEntries(probedEdges.map((row) => [row.kind, row.probeBit])) as Readonly<
  Record<ProbedEdgeKind, number>
>;

/** All bits of a probe. */
export const allProbeBits = probedEdges.reduce((bits, row) => bits | row.probeBit, 0);

function byNumber(column: 'code' | 'plainForm'): readonly (EdgeKind | undefined)[] {
  const table: (EdgeKind | undefined)[] = [];
  for (const row of rows) {
    const number = row[column];
    if (number === null) continue;
    invariant(table[number] === undefined, `each kind of edge has a ${column} of its own`);
    table[number] = row.kind;
  }
  return table;
}

const kindByCode = byNumber('code');

/** The kinds that have a plain form, by its index. */
export const kindByPlainForm = byNumber('plainForm');

/** Returns the edge kind of a code, or undefined for a code that was never given out. */
export function edgeOfCode(code: number): EdgeKind | undefined {
  return kindByCode[code];
}

/** What an edge points at: an actor, a record, or, for a list item, an actor within a list. */
export type EdgeSubject = { readonly did: string; readonly ref: RecordRef | null };

/**
 * Writes a subject: the record, the actor, or, for a list item, first the list and then the actor.
 */
export function writeSubject(writer: ByteWriter, kind: EdgeKind, subject: EdgeSubject): void {
  if (subject.ref !== null) writeRecordRef(writer, subject.ref);
  if (edgeByKind[kind].subject !== 'record') writeDid(writer, subject.did);
}

/** Reads what `writeSubject` wrote. */
export function readSubject(reader: ByteReader, kind: EdgeKind): EdgeSubject {
  const { subject } = edgeByKind[kind];
  const ref = subject === 'actor' ? null : readRecordRef(reader);
  return { ref, did: subject === 'record' ? ref!.did : readDid(reader) };
}
