/** What ingest counts: everything it receives, keeps and drops, and why. */
import type { Registry } from 'prom-client';
import { type Clock, systemClock } from '../base/clock.ts';
import { type Count, LabelledCounter } from '../metrics/metric.ts';
import { RecentDrops } from './recent-drops.ts';

export type IngestCounters = {
  /** By source and kind. */
  readonly eventsReceived: LabelledCounter;
  /** Whole events, by source and reason. */
  readonly eventsDropped: LabelledCounter;
  /** Commits whose repo must be fetched, by source and reason. */
  readonly commitsIncomplete: LabelledCounter;
  /** What was refused of a host about its accounts, by host and reason. */
  readonly claimsRefused: LabelledCounter;
  /** By collection. */
  readonly recordsKept: LabelledCounter;
  /** By collection and reason; collections without an index count as `other`. */
  readonly recordsDropped: LabelledCounter;
  readonly recordsUnindexed: Count;
  /** By source and outcome. */
  readonly connections: LabelledCounter;
  /** By outcome. */
  readonly identitiesResolved: LabelledCounter;
  /** By outcome. */
  readonly deletionsChecked: LabelledCounter;
  /** By outcome. */
  readonly reposFetched: LabelledCounter;
  /** By account, which no label may be. */
  readonly drops: RecentDrops;
  /** By stream. */
  readonly bsyncOperations: LabelledCounter;
  /** By stream and reason. */
  readonly bsyncDropped: LabelledCounter;
  /** By stream and outcome. */
  readonly bsyncScans: LabelledCounter;
};

/** Adds ingest's counters to a registry. */
export function createIngestCounters(registry: Registry, clock: Clock = systemClock): IngestCounters {
  return {
    eventsReceived: new LabelledCounter(registry, 'skyshard_events_received_total'),
    eventsDropped: new LabelledCounter(registry, 'skyshard_events_dropped_total'),
    commitsIncomplete: new LabelledCounter(registry, 'skyshard_commits_incomplete_total'),
    claimsRefused: new LabelledCounter(registry, 'skyshard_claims_refused_total'),
    recordsKept: new LabelledCounter(registry, 'skyshard_records_kept_total'),
    recordsDropped: new LabelledCounter(registry, 'skyshard_records_dropped_total'),
    recordsUnindexed: new LabelledCounter(registry, 'skyshard_records_unindexed_total').with(),
    connections: new LabelledCounter(registry, 'skyshard_source_connections_total'),
    identitiesResolved: new LabelledCounter(registry, 'skyshard_identities_resolved_total'),
    deletionsChecked: new LabelledCounter(registry, 'skyshard_deletions_checked_total'),
    reposFetched: new LabelledCounter(registry, 'skyshard_repos_fetched_total'),
    drops: new RecentDrops(clock),
    bsyncOperations: new LabelledCounter(registry, 'skyshard_bsync_operations_total'),
    bsyncDropped: new LabelledCounter(registry, 'skyshard_bsync_dropped_total'),
    bsyncScans: new LabelledCounter(registry, 'skyshard_bsync_scans_total'),
  };
}

/** Counts by name as plain data, for status answers. Names beyond the limit count as `other`. */
export class Tally {
  readonly #counts = new Map<string, number>();

  add(name: string): void {
    const key = this.#counts.size < 64 || this.#counts.has(name) ? name : 'other';
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }

  toJSON(): Record<string, number> {
    return Object.fromEntries(this.#counts);
  }
}
