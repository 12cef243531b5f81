/**
 * Decodes one message of `com.atproto.sync.subscribeRepos`.
 *
 * Owns: the shapes of its events, their limits and the reasons for refusal. Untrusted bytes never
 * cause an exception.
 */
import { Cid } from './cid.ts';
import { type CommitOps, decodeCommitOps } from './commit-ops.ts';
import { isKeyableDid } from './compact-key.ts';
import { DagCborReader, type DagCborReason } from './dag-cbor.ts';
import { ByteString, type DagMap } from './dag-value.ts';
import { inputLimits } from './input-limits.ts';
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
  | `frame-${DagCborReason}`;

/** `seq` is what could be read of a refused message, so that the cursor passes it. */
export type FirehoseDecoded =
  | { readonly ok: true; readonly value: FirehoseEvent }
  | { readonly ok: false; readonly reason: FirehoseReason; readonly seq: number | null };

const { messageNameLengthMax, messageTextLengthMax } = inputLimits;

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

/** Returns a text for people or for counters, cut to its length; '' without one. */
function shownText(body: DagMap, field: string, lengthMax: number): string {
  const value = body[field];
  if (typeof value !== 'string') return '';
  // A part of a string would keep all of it in memory.
  return value.length <= lengthMax ? value : Buffer.from(value.slice(0, lengthMax)).toString();
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
      return {
        kind: 'info',
        seq: null,
        name: shownText(body, 'name', messageNameLengthMax),
        message: shownText(body, 'message', messageTextLengthMax),
      };
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
    return {
      kind: 'error',
      seq: null,
      error: shownText(body, 'error', messageNameLengthMax),
      message: shownText(body, 'message', messageTextLengthMax),
    };
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
  if (message.length > inputLimits.messageBytesMax) return { ok: false, reason: 'frame-too-large', seq: null };
  const body: DagMap = {};
  try {
    return {
      ok: true,
      value: decodeFrame(new DagCborReader(message, 0, message.length, 'any', inputLimits.messageItemsMax), body),
    };
  } catch (thrown) {
    if (thrown instanceof MessageFault) return { ok: false, reason: thrown.reason, seq: seqOf(body) };
    throw thrown;
  }
}
