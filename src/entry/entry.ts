/**
 * The entries of a slot's log: everything that can change a slot, and nothing else.
 *
 * An entry carries all that apply needs, so that apply uses only the slot's state and the entry.
 * Records travel as the blocks that ingest has checked.
 */
import type { RecordRef } from '../atproto/compact-key.ts';
import type { EdgeKind } from '../atproto/edge-kind.ts';
import type { Label, LabelId } from '../atproto/label.ts';
import type { NoticeReason } from '../atproto/notice-reason.ts';
import type { PrivateKind } from '../atproto/private-namespace.ts';
import type { RepoOp } from '../atproto/repo-op.ts';
import type { GateEffect, Judged } from './gate.ts';
import type { LifecycleEntry } from './lifecycle-entry.ts';
import type { SuggestionChange, SuggestionList } from './suggestion.ts';

/** A repo at a rev. `eventMs` is the event's own time. */
export type RepoEntry<Kind extends string> = {
  readonly kind: Kind;
  readonly did: string;
  readonly rev: string;
  readonly eventMs: number;
};

/** Ops of one entry: what marks leave room for. Ingest sends at most a tenth of that. */
export const opsPerEntryMax = 2_500;

/** One commit, in stream order. `since` is the previous rev, if the event names one. */
export type CommitEntry = RepoEntry<'commit'> & { readonly since: string | null; readonly ops: readonly RepoOp[] };

/** The repo's state was replaced; a slot whose rev is older marks the repo for resync. */
export type SyncEntry = RepoEntry<'sync'>;

/** The outcome of resolving a DID, checked in both directions. */
export type IdentityEntry = {
  readonly kind: 'identity';
  readonly did: string;
  /** Lower-case handle that proves this DID, or null when none does. */
  readonly handle: string | null;
  /**
   * When the handle was verified; decides contention for a handle. 0 when it was not: then `handle`
   * is null and the slot keeps the handle that it has.
   */
  readonly verifiedAtMs: number;
  /** JSON objects by fragment id as GetIdentityBy… returns them; empty when unresolved. */
  readonly keysJson: string;
  readonly servicesJson: string;
  /** The event's time; an event older than the last from the same source is dropped. */
  readonly eventMs: number;
};

/** The state of an account at its host. One older than the last applied is dropped. */
export type AccountEntry = {
  readonly kind: 'account';
  readonly did: string;
  readonly active: boolean;
  /** Empty when active, else deactivated, suspended, takendown, deleted or one that is ignored. */
  readonly status: string;
  readonly eventMs: number;
};

/**
 * A repo's snapshot from getRepo comes as begin, chunks, end. It never touches records of a later
 * rev. A begin with an empty rev cancels the snapshot that is in progress.
 */
export type ResyncBeginEntry = RepoEntry<'resync-begin'>;

/** Some records of the snapshot that the begin of the same rev announced; each op is a `create`. */
export type ResyncChunkEntry = RepoEntry<'resync-chunk'> & { readonly ops: readonly RepoOp[] };

/** The end of a snapshot: records that none of its chunks named are removed. */
export type ResyncEndEntry = RepoEntry<'resync-end'>;

/** A record as another data plane had it. */
export type ImportedRecord = {
  /** A `create`. */
  readonly op: RepoOp;
  readonly indexedMs: number;
  readonly takedownRef: string | null;
  readonly tags: readonly string[];
};

/**
 * Some records of a repo from the database of another data plane, which had it at `rev`, or '' if
 * that is not known. The last one of a repo moves it there. A repo at a later rev takes nothing.
 */
export type ImportedEntry = {
  readonly kind: 'imported';
  readonly did: string;
  readonly rev: string;
  readonly isLast: boolean;
  readonly records: readonly ImportedRecord[];
};

/**
 * What another data plane knew of `did` beside its records. It is applied only where nothing is
 * known, and nothing was removed since the import began.
 */
export type IfAbsentEntry = {
  readonly kind: 'if-absent';
  readonly did: string;
  readonly entry: IdentityEntry | PrivateEntry | LabelEntry;
  /** When a private item or mute was written there; null for what keeps no time. Units: ms. */
  readonly written: { readonly createdMs: number; readonly updatedMs: number } | null;
};

/** A repo that needs a resync cannot be fetched; its next commit asks for it again. */
export type ResyncGivenUpEntry = { readonly kind: 'resync-given-up'; readonly did: string; readonly eventMs: number };

/**
 * What a labeler, or an operator in its name, says of an account or a record of `did`. One older
 * than the last of its identity is dropped.
 */
export type LabelEntry = { readonly kind: 'label'; readonly did: string; readonly label: Label };

/** An operator removes a label as if it had never been. */
export type LabelRemovalEntry = { readonly kind: 'label-removal'; readonly did: string; readonly id: LabelId };

/**
 * A write that arrives by RPC or from bsync; applied before the caller is answered. Instead of a
 * DID it may name another key whose slot it changes.
 */
export type PrivateEntry = { readonly kind: 'private'; readonly did: string; readonly write: PrivateWrite };

/** What a private entry changes. A `ref` of null lifts the takedown. */
export type PrivateWrite =
  | { readonly type: 'actor-takedown'; readonly ref: string | null }
  | {
      readonly type: 'record-takedown';
      readonly collection: string;
      readonly rkey: string;
      readonly ref: string | null;
    }
  | { readonly type: 'blob-takedown'; readonly cid: string; readonly ref: string | null }
  | { readonly type: 'notification-seen'; readonly seenMs: number }
  | { readonly type: 'upstream-status'; readonly status: string }
  | { readonly type: 'suggestions'; readonly list: SuggestionList; readonly changes: readonly SuggestionChange[] }
  | {
      readonly type: 'record-tags';
      readonly collection: string;
      readonly rkey: string;
      readonly tags: readonly string[];
    }
  | { readonly type: 'actor-tags'; readonly tags: readonly string[] }
  | { readonly type: 'age-assurance'; readonly change: AgeAssuranceChange | null }
  /** Muting once more changes only the scope; without one all of the subject is muted. */
  | {
      readonly type: 'mute';
      readonly subject: string;
      readonly onlyReposts: boolean;
      readonly onlyQuoteposts: boolean;
    }
  | { readonly type: 'unmute'; readonly subject: string }
  | { readonly type: 'clear-mutes' }
  /** A subscription to a list whose members are muted. */
  | { readonly type: 'list-mute'; readonly list: RecordRef }
  | { readonly type: 'list-unmute'; readonly list: RecordRef }
  | { readonly type: 'clear-list-mutes' }
  | { readonly type: 'trusted-verifier'; readonly isTrusted: boolean }
  | { readonly type: 'thread-mute'; readonly root: RecordRef }
  | { readonly type: 'thread-unmute'; readonly root: RecordRef }
  | { readonly type: 'clear-thread-mutes' }
  | { readonly type: 'notification-priority'; readonly isPriority: boolean }
  | {
      readonly type: 'private-data';
      readonly method: PrivateMethod;
      readonly namespace: string;
      readonly key: string;
      /** JSON; empty for a delete. */
      readonly payload: string;
    }
  | { readonly type: 'erase'; readonly kind: PrivateKind }
  /** One record without its repo, whose rev stays: an operator's repair. */
  | {
      readonly type: 'record-put';
      readonly collection: string;
      readonly rkey: string;
      /** The 36 bytes of its CID. */
      readonly cid: Uint8Array;
      readonly block: Uint8Array;
    }
  | { readonly type: 'record-delete'; readonly collection: string; readonly rkey: string }
  /** Put again what stored records put elsewhere. */
  | { readonly type: 'reindex' }
  /** An import from another data plane begins or ends; the DID is any key of the slot. */
  | { readonly type: 'import'; readonly runs: boolean };

/** What becomes known about an actor's age; null leaves what was known before. */
export type AgeAssuranceChange = {
  readonly status: string;
  readonly access: string | null;
  readonly countryCode: string | null;
  readonly regionCode: string | null;
  readonly lastInitiatedMs: number | null;
};

/** What is done with one item of private data. The order is part of the stored format. */
export const privateMethods = ['create', 'update', 'delete'] as const;
export type PrivateMethod = (typeof privateMethods)[number];

/** What one slot's apply sends to another slot. Absolute: repeating it changes nothing. */
export type EffectEntry = { readonly kind: 'effect'; readonly effect: SentEffect };

/** `target` holds all of this slot's effects up to `mark`, so the outbox can be trimmed. */
export type DeliveredEntry = { readonly kind: 'delivered'; readonly target: number; readonly mark: number };

/** A step of the long work that waits in the slot's state; an idle slot appends these itself. */
export type ContinueEntry = { readonly kind: 'continue' };

/** An operator's word on what is kept in quarantine. */
export type QuarantineEntry = {
  readonly kind: 'quarantine';
  readonly action: 'retry' | 'drop';
  /** Which: the seq of the entry, and which piece of long work after it, or 0. */
  readonly seq: number;
  readonly part: number;
};

/** What a router writes for its callers, who are answered once it is applied. */
export type WrittenEntry = PrivateEntry | LabelEntry | LabelRemovalEntry;

/** What comes from ingest and from callers. */
export type OutsideEntry = Exclude<
  Entry,
  EffectEntry | DeliveredEntry | ContinueEntry | QuarantineEntry | LifecycleEntry
>;

export type Entry =
  | CommitEntry
  | SyncEntry
  | IdentityEntry
  | AccountEntry
  | ResyncBeginEntry
  | ResyncChunkEntry
  | ResyncEndEntry
  | ResyncGivenUpEntry
  | ImportedEntry
  | IfAbsentEntry
  | LabelEntry
  | LabelRemovalEntry
  | PrivateEntry
  | EffectEntry
  | DeliveredEntry
  | ContinueEntry
  | QuarantineEntry
  | LifecycleEntry;

/**
 * An effect, routed to the slot of its `routingKey`.
 *
 * `edge`: record `source` points (or, when not present, no longer points) at `subjectDid` or at its
 * record `subject`. For a list item `subject` is the list and `subjectDid` the listed actor.
 * `sortMs`, the source record's sort time, is part of the edge's identity: a withdrawal repeats it.
 * `judged` is what gates need of it: of a quote and of a reply; of a list item only the time.
 * `thread`: a reply belongs (or belonged) to the thread whose root it claims.
 * `notice`: a notification for `recipient`.
 * `post-exists`: whether the post of a reposter's feed items exists.
 * `verified-by`: the verification `source` of a trusted verifier counts, or no longer does.
 * `handle-claim`, `handle-loss`: contention for a handle, decided in the handle's slot.
 */
export type Effect =
  | {
      readonly type: 'edge';
      readonly edge: EdgeKind;
      readonly present: boolean;
      readonly source: RecordRef;
      readonly subjectDid: string;
      readonly subject: RecordRef | null;
      readonly sortMs: number;
      readonly judged?: Judged;
    }
  | {
      readonly type: 'thread';
      readonly present: boolean;
      readonly root: RecordRef;
      readonly parent: RecordRef;
      readonly reply: RecordRef;
      readonly sortMs: number;
      readonly isTakenDown: boolean;
      /** The author follows that of the root. */
      readonly isFollower: boolean;
      readonly judged: Judged;
    }
  | GateEffect
  | {
      readonly type: 'notice';
      readonly present: boolean;
      readonly recipient: string;
      readonly source: RecordRef;
      readonly reason: NoticeReason;
      /** AT-URI of the recipient's own record that it is about, or null. */
      readonly reasonSubject: string | null;
      readonly sortMs: number;
      /** True while the source record is taken down: listed, but not counted as unread. */
      readonly isTakenDown: boolean;
      /** Of a reply: the hash of its root's author (`keyHash`), by which the sender is known. */
      readonly rootHash?: number;
    }
  | {
      readonly type: 'notice-takedown';
      readonly recipient: string;
      readonly source: RecordRef;
      readonly isTakenDown: boolean;
      readonly sortMs: number;
    }
  | { readonly type: 'post-exists'; readonly reposter: string; readonly post: RecordRef; readonly exists: boolean }
  | {
      readonly type: 'verified-by';
      readonly present: boolean;
      readonly subject: string;
      readonly source: RecordRef;
      readonly sortMs: number;
      readonly handle: string;
      readonly displayName: string;
    }
  | {
      readonly type: 'handle-claim';
      readonly handle: string;
      readonly did: string;
      readonly verifiedAtMs: number;
      readonly present: boolean;
    }
  | {
      readonly type: 'handle-loss';
      readonly handle: string;
      readonly did: string;
      /** Time of the claim that lost; a later claim of the same actor stays. */
      readonly lostVerifiedAtMs: number;
    };

/**
 * Begin and end of a resend, to the slot of the chunk: what the source has not sent in between is
 * no more.
 */
export type BracketEffect = { readonly type: 'resend-begin' } | { readonly type: 'resend-end' };

/**
 * The source is one of `slots` slots, half of which have the others as children by a split: all
 * that it sent as both is here. Its child goes on from there in this generation and session; of one
 * that is not new to the target, the generation is 0.
 */
export type SplitEffect = {
  readonly type: 'split';
  readonly slots: number;
  readonly generation: number;
  readonly session: number;
};

/** Effects that go to slots as such, and not to that of a key. */
export type SlotEffect = BracketEffect | SplitEffect;

export type SentEffect = Effect | SlotEffect;

/** True for an effect that goes to a slot as such. */
export function isSlotEffect(effect: SentEffect): effect is SlotEffect {
  return effect.type === 'resend-begin' || effect.type === 'resend-end' || effect.type === 'split';
}

export type EffectOf<Type extends Effect['type']> = Extract<Effect, { readonly type: Type }>;

/** Returns the key whose hash is the effect's slot: a DID, or the handle of a handle claim. */
export function routingKey(effect: Effect): string {
  switch (effect.type) {
    case 'edge':
      return effect.subjectDid;
    case 'thread':
    case 'gate-answer':
      return effect.root.did;
    case 'verdict':
      return effect.post.did;
    case 'gate-question':
      return effect.reply.did;
    case 'notice':
    case 'notice-takedown':
      return effect.recipient;
    case 'post-exists':
      return effect.reposter;
    case 'verified-by':
      return effect.subject;
    case 'handle-claim':
      return effect.handle;
    case 'handle-loss':
      return effect.did;
  }
}
