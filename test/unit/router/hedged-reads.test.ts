/** Reads through a router while one of two copies does not answer. */
import { Registry } from 'prom-client';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { Recording } from '../../../src/metrics/recording.ts';
import { encodeMessage } from '../../../src/proto/codec.ts';
import { defaultAdmissionLimits } from '../../../src/router/plan/admission.ts';
import { ServiceRouter } from '../../../src/router/plan/service-router.ts';
import { planByMethod } from '../../../src/router/plans/service.ts';
import { RequestMetrics } from '../../../src/router/request-metrics.ts';
import { parseShardMap } from '../../../src/shardmap/shard-map.ts';
import { slotOf } from '../../../src/shardmap/slot-of.ts';
import type { NodeCaller } from '../../../src/wire/node-caller.ts';
import { nodeCalls } from '../../../src/wire/node-calls.ts';
import { readableAnswer } from '../../../src/wire/readable-slots.ts';
import { didOf } from '../../support/fake-nodes.ts';
import { noIdentitySource } from '../../support/no-identities.ts';
import { until } from '../../support/until.ts';

const address = { host: '127.0.0.1', port: 0 };
const map = parseShardMap({
  epoch: 1,
  slots: 2,
  nodes: { a: address, b: address, c: address },
  shards: [
    { name: 's', primary: 'a', replicas: ['b'], slots: ['0'] },
    { name: 't', primary: 'c', slots: ['1'] },
  ],
});
const slots: Readonly<Record<string, number[]>> = { b: [0] };

/** Nodes whose calls wait for ever. */
const hung = new Set<string>();
let asked: string[] = [];
const caller: NodeCaller = {
  call: async ({ node, method }) => {
    if (method === nodeCalls.readable) return readableAnswer.encode({ slots: slots[node] ?? [] });
    asked.push(node);
    if (hung.has(node)) await new Promise(() => {});
    return Buffer.from(node);
  },
};
let router: ServiceRouter;
let recording: Recording;

beforeEach(async () => {
  hung.clear();
  asked = [];
  recording = new Recording();
  router = new ServiceRouter({
    map,
    caller,
    identity: noIdentitySource,
    plans: planByMethod,
    admission: defaultAdmissionLimits,
    clock: systemClock,
    observer: new RequestMetrics(recording, new Registry()),
    onFault: (error) => {
      throw error;
    },
  });
  router.watchReplicas();
  await until(() => router.fanOut.hasCopies);
});
afterEach(() => router[Symbol.asyncDispose]());

/** Returns a request about an actor of a slot; which is the same one for the same number. */
function follows(slot: number, number = 0): Buffer {
  const dids = Array.from({ length: 1_000 }, (_unused, index) => didOf(index));
  const actorDid = dids.filter((did) => slotOf(did, map.slots) === slot)[number]!;
  return encodeMessage('GetFollowsRequest', { actorDid, limit: 5 });
}

async function ask(slot: number, number = 0): Promise<string> {
  return Buffer.from(
    await router.handle('GetFollows', follows(slot, number), { caller: 'x', timeoutMs: null }),
  ).toString();
}

test('are asked of the other copy, whichever hangs, and answered by it', async () => {
  for (const [hanging, other] of [
    ['a', 'b'],
    ['b', 'a'],
  ] as const) {
    hung.clear();
    hung.add(hanging);
    const before = router.hedges.counts.won;
    // A read draws one of the two copies: some begin at the one that hangs.
    const answers = await Promise.all(Array.from({ length: 12 }, (_unused, number) => ask(0, number)));
    expect(new Set(answers)).toEqual(new Set([other]));
    expect(router.hedges.counts.won).toBeGreaterThan(before);
  }
  expect(router.hedges.counts.sent).toBe(router.hedges.counts.won);
  const { series } = recording.take();
  const hedges = series.filter(({ name }) => name === 'skyshard_request_hedge_seconds');
  expect(hedges.map(({ labels }) => labels)).toEqual([['won']]);
  const recorded = hedges[0]!.counts.filter((_value, at) => at % 2 === 1).reduce((a, b) => a + b);
  expect(recorded).toBe(router.hedges.counts.won);
});

test('of a slot without a copy wait for its only node', async () => {
  hung.add('c');
  void ask(1).catch(() => {});
  hung.add('a');
  // A read that is asked again shows that enough time has passed.
  await until(async () => (await ask(0, 1)) === 'b' && router.hedges.counts.sent > 0);
  expect(asked.filter((node) => node === 'c')).toEqual(['c']);
});

test('that must see a write ask the primary alone, and once', async () => {
  hung.add('a');
  const actorDid = Array.from({ length: 20 }, (_unused, index) => didOf(index)).find((did) => slotOf(did, 2) === 0)!;
  const seen = encodeMessage('GetNotificationSeenRequest', { actorDid });
  void Promise.resolve(router.handle('GetNotificationSeen', seen, { caller: 'x', timeoutMs: 60_000 })).catch(() => {});
  hung.delete('a');
  hung.add('b');
  await until(async () => (await ask(0, 1)) === 'a' && router.hedges.counts.sent > 0);
  expect(asked[0]).toBe('a');
  expect(router.hedges.counts.sent).toBe(router.hedges.counts.won);
});
