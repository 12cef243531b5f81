/**
 * Which records of an actor point at given records: whether it likes or reposts them.
 *
 * An actor points at few of the records that it is asked about, so the hashes of all at which it
 * does are cached with the records, for an actor that has so few that they are soon read again
 * after each new like.
 */
import { recordUri } from '../../atproto/compact-key.ts';
import { edgeByKind } from '../../atproto/edge-kind.ts';
import { FieldScanner } from '../../proto/fields.ts';
import { fieldNumber } from '../../proto/generated/bsky-service.ts';
import type { MessageWriter } from '../../proto/message-writer.ts';
import { getActorCount } from '../../slot/table/actor-counts.ts';
import {
  edgeBySubjectPrefix,
  findEdgeToRecord,
  hashOfRecord,
  recordHashBytes,
  recordHashes,
} from '../../slot/table/edge-by-subject.ts';
import type { SlotState } from '../../slot/table/slot-state.ts';
import type { RecordCache } from '../cache/record-cache.ts';
import { refOf } from '../lookup/row-finder.ts';
import { requireWhole } from '../lookup/slot-lookup.ts';
import { microsPerLook, type SlicedRead, type Turn } from '../lookup/turn.ts';
import type { RecordReads } from './records.ts';

/** The methods, all with the field numbers of one of them. */
export const recordEdges = {
  GetLikesByActorAndSubjects: { kind: 'like', count: 'likes' },
  GetRepostsByActorAndSubjects: { kind: 'repost', count: 'reposts' },
} as const;

type RecordEdges = (typeof recordEdges)[keyof typeof recordEdges];

const { actorDid, refs } = fieldNumber.GetLikesByActorAndSubjectsRequest;
const { uris } = fieldNumber.GetLikesByActorAndSubjectsResponse;
const { uri: uriField } = fieldNumber.RecordRef;

/** Hashes of an actor's edges that are cached; reading these takes some hundred microseconds. */
const hashesMax = 512;
/** About what a record takes that no edge points at: by its hash, and by a look into storage. */
const micros = { hash: 1, row: 2 } as const;

/** Where the sorted hashes of an actor's edges are. */
type Hashes = { readonly source: Buffer; readonly start: number; readonly end: number };

/** Returns an actor's hashes, valid until the cache is next used; undefined to look in storage. */
function hashesOf(cache: RecordCache, state: SlotState, owner: number, edges: RecordEdges): Hashes | undefined {
  const prefix = edgeBySubjectPrefix(owner, edges.kind);
  const hit = cache.get(state, prefix);
  if (hit !== undefined) return hit;
  if (!cache.shouldAdmit || getActorCount(state, owner, edges.count) > hashesMax) return undefined;
  const source = recordHashes(state, owner, edges.kind, hashesMax);
  if (source === undefined) return undefined;
  const message = { source, start: 0, end: source.length, jsonStart: 0, jsonEnd: 0, postFlags: 0 };
  return cache.set(state, prefix, message) ?? message;
}

/** True if the sorted hashes contain one. */
function hasHash({ source, start, end }: Hashes, hash: number): boolean {
  let low = 0;
  let high = (end - start) / recordHashBytes;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const at = start + middle * recordHashBytes;
    const found = ((source[at]! << 24) | (source[at + 1]! << 16) | (source[at + 2]! << 8) | source[at + 3]!) >>> 0;
    if (found === hash) return true;
    if (found < hash) low = middle + 1;
    else high = middle;
  }
  return false;
}

/** Records being answered: the scanner is at the last one that was. */
type Asking = {
  readonly into: MessageWriter;
  readonly edges: RecordEdges;
  readonly state: SlotState;
  /** Undefined for an unknown actor. */
  readonly owner: number | undefined;
  readonly did: string;
  readonly scanner: FieldScanner;
  readonly inner: FieldScanner;
  isLacking: boolean;
};

/** Answers records until the turn is over. Returns true at the end. Hot: no generator. */
function answerSome(asking: Asking, cache: RecordCache, source: Buffer, turn: Turn): boolean {
  const { into, edges, state, owner, scanner, inner } = asking;
  const hashes = owner === undefined ? undefined : hashesOf(cache, state, owner, edges);
  while (scanner.nextOf(refs)) {
    inner.reset(source, scanner.start, scanner.end).lastOf(uriField);
    const ref = owner === undefined ? undefined : refOf(source, inner.start, inner.end);
    const mayBe = ref !== undefined && (hashes === undefined || hasHash(hashes, hashOfRecord(ref)));
    const rkey = mayBe ? findEdgeToRecord(state, owner!, edges.kind, ref) : undefined;
    asking.isLacking ||= rkey === undefined;
    const { collection } = edgeByKind[edges.kind];
    into.textField(uris, rkey === undefined ? '' : recordUri({ did: asking.did, collection, rkey }));
    const lackMicros = mayBe ? micros.row : micros.hash;
    // A hit may be a large record, which is parsed.
    if (turn.isOver(rkey === undefined ? lackMicros : microsPerLook)) return false;
  }
  return true;
}

/** Writes for each record of a request the URI of the actor's record that points at it, or ''. */
export function* writeEdgesToRecords(
  into: MessageWriter,
  { finder, records: { cache }, turn }: RecordReads,
  edges: RecordEdges,
  request: Buffer,
): SlicedRead<void> {
  const scanner = new FieldScanner(request, 'refs');
  scanner.lastOf(actorDid);
  const did = request.utf8Slice(scanner.start, scanner.end);
  const owner = finder.findOwner(request, scanner.start, scanner.end) ? finder.owner : undefined;
  const inner = new FieldScanner(request, 'refs', 0, 0);
  const asking: Asking = { into, edges, state: finder.state, owner, did, scanner, inner, isLacking: false };
  let source = request;
  scanner.reset(source, 0, source.length);
  while (!answerSome(asking, cache, source, turn)) {
    if (source === request) source = Buffer.from(request);
    scanner.reset(source, scanner.end, source.length);
    yield;
  }
  if (asking.isLacking) requireWhole(asking.state);
}
