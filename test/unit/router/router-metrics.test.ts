/** What a router counts of its own discipline, as a scrape shows it. */
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import type { HistogramName } from '../../../src/metrics/histogram-table.ts';
import { Recording } from '../../../src/metrics/recording.ts';
import { encodeMessage } from '../../../src/proto/codec.ts';
import { defaultAdmissionLimits } from '../../../src/router/plan/admission.ts';
import { ServiceRouter } from '../../../src/router/plan/service-router.ts';
import type { ServiceRouterOptions } from '../../../src/router/plan/service-router-options.ts';
import { planByMethod } from '../../../src/router/plans/service.ts';
import { RequestMetrics } from '../../../src/router/request-metrics.ts';
import { registerRouterMetrics } from '../../../src/router/router-metrics.ts';
import type { LinkSnapshot } from '../../../src/wire/link-environment.ts';
import { didOf, emptyNetwork, FakeNodes, twoNodeMap } from '../../support/fake-nodes.ts';
import { noIdentitySource } from '../../support/no-identities.ts';

const nodes = new FakeNodes(twoNodeMap(), emptyNetwork());
const follows = encodeMessage('GetFollowsRequest', { actorDid: didOf(1), limit: 5 });
const anyone = { caller: 'a', timeoutMs: null };

function routerOf(options: Partial<ServiceRouterOptions> = {}): ServiceRouter {
  return new ServiceRouter({
    map: twoNodeMap(),
    caller: nodes,
    identity: noIdentitySource,
    plans: planByMethod,
    admission: { itemsInFlightMax: 1_000, itemsInFlightOfCallerMax: 100 },
    clock: systemClock,
    onFault: (error) => {
      throw error;
    },
    ...options,
  });
}

async function linesOf(router: ServiceRouter, links?: Readonly<Record<string, LinkSnapshot>>): Promise<string[]> {
  const registry = new Registry();
  registerRouterMetrics(registry, router, () => links ?? {});
  return (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

test('counts requests that shared an answer', async () => {
  const router = routerOf();
  await Promise.all([1, 2, 3].map(() => router.handle('GetFollows', follows, anyone)));
  expect(await linesOf(router)).toContain('skyshard_requests_coalesced_total 2');
});

test('counts requests that were asked again with a newer map', async () => {
  nodes.map = twoNodeMap(2);
  const stale = { ...twoNodeMap(), primaryBySlot: [...twoNodeMap().primaryBySlot].reverse() };
  const router = routerOf({ map: stale, reloadMap: async () => nodes.map });
  await router.handle('GetFollows', follows, anyone);
  expect(await linesOf(router)).toContain('skyshard_requests_repeated_total 1');
});

test('counts refusals by the limit that was passed', async () => {
  const router = routerOf();
  const dids = Array.from({ length: 100 }, (_unused, number) => didOf(number));
  await expect(router.handle('GetActors', encodeMessage('GetActorsRequest', { dids }), anyone)).rejects.toMatchObject({
    code: 'ResourceExhausted',
  });
  expect(await linesOf(router)).toEqual(
    expect.arrayContaining([
      'skyshard_requests_refused_total{limit="itemsInFlightMax"} 0',
      'skyshard_requests_refused_total{limit="itemsInFlightOfCallerMax"} 1',
    ]),
  );
});

test('records how long each part of a large request waited for its turn, and how much was asked for', async () => {
  const recording = new Recording();
  const admission = { itemsInFlightMax: 5_000, itemsInFlightOfCallerMax: 5_000 };
  const router = routerOf({ admission, observer: new RequestMetrics(recording, new Registry()) });
  const dids = Array.from({ length: 1_000 }, (_unused, number) => didOf(number));
  await router.handle('GetActors', encodeMessage('GetActorsRequest', { dids }), anyone);
  const { series } = recording.take();
  const recorded = (name: HistogramName): number[] =>
    series.filter((one) => one.name === name).flatMap(({ counts }) => [...counts]);
  const waits = recorded('skyshard_request_queue_seconds').filter((_value, at) => at % 2 === 1);
  expect(router.queue.turns).toBeGreaterThan(0);
  expect(waits.reduce((a, b) => a + b)).toBe(router.queue.turns);
  expect(recorded('skyshard_request_items')).toEqual([1_000, 1]);
  expect(recorded('skyshard_caller_request_items')).toEqual([1_000, 1]);
});

test('records what a request asked for, in however many parts its answer came', async () => {
  const recording = new Recording();
  const router = routerOf({
    admission: defaultAdmissionLimits,
    observer: new RequestMetrics(recording, new Registry()),
  });
  const dids = Array.from({ length: 40 }, (_unused, number) => didOf(number));
  nodes.itemsPerAnswerMax = 5;
  await router.handle('GetActors', encodeMessage('GetActorsRequest', { dids }), anyone);
  nodes.itemsPerAnswerMax = Number.POSITIVE_INFINITY;
  const items = recording.take().series.find(({ name }) => name === 'skyshard_request_items')!;
  expect([...items.counts]).toEqual([40, 1]);
});

test('shows the memory of large answers', async () => {
  const router = routerOf();
  const release = router.holdAnswer('a', 1_000_000);
  expect(await linesOf(router)).toContain('skyshard_request_answer_bytes 1000000');
  release();
  expect(await linesOf(router)).toContain('skyshard_request_answer_bytes 0');
});

test('shows the links to nodes', async () => {
  const link: LinkSnapshot = {
    state: 'open',
    transport: 'tcp',
    isBreakerOpen: true,
    breakerOpenings: 2,
    breakerTrials: 3,
    callsInFlight: 4,
    bytesInFlight: 5,
    connectCount: 6,
    callCount: 7,
    timeoutCount: 8,
    lateAnswerCount: 9,
    sentMessageCount: 10,
    sentBytes: 11,
    receivedBytes: 12,
  };
  const lines = await linesOf(routerOf(), { n1: link });
  expect(lines.filter((line) => line.includes('node="n1"'))).toEqual([
    'skyshard_node_connected{node="n1"} 1',
    'skyshard_node_connections_total{node="n1"} 6',
    'skyshard_node_calls_total{node="n1"} 7',
    'skyshard_node_sent_messages_total{node="n1"} 10',
    'skyshard_node_calls_in_flight{node="n1"} 4',
    'skyshard_node_timeouts_total{node="n1"} 8',
    'skyshard_node_late_answers_total{node="n1"} 9',
    'skyshard_node_breaker_open{node="n1"} 1',
    'skyshard_node_breaker_openings_total{node="n1"} 2',
    'skyshard_node_breaker_trials_total{node="n1"} 3',
  ]);
});
