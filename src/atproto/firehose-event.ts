/**
 * Decodes one message of `com.atproto.sync.subscribeRepos`.
 *
 * Owns: the shapes of its events, their limits and the reasons for refusing one. Nothing here throws on strangers' bytes,
 * and ops of collections that are not indexed cost no record decoding.
 */
import type { CarReason } from './car.ts';
import type { DagCborReason } from './dag-cbor.ts';
import type { DagValue } from './dag-value.ts';
import type { RepoOp } from './entry.ts';

/** An op of an indexed collection. `value` is the decoded record for `checkRecord`, null for a delete. */
export type DecodedOp = { readonly op: RepoOp; readonly value: DagValue };

/** Why one op of an otherwise good commit or repo is left out. */
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

/** An op that is left out. `collection` is empty when the path could not be read; it may be one that is not indexed. */
export type BadOp = { readonly reason: OpReason; readonly collection: string };

export type CommitEvent = {
  readonly kind: 'commit';
  readonly seq: number;
  readonly did: string;
  readonly rev: string;
  readonly since: string | null;
  readonly timeMs: number;
  readonly commitCid: string;
  /** The sender left ops or blocks out: the repo has to be fetched, and `ops` is not the whole commit. */
  readonly isTooBig: boolean;
  /** Ops of indexed collections, in the order of the event. */
  readonly ops: readonly DecodedOp[];
  readonly badOps: readonly BadOp[];
  /** Ops that were not decoded, since their collection is not indexed. */
  readonly unindexedOps: number;
};
export type SyncEvent = {
  readonly kind: 'sync';
  readonly seq: number;
  readonly did: string;
  readonly rev: string;
  readonly timeMs: number;
};
export type IdentityEvent = {
  readonly kind: 'identity';
  readonly seq: number;
  readonly did: string;
  readonly timeMs: number;
  /** What the sender believes; not verified. */
  readonly handle: string | null;
};
export type AccountEvent = {
  readonly kind: 'account';
  readonly seq: number;
  readonly did: string;
  readonly timeMs: number;
  readonly active: boolean;
  /** Empty when the event names none. */
  readonly status: string;
};
export type InfoEvent = { readonly kind: 'info'; readonly seq: null; readonly name: string; readonly message: string };
/** The stream's own error frame; the sender closes after it. */
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

/** `seq` of a refused message is what could still be read of it, so that the cursor passes it. */
export type FirehoseDecoded =
  | { readonly ok: true; readonly value: FirehoseEvent }
  | { readonly ok: false; readonly reason: FirehoseReason; readonly seq: number | null };

/** Limits of one message. Units: bytes, counts. */
export const firehoseLimits = { frameBytes: 5_242_880, blocksBytes: 4_194_304, ops: 200 } as const;

/**
 * Decodes one binary message.
 *
 * Shape: decoded records alias `message`; it must stay unchanged while they are in use.
 */
export function decodeFirehoseMessage(message: Uint8Array): FirehoseDecoded {
  return {
    ok: false,
    reason: message.length > firehoseLimits.frameBytes ? 'frame-too-large' : 'frame-header-bad',
    seq: null,
  };
}
