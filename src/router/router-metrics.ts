/** The metrics of a router beside those of each request: its limits, and its links to nodes. */
import type { Registry } from 'prom-client';
import { registerReadout } from '../metrics/metric.ts';
import type { MetricName } from '../metrics/metric-table.ts';
import type { LinkSnapshot } from '../wire/link-environment.ts';
import type { ServiceRouter } from './plan/service-router.ts';

type Links = () => Readonly<Record<string, LinkSnapshot>>;

/** Registers them; `links` gives those of the nodes that were called, by name. */
export function registerRouterMetrics(registry: Registry, router: ServiceRouter, links: Links = () => ({})): void {
  registerReadout(registry, 'skyshard_request_items_in_flight', () => router.itemsInFlight);
  registerReadout(registry, 'skyshard_request_items_waiting', () => router.queue.itemsWaiting);
  registerReadout(registry, 'skyshard_request_answer_bytes', () => router.preparedBytes);
  registerReadout(registry, 'skyshard_request_turns_total', () => router.queue.turns);
  registerReadout(registry, 'skyshard_requests_coalesced_total', () => router.counts.coalesced);
  registerReadout(registry, 'skyshard_requests_repeated_total', () => router.counts.repeated);
  registerReadout(registry, 'skyshard_requests_rerouted_total', () => router.counts.rerouted);
  registerReadout(registry, 'skyshard_requests_hedged_total', () =>
    Object.entries(router.hedges.counts).map(([outcome, value]) => ({ labels: { outcome }, value })),
  );
  registerReadout(registry, 'skyshard_request_hedge_delay_seconds', () =>
    Array.from(router.hedges.delays(), ([method, ms]) => ({ labels: { method }, value: ms / 1_000 })),
  );
  registerReadout(registry, 'skyshard_requests_refused_total', () =>
    Object.entries(router.refusedByLimit).map(([limit, value]) => ({ labels: { limit }, value })),
  );
  const ofNode = (name: MetricName, read: (link: LinkSnapshot) => number): void =>
    registerReadout(registry, name, () =>
      Object.entries(links()).map(([node, link]) => ({ labels: { node }, value: read(link) })),
    );
  ofNode('skyshard_node_connected', ({ state }) => Number(state === 'open'));
  ofNode('skyshard_node_connections_total', ({ connectCount }) => connectCount);
  ofNode('skyshard_node_calls_total', ({ callCount }) => callCount);
  ofNode('skyshard_node_sent_messages_total', ({ sentMessageCount }) => sentMessageCount);
  ofNode('skyshard_node_calls_in_flight', ({ callsInFlight }) => callsInFlight);
  ofNode('skyshard_node_timeouts_total', ({ timeoutCount }) => timeoutCount);
  ofNode('skyshard_node_late_answers_total', ({ lateAnswerCount }) => lateAnswerCount);
  ofNode('skyshard_node_breaker_open', ({ isBreakerOpen }) => Number(isBreakerOpen));
  ofNode('skyshard_node_breaker_openings_total', ({ breakerOpenings }) => breakerOpenings);
  ofNode('skyshard_node_breaker_trials_total', ({ breakerTrials }) => breakerTrials);
}
