/** Metrics of ingest that are read, not counted: sources, queues, what waits. */
import type { Registry } from 'prom-client';
import type { Clock } from '../base/clock.ts';
import type { LogAppender } from '../log/log-appender.ts';
import { registerReadout } from '../metrics/metric.ts';
import type { MetricName } from '../metrics/metric-table.ts';
import { readGauges } from '../metrics/process-gauges.ts';
import { ProcessHistograms } from '../metrics/process-histograms.ts';
import { type AdmissionParts, registerAdmissionReadouts } from './admission-parts.ts';
import type { Backfill } from './backfill.ts';
import type { Bsync, BsyncStatus } from './bsync.ts';
import type { BsyncStream } from './bsync-client.ts';
import type { IdentityQueue } from './identity-queue.ts';
import type { SubscriptionStatus } from './source-status.ts';
import type { IngestState } from './state/ingest-state.ts';
import { overdueSecOf } from './state/lookup-queue.ts';
import type { AnySubscription } from './subscription.ts';

type ReadParts = {
  readonly sources: readonly AnySubscription[];
  readonly state: IngestState;
  readonly admission: AdmissionParts;
  readonly identities: Pick<IdentityQueue, 'pendingCount'>;
  readonly backfill: Pick<Backfill, 'progress'>;
  readonly bsync: Bsync | null;
  readonly appender: Pick<LogAppender, 'pendingBytes'>;
  readonly clock: Clock;
};

function registerLookupReadouts(registry: Registry, { state }: ReadParts, clock: Clock): void {
  const queues = [
    ['identity', state.lookups],
    ['deletion', state.deletions],
  ] as const;
  registerReadout(registry, 'skyshard_lookups_queued', () =>
    queues.flatMap(([kind, { counts }]) => [
      { labels: { kind, host: 'directory' }, value: counts.directory },
      { labels: { kind, host: 'other' }, value: counts.otherHosts },
    ]),
  );
  registerReadout(registry, 'skyshard_lookups_overdue_seconds', () =>
    queues.map(([kind, { counts }]) => ({ labels: { kind }, value: overdueSecOf(counts, clock) })),
  );
}

function registerBsyncReadouts(registry: Registry, { bsync }: ReadParts): void {
  const byStream = (name: MetricName, read: (status: BsyncStatus, stream: BsyncStream) => number): void =>
    registerReadout(registry, name, () => {
      const status = bsync?.status;
      if (status === undefined) return [];
      const streams = Object.keys(status.cursors) as BsyncStream[];
      return streams.map((stream) => ({ labels: { stream }, value: read(status, stream) }));
    });
  byStream('skyshard_bsync_cursor', ({ cursors }, stream) => cursors[stream]);
  byStream('skyshard_bsync_connected', ({ problems }, stream) => (problems[stream] === undefined ? 1 : 0));
}

/**
 * Publishes what ingest does now, and keeps it for pages of routers; `sources` are those of all
 * kinds of streams. Returns what keeps it, until it is disposed.
 */
export function registerReadouts(registry: Registry, parts: ReadParts): ProcessHistograms {
  const { sources } = parts;
  registerBsyncReadouts(registry, parts);
  const bySource = (name: MetricName, read: (status: SubscriptionStatus) => number | null): void =>
    registerReadout(registry, name, () =>
      sources.flatMap(({ name: source, status }) => {
        const value = read(status);
        return value === null ? [] : [{ labels: { source }, value }];
      }),
    );
  bySource('skyshard_source_received_seq', ({ receivedSeq }) => receivedSeq);
  bySource('skyshard_source_durable_seq', ({ durableSeq }) => durableSeq);
  bySource('skyshard_events_pending', ({ pendingEvents }) => pendingEvents);
  bySource('skyshard_source_lag_seconds', ({ lagMs }) => (lagMs === null ? null : lagMs / 1000));
  bySource('skyshard_source_connected', ({ connected }) => (connected ? 1 : 0));
  registerReadout(registry, 'skyshard_source_problem', () =>
    sources.flatMap(({ name: source, status: { problem } }) =>
      problem === null ? [] : [{ labels: { source, problem: problem.code }, value: 1 }],
    ),
  );
  registerAdmissionReadouts(registry, parts.admission);
  registerLookupReadouts(registry, parts, parts.clock);
  registerReadout(registry, 'skyshard_identities_pending', () => parts.identities.pendingCount);
  registerReadout(registry, 'skyshard_repos_queued', () => parts.backfill.progress.reposQueued);
  registerReadout(registry, 'skyshard_appends_pending_bytes', () => parts.appender.pendingBytes);
  const recorded = new ProcessHistograms(parts.clock);
  recorded.keepHistory(() => readGauges(registry));
  return recorded;
}
