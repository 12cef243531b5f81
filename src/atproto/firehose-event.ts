/**
 * Decodes one message of `com.atproto.sync.subscribeRepos`.
 *
 * Owns: the shapes of its events, their limits and the reasons for refusal. Untrusted bytes never
 * cause an exception, and ops of collections that are not indexed cost no record decoding.
 */

import { isValidRecordKey } from '@atproto/syntax';
import { type CarBlocks, type CarLimits, type CarReason, readCar } from './car.ts';
import { Cid } from './cid.ts';
import { collectionCode } from './collection.ts';
import { isKeyableDid } from './compact-key.ts';
import { DagCborReader, type DagCborReason, decodeDagCbor } from './dag-cbor.ts';
import { ByteString, type DagMap, type DagValue, isDagMap } from './dag-value.ts';
import { deleteOp, type RepoOp } from './repo-op.ts';
import { isDatetime } from './string-format.ts';
import { isTid } from './tid.ts';

/** An op of an indexed collection. `value` is its record for `checkRecord`, null for a delete. */
export type DecodedOp = { readonly op: RepoOp; readonly value: DagValue };

/** Why one op of an otherwise valid commit or repo is dropped. */
export type OpReason =
  | 'op-malformed'
  | 'op-path-bad'
  | 'op-action-unknown'
  | 'op-cid-missing'
  | 'op-block-missing'
  | 'op-block-hash-wrong'
  | 'record-too-large'
  | 'record-not-an-object'
  | `record-${DagCborReason}`;

/** A dropped op. `collection` is empty when the path is unreadable, and may have no index. */
export type BadOp = { readonly reason: OpReason; readonly collection: string };

export type CommitEvent = {
  readonly kind: 'commit';
  readonly seq: number;
  readonly did: string;
  readonly rev: string;
  readonly since: string | null;
  readonly eventMs: number;
  readonly commitCid: string;
  /** The sender left out ops or blocks: the repo must be fetched, since `ops` is incomplete. */
  readonly isTooBig: boolean;
  /** Ops of indexed collections, in event order. */
  readonly ops: readonly DecodedOp[];
  readonly badOps: readonly BadOp[];
  /** Ops that were not decoded, since their collection is not indexed. */
  readonly unindexedOps: number;
};
/** The repo is now at `rev`, whatever came before; its content must be fetched. */
export type SyncEvent = {
  readonly kind: 'sync';
  readonly seq: number;
  readonly did: string;
  readonly rev: string;
  readonly eventMs: number;
};
/** The DID document or the handle may have changed; both must be resolved again. */
export type IdentityEvent = {
  readonly kind: 'identity';
  readonly seq: number;
  readonly did: string;
  readonly eventMs: number;
  /** As the sender believes; not verified. */
  readonly handle: string | null;
};
export type AccountEvent = {
  readonly kind: 'account';
  readonly seq: number;
  readonly did: string;
  readonly eventMs: number;
  readonly active: boolean;
  /** Empty when the event has none. */
  readonly status: string;
};
/** A notice about the stream itself, such as a cursor older than what it retains. */
export type InfoEvent = { readonly kind: 'info'; readonly seq: null; readonly name: string; readonly message: string };
/** The stream's own error frame; the sender then closes. */
export type ErrorEvent = {
  readonly kind: 'error';
  readonly seq: null;
  readonly error: string;
  readonly message: string;
};
/** A message type of a newer protocol. */
export type UnknownEvent = { readonly kind: 'unknown'; readonly seq: number | null; readonly type: string };

export type FirehoseEvent =
  | CommitEvent
  | SyncEvent
  | IdentityEvent
  | AccountEvent
  | InfoEvent
  | ErrorEvent
  | UnknownEvent;

/** Why a whole message is refused. */
export type FirehoseReason =
  | 'frame-too-large'
  | 'frame-header-bad'
  | 'frame-op-unknown'
  | 'field-bad'
  | 'time-bad'
  | 'did-bad'
  | 'rev-bad'
  | 'too-many-ops'
  | 'blocks-too-large'
  | `frame-${DagCborReason}`
  | CarReason;

/** `seq` is what could be read of a refused message, so that the cursor passes it. */
export type FirehoseDecoded =
  | { readonly ok: true; readonly value: FirehoseEvent }
  | { readonly ok: false; readonly reason: FirehoseReason; readonly seq: number | null };

/** Units: bytes, counts. Source: the lexicon of subscribeRepos for blocks and ops. */
export const firehoseLimits = {
  frameBytes: 5_242_880,
  blocksBytes: 2_000_000,
  blocks: 10_000,
  ops: 200,
  recordBytes: 1_048_576,
} as const;

const carLimits: CarLimits = {
  bytes: firehoseLimits.blocksBytes,
  blockBytes: firehoseLimits.blocksBytes,
  blocks: firehoseLimits.blocks,
};

/** Carries a reason for refusing the whole message up to the function that returns it. */
class MessageFault {
  readonly reason: FirehoseReason;

  constructor(reason: FirehoseReason) {
    this.reason = reason;
  }
}

function refuse(reason: FirehoseReason): never {
  throw new MessageFault(reason);
}

/** Reads a seq, or null without one. */
function seqOf(body: DagMap): number | null {
  const { seq } = body;
  return typeof seq === 'number' && Number.isSafeInteger(seq) && seq >= 0 ? seq : null;
}

function requiredSeq(body: DagMap): number {
  return seqOf(body) ?? refuse('field-bad');
}

function textOf(body: DagMap, field: string): string {
  const value = body[field];
  return typeof value === 'string' ? value : refuse('field-bad');
}

function didOf(body: DagMap, field: string): string {
  const did = textOf(body, field);
  return isKeyableDid(did) ? did : refuse('did-bad');
}

function timeOf(body: DagMap): number {
  const time = textOf(body, 'time');
  return isDatetime(time) ? Date.parse(time) : refuse('time-bad');
}

function revOf(body: DagMap): string {
  const rev = textOf(body, 'rev');
  return isTid(rev) ? rev : refuse('rev-bad');
}

function sinceOf(body: DagMap): string | null {
  const since = body['since'];
  if (since === null || since === undefined) return null;
  return typeof since === 'string' && isTid(since) ? since : refuse('rev-bad');
}

/** Finds and decodes a record's block for an op. Shared by commits and whole repos. */
export function decodeRecord(
  blocks: CarBlocks,
  cid: Cid,
): { readonly reason: OpReason } | { readonly value: DagMap; readonly block: Uint8Array } {
  const block = blocks.find(cid);
  if (block < 0) return { reason: 'op-block-missing' };
  const start = blocks.startOf(block);
  const end = blocks.endOf(block);
  if (end - start > firehoseLimits.recordBytes) return { reason: 'record-too-large' };
  if (!blocks.isIntact(block)) return { reason: 'op-block-hash-wrong' };
  const bytes = blocks.source.subarray(start, end);
  const read = decodeDagCbor(bytes);
  if (!read.ok) return { reason: `record-${read.reason}` };
  return isDagMap(read.value) ? { value: read.value, block: bytes } : { reason: 'record-not-an-object' };
}

/** The ops of one commit as they are sorted. */
type OpLists = { readonly ops: DecodedOp[]; readonly badOps: BadOp[]; unindexedOps: number };

function decodeOp(raw: DagValue, blocks: CarBlocks | null, lists: OpLists): void {
  if (!isDagMap(raw)) return void lists.badOps.push({ reason: 'op-malformed', collection: '' });
  const { path, action } = raw;
  const slash = typeof path === 'string' ? path.indexOf('/') : -1;
  if (typeof path !== 'string' || slash <= 0) return void lists.badOps.push({ reason: 'op-path-bad', collection: '' });
  const collection = path.slice(0, slash);
  if (collectionCode(collection) === undefined) {
    lists.unindexedOps++;
    return;
  }
  const rkey = path.slice(slash + 1);
  if (!isValidRecordKey(rkey)) return void lists.badOps.push({ reason: 'op-path-bad', collection });
  if (action === 'delete') {
    lists.ops.push({ op: deleteOp(collection, rkey), value: null });
    return;
  }
  if (action !== 'create' && action !== 'update') {
    return void lists.badOps.push({ reason: 'op-action-unknown', collection });
  }
  const { cid } = raw;
  if (!(cid instanceof Cid)) return void lists.badOps.push({ reason: 'op-cid-missing', collection });
  const record = blocks === null ? { reason: 'op-block-missing' as const } : decodeRecord(blocks, cid);
  if ('reason' in record) return void lists.badOps.push({ reason: record.reason, collection });
  lists.ops.push({ op: { action, collection, rkey, cid: cid.bytes, block: record.block }, value: record.value });
}

/** True when an op needs a block: commits without indexed records skip reading the CAR. */
function needsBlocks(ops: readonly DagValue[]): boolean {
  for (const op of ops) {
    if (!isDagMap(op) || op['action'] === 'delete') continue;
    const { path } = op;
    if (typeof path === 'string' && collectionCode(path.slice(0, path.indexOf('/'))) !== undefined) return true;
  }
  return false;
}

function decodeCommit(body: DagMap): CommitEvent {
  const seq = requiredSeq(body);
  const did = didOf(body, 'repo');
  const { ops: rawOps, blocks: rawBlocks, commit } = body;
  if (!Array.isArray(rawOps) || !(rawBlocks instanceof ByteString) || !(commit instanceof Cid)) refuse('field-bad');
  if (rawOps.length > firehoseLimits.ops) refuse('too-many-ops');
  if (rawBlocks.bytes.length > firehoseLimits.blocksBytes) refuse('blocks-too-large');
  const isTooBig = body['tooBig'] === true;
  let blocks: CarBlocks | null = null;
  if (!isTooBig && needsBlocks(rawOps)) {
    const car = readCar(rawBlocks.bytes, carLimits);
    blocks = car.ok ? car.value : refuse(car.reason);
  }
  const lists: OpLists = { ops: [], badOps: [], unindexedOps: 0 };
  // A commit that is too big must be fetched whole, so its partial content is ignored.
  if (!isTooBig) for (const raw of rawOps) decodeOp(raw, blocks, lists);
  return {
    kind: 'commit',
    seq,
    did,
    rev: revOf(body),
    since: sinceOf(body),
    eventMs: timeOf(body),
    commitCid: commit.text,
    isTooBig,
    ...lists,
  };
}

function decodeAccount(body: DagMap): AccountEvent {
  const { active, status } = body;
  if (typeof active !== 'boolean') refuse('field-bad');
  if (status !== undefined && typeof status !== 'string') refuse('field-bad');
  return {
    kind: 'account',
    seq: requiredSeq(body),
    did: didOf(body, 'did'),
    eventMs: timeOf(body),
    active,
    status: status ?? '',
  };
}

function decodeIdentity(body: DagMap): IdentityEvent {
  const { handle } = body;
  return {
    kind: 'identity',
    seq: requiredSeq(body),
    did: didOf(body, 'did'),
    eventMs: timeOf(body),
    handle: typeof handle === 'string' ? handle : null,
  };
}

function optionalText(body: DagMap, field: string): string {
  const value = body[field];
  return typeof value === 'string' ? value : '';
}

function decodeBody(type: string, body: DagMap): FirehoseEvent {
  switch (type) {
    case '#commit':
      return decodeCommit(body);
    case '#sync':
      return {
        kind: 'sync',
        seq: requiredSeq(body),
        did: didOf(body, 'did'),
        rev: revOf(body),
        eventMs: timeOf(body),
      };
    case '#identity':
      return decodeIdentity(body);
    case '#account':
      return decodeAccount(body);
    case '#info':
      return { kind: 'info', seq: null, name: optionalText(body, 'name'), message: optionalText(body, 'message') };
    default:
      return { kind: 'unknown', seq: seqOf(body), type };
  }
}

function decodeFrame(reader: DagCborReader, body: DagMap): FirehoseEvent {
  const header: DagMap = {};
  if (reader.nextMapInto(header) !== undefined) refuse('frame-header-bad');
  const fault = reader.nextMapInto(body);
  if (fault !== undefined) refuse(`frame-${fault}`);
  if (!reader.isAtEnd) refuse('frame-trailing-bytes');
  const { op, t: type } = header;
  if (op === -1) {
    return { kind: 'error', seq: null, error: optionalText(body, 'error'), message: optionalText(body, 'message') };
  }
  if (op !== 1) refuse('frame-op-unknown');
  return typeof type === 'string' ? decodeBody(type, body) : refuse('frame-header-bad');
}

/**
 * Decodes one binary message.
 *
 * Shape: decoded records alias `message`, which must not change while they are in use.
 */
export function decodeFirehoseMessage(message: Uint8Array): FirehoseDecoded {
  if (message.length > firehoseLimits.frameBytes) return { ok: false, reason: 'frame-too-large', seq: null };
  const body: DagMap = {};
  try {
    return { ok: true, value: decodeFrame(new DagCborReader(message, 0, message.length, 'any'), body) };
  } catch (thrown) {
    if (thrown instanceof MessageFault) return { ok: false, reason: thrown.reason, seq: seqOf(body) };
    throw thrown;
  }
}
