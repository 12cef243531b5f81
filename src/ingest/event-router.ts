/**
 * Turns the events of a repo stream into log entries.
 *
 * Owns: which records are kept (indexed collections, valid by lexicon and cross-field rules) and
 * the handling of each kind of event. Entries of one repo are appended in stream order; what waits
 * for a proof or a look-up is the admission's.
 */
import { isIndexedCollection } from '../atproto/collection.ts';
import type { AccountEvent, CommitEvent, FirehoseEvent, SyncEvent } from '../atproto/firehose-event.ts';
import type { BadOp, DecodedOp } from '../atproto/record-block.ts';
import { checkRecord } from '../atproto/record-rules.ts';
import type { RepoOp } from '../atproto/repo-op.ts';
import type { Clock } from '../base/clock.ts';
import type { AccountDeletions } from './account-deletions.ts';
import type { EventAdmission } from './event-admission.ts';
import type { HostPolicy, HostVerdict } from './host-policy.ts';
import type { IdentityQueue } from './identity-queue.ts';
import type { IngestCounters } from './ingest-counters.ts';
import type { RepoGate } from './repo-gate.ts';
import type { SourceTrust } from './source-trust.ts';

export type EventRouterOptions = {
  readonly gate: RepoGate;
  readonly admission: EventAdmission;
  readonly identities: IdentityQueue;
  readonly hosts: Pick<HostPolicy, 'decide'>;
  readonly counters: IngestCounters;
  readonly clock: Clock;
  /** Requests another fetch of a repo. Returns: once the request is durable. */
  readonly requestResync: (did: string, revMin: string) => Promise<void>;
  readonly deletions: AccountDeletions;
};

/** Statuses that the official data plane stores for an inactive account; it ignores others. */
const keptStatuses: ReadonlySet<string> = new Set(['deactivated', 'suspended', 'takendown', 'deleted']);

/** Keeps the ops whose records are valid, and counts the others by collection and reason. */
export function keepSoundOps(
  did: string,
  ops: readonly DecodedOp[],
  badOps: readonly BadOp[],
  counters: IngestCounters,
): RepoOp[] {
  const kept: RepoOp[] = [];
  for (const { op, value } of ops) {
    const check = op.action === 'delete' ? null : checkRecord(did, op.collection, op.rkey, value);
    if (check === null || check.ok) {
      kept.push(op);
      counters.recordsKept.with(op.collection).add();
    } else {
      counters.recordsDropped.with(op.collection, check.reason).add();
      counters.drops.note(did, check.reason, { path: `${op.collection}/${op.rkey}` });
    }
  }
  for (const { collection, rkey, reason } of badOps) {
    counters.recordsDropped.with(isIndexedCollection(collection) ? collection : 'other', reason).add();
    counters.drops.note(did, reason, { path: rkey === '' ? null : `${collection}/${rkey}` });
  }
  return kept;
}

export class EventRouter {
  readonly #options: EventRouterOptions;

  constructor(options: EventRouterOptions) {
    this.#options = options;
  }

  /**
   * Routes one event of `source`.
   *
   * Returns: once everything it causes is durable; null when it causes nothing.
   */
  route(event: FirehoseEvent, source: SourceTrust, message: Buffer): Promise<unknown> | null {
    const { admission, identities } = this.#options;
    const isOfRepo = event.kind === 'commit' || event.kind === 'sync';
    // An #identity is about the document, which says when an account has left a host.
    if (isOfRepo || event.kind === 'account') {
      const verdict = this.#options.hosts.decide(event.did, source.name, isOfRepo);
      if (verdict !== 'allowed') return this.#dropByHost(event, source.name, verdict);
    }
    switch (event.kind) {
      case 'commit':
        identities.noteActive(event.did);
        return admission.admit(event, source, message, () => this.#routeCommit(event, source.name, message.length));
      case 'sync':
        identities.noteActive(event.did);
        return admission.admit(event, source, message, (sameSince) =>
          this.#routeSync(event, sameSince, message.length),
        );
      case 'identity':
        return this.#options.identities.refresh(event.did);
      case 'account':
        return admission.admit(event, source, message, () => this.#routeAccount(event, source.name));
      case 'info':
      case 'error':
      case 'unknown':
        return null;
    }
  }

  /**
   * Routes what makes up for an event whose entry the log refuses for good: the repo's own fetch.
   *
   * Returns: as `route` does.
   */
  routeRefused(event: FirehoseEvent): Promise<unknown> | null {
    const isOfRepo = event.kind === 'commit' || event.kind === 'sync';
    return isOfRepo ? this.#options.requestResync(event.did, event.rev) : null;
  }

  /** What exceeds a limit is fetched later with its repo; of a blocked host nothing is. */
  #dropByHost(
    event: CommitEvent | SyncEvent | AccountEvent,
    source: string,
    verdict: Exclude<HostVerdict, 'allowed'>,
  ): Promise<unknown> | null {
    const { counters } = this.#options;
    counters.eventsDropped.with(source, verdict).add();
    counters.drops.note(event.did, verdict, { from: source });
    return verdict === 'host-over-limit' && event.kind !== 'account'
      ? this.#options.requestResync(event.did, event.rev)
      : null;
  }

  /** A sender's clock may run ahead of ours; nothing is indexed in the future. */
  #timeOf(eventMs: number): number {
    return Math.min(eventMs, this.#options.clock.nowMs());
  }

  #routeCommit(event: CommitEvent, source: string, bytes: number): Promise<unknown> {
    const { gate, counters, requestResync } = this.#options;
    const { did, rev, since, resyncReason } = event;
    if (event.unindexedOps > 0) counters.recordsUnindexed.add(event.unindexedOps);
    if (resyncReason !== null) {
      counters.commitsIncomplete.with(source, resyncReason).add();
      counters.drops.note(did, resyncReason, { from: source });
    }
    // Only the whole repo has what it leaves out, so its rev must not advance as if complete.
    const eventMs = this.#timeOf(event.eventMs);
    if (resyncReason !== null && resyncReason !== 'op-unreadable') {
      // The actor is known at once, also if its repo cannot be fetched.
      const known = gate.append({ kind: 'sync', did, rev, eventMs }, bytes);
      return Promise.all([known, requestResync(did, rev)]);
    }
    const ops = keepSoundOps(did, event.ops, event.badOps, counters);
    const appended = gate.append({ kind: 'commit', did, rev, since, eventMs, ops }, bytes);
    return resyncReason === null ? appended : Promise.all([appended, requestResync(did, rev)]);
  }

  /**
   * Content that is the same since a rev need not be fetched: a commit without ops moves the rev.
   */
  #routeSync({ did, rev, eventMs: sentMs }: SyncEvent, sameSince: string | null, bytes: number): Promise<unknown> {
    const eventMs = this.#timeOf(sentMs);
    const { gate } = this.#options;
    if (sameSince === null) return gate.append({ kind: 'sync', did, rev, eventMs }, bytes);
    return gate.append({ kind: 'commit', did, rev, since: sameSince, eventMs, ops: [] }, bytes);
  }

  #routeAccount(event: AccountEvent, source: string): Promise<unknown> | null {
    const { did, active, status } = event;
    const { gate, counters, deletions } = this.#options;
    const eventMs = this.#timeOf(event.eventMs);
    if (!active && !keptStatuses.has(status)) {
      counters.eventsDropped.with(source, 'account-status-not-kept').add();
      counters.drops.note(did, 'account-status-not-kept', { from: source });
      // The slot leaves the status that it has, but knows the actor from now on.
      return gate.append({ kind: 'account', did, active, status: '', eventMs });
    }
    if (!active && status === 'deleted') return deletions.request(did, eventMs);
    const appended = gate.append({ kind: 'account', did, active, status: active ? '' : status, eventMs });
    return Promise.all([appended, deletions.cancel(did, eventMs)]);
  }
}
