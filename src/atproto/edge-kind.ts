/**
 * The kinds of edges, the ways in which a record points at an actor or at another record: one row
 * each, from which all other facts derive.
 *
 * A new kind needs a row here and, where it does more than its row says, an apply rule. Also owns
 * the bytes of an edge's subject.
 */
import type { ByteReader, ByteWriter } from '../base/bytes.ts';
import { invariant } from '../base/invariant.ts';
import { type Collection, nsid } from './collection.ts';
import { type RecordRef, readDid, readRecordRef, writeDid, writeRecordRef } from './compact-key.ts';
import type { NoticeReason } from './notice-reason.ts';

/** Bookmarks are private data, no records: this names them in references to what made an edge. */
export const bookmarkCollection = 'app.bsky.bookmark.defs';

type EdgeRow = {
  readonly kind: string;
  /** One byte in keys and entries. Part of the stored format: append only, never reuse. */
  readonly code: number;
  readonly collection: Collection | typeof bookmarkCollection;
  /** True where a record is only this edge; posts have edges in addition to their text. */
  readonly isWholeRecord: boolean;
  /** `both`: an actor in a list. */
  readonly subject: 'actor' | 'record' | 'both';
  /** False where the subject's slot does not use the edge. */
  readonly sendsEffect: boolean;
  /** How the subject's slot orders them: by time for pages, or by maker for looking one up. */
  readonly incomingOrder: 'time' | 'maker';
  /** False where the oldest duplicate does not replace the one edge when that is removed. */
  readonly promotesDuplicate: boolean;
  /** The counts that it increments: of its maker, of its subject actor, of its subject record. */
  readonly makerCount: string | null;
  readonly actorCount: string | null;
  readonly recordCount: string | null;
  /** Why the subject's owner is notified, and the author of the repost that led to it. */
  readonly reason: NoticeReason | null;
  readonly viaReason: NoticeReason | null;
  /** The bit of a probe, for singly read edges between actors. Serving threads cache it. */
  readonly probeBit: number | null;
  /** Index of the plain form, for records whose text derives from their edge. Two stored bits. */
  readonly plainForm: number | null;
};

/** The defaults of a row. */
const usual = {
  isWholeRecord: true,
  sendsEffect: true,
  incomingOrder: 'time',
  promotesDuplicate: true,
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
  // A reply's notifications are sent by its thread, whose index knows the ancestors.
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
  {
    ...usual,
    kind: 'list-block',
    code: 8,
    collection: nsid.listBlock,
    subject: 'record',
    sendsEffect: false,
    makerCount: 'listBlocks',
  },
  { ...usual, kind: 'verification', code: 9, collection: nsid.verification, subject: 'actor', reason: 'verified' },
  {
    ...usual,
    kind: 'list-opt-out',
    code: 10,
    collection: nsid.listOptOut,
    subject: 'record',
    incomingOrder: 'maker',
    promotesDuplicate: false,
  },
  {
    ...usual,
    kind: 'bookmark',
    code: 11,
    collection: bookmarkCollection,
    subject: 'record',
    isWholeRecord: false,
    recordCount: 'bookmarks',
  },
  // Its notification sorts by another time, so the profile sends that apart.
  { ...usual, kind: 'join', code: 12, collection: nsid.profile, subject: 'record', isWholeRecord: false },
] as const satisfies readonly EdgeRow[];

export type Edge = (typeof rows)[number];

export type EdgeKind = Edge['kind'];

/** A kind of edge between actors that can be probed. */
export type ProbedEdgeKind = Extract<Edge, { readonly probeBit: number }>['kind'];

export const edgeByKind = Object.fromEntries(rows.map((row) => [row.kind, row])) as Readonly<Record<EdgeKind, Edge>>;

/** The rows of collections whose records are only edges. */
export const edgeByCollection: ReadonlyMap<string, Edge> = new Map(
  rows.filter((row) => row.isWholeRecord).map((row) => [row.collection, row]),
);

/** Rows of kinds that can be probed, lowest bit first. */
export const probedEdges = rows.filter((row) => row.probeBit !== null);

export const probeBit = Object.fromEntries(probedEdges.map((row) => [row.kind, row.probeBit])) as Readonly<
  Record<ProbedEdgeKind, number>
>;

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

export const kindByPlainForm = byNumber('plainForm');

/** Returns the edge kind of a code, or undefined for an unassigned code. */
export function edgeOfCode(code: number): EdgeKind | undefined {
  return kindByCode[code];
}

/** An actor, a record, or, for a list item, an actor in a list. */
export type EdgeSubject = { readonly did: string; readonly ref: RecordRef | null };

/** Writes a subject: the record, the actor, or, for a list item, the list and then the actor. */
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
