/** What ingest counts: everything it takes in, keeps, leaves out and why. */
import type { Counter, Family, Registry } from '../metrics/registry.ts';

export type IngestCounters = {
  /** By source and kind. */
  readonly eventsReceived: Family<Counter>;
  /** Whole events that were left out, by source and reason. */
  readonly eventsDropped: Family<Counter>;
  /** By collection. */
  readonly recordsKept: Family<Counter>;
  /** By collection and reason; collections that are not indexed are together under `other`. */
  readonly recordsDropped: Family<Counter>;
  /** Records of collections that are not indexed. */
  readonly recordsUnindexed: Counter;
  /** By source and outcome. */
  readonly connections: Family<Counter>;
  /** By outcome. */
  readonly identitiesResolved: Family<Counter>;
  /** Attempts to fetch a repo, by outcome. */
  readonly reposFetched: Family<Counter>;
};

/** Adds ingest's counters to a registry. */
export function createIngestCounters(registry: Registry): IngestCounters {
  const counter = (name: string, help: string, labels: readonly string[]): Family<Counter> =>
    registry.counter(`skyshard_ingest_${name}`, help, labels);
  return {
    eventsReceived: counter('events_received', 'Events that came in.', ['source', 'kind']),
    eventsDropped: counter('events_dropped', 'Whole events that were left out.', ['source', 'reason']),
    recordsKept: counter('records_kept', 'Record operations that went to the log.', ['collection']),
    recordsDropped: counter('records_dropped', 'Record operations that were left out.', ['collection', 'reason']),
    recordsUnindexed: registry.counter(
      'skyshard_ingest_records_unindexed',
      'Record operations of collections that are not indexed.',
    ),
    connections: counter('connections_made', 'Attempts to connect to a source.', ['source', 'outcome']),
    identitiesResolved: counter('identities_resolved', 'Resolutions of DIDs.', ['outcome']),
    reposFetched: counter('repos_fetched', 'Attempts to fetch a repo.', ['outcome']),
  };
}

/** Counts by name in plain data, for status answers. Names past the bound are counted under `other`. */
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
