/**
 * Decodes one message of `com.atproto.sync.subscribeRepos`.
 *
 * Owns: the shapes of its events, their limits and the reasons for refusal. Untrusted bytes never
 * cause an exception.
 */
import { Cid } from './cid.ts';
import { type CommitOps, decodeCommitOps } from './commit-ops.ts';
import { isKeyableDid } from './compact-key.ts';
import { ByteString, type DagMap } from './dag-value.ts';
import {
  decodeStreamMessage,
  refuseMessage,
  requiredSeq,
  type StreamDecoded,
  type StreamNotice,
  type StreamReason,
  textOf,
} from './stream-frame.ts';
import { isDatetime } from './string-format.ts';
import { isTid } from './tid.ts';

export type CommitEvent = CommitOps & {
  readonly kind: 'commit';
  readonly seq: number;
  readonly did: string;
  readonly rev: string;
  readonly since: string | null;
  readonly eventMs: number;
  readonly commitCid: string;
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

/** What happens to an account or its repo. */
export type AccountsEvent = CommitEvent | SyncEvent | IdentityEvent | AccountEvent;
export type FirehoseEvent = AccountsEvent | StreamNotice;

/** Why a whole message is refused. */
export type FirehoseReason = StreamReason | 'time-bad' | 'did-bad' | 'rev-bad';

export type FirehoseDecoded = StreamDecoded<AccountsEvent, FirehoseReason>;

function refuse(reason: FirehoseReason): never {
  return refuseMessage(reason);
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

function decodeCommit(body: DagMap): CommitEvent {
  const seq = requiredSeq(body);
  const did = didOf(body, 'repo');
  const { ops: rawOps, blocks: rawBlocks, commit } = body;
  if (!Array.isArray(rawOps) || !(rawBlocks instanceof ByteString) || !(commit instanceof Cid)) refuse('field-bad');
  return {
    kind: 'commit',
    seq,
    did,
    rev: revOf(body),
    since: sinceOf(body),
    eventMs: timeOf(body),
    commitCid: commit.text,
    ...decodeCommitOps(rawOps, rawBlocks.bytes, body['tooBig'] === true),
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

function decodeBody(type: string, body: DagMap): AccountsEvent | null {
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
    default:
      return null;
  }
}

/**
 * Decodes one binary message.
 *
 * Shape: decoded records alias `message`, which must not change while they are in use.
 */
export function decodeFirehoseMessage(message: Uint8Array): FirehoseDecoded {
  return decodeStreamMessage(message, decodeBody);
}
