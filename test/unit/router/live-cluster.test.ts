/** What a router sends to pages stays small with 64 nodes, 4,096 slots and an hour of history. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { HistogramStore } from '../../../src/metrics/histogram-store.ts';
import type { LiveFrame } from '../../../src/metrics/live-frame.ts';
import { LiveHistory } from '../../../src/metrics/live-history.ts';
import type { Live } from '../../../src/metrics/process-histograms.ts';
import { Recording } from '../../../src/metrics/recording.ts';
import { LiveCluster } from '../../../src/router/live-cluster.ts';
import type { NodeState } from '../../../src/router/live-rows.ts';
import type { ServiceRouter } from '../../../src/router/plan/service-router.ts';
import { parseShardMap } from '../../../src/shardmap/shard-map.ts';
import { liveAnswer, liveRequest } from '../../../src/wire/live-messages.ts';
import type { SlotStatus } from '../../../src/wire/node-status.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const nodeNames = Array.from({ length: 64 }, (_unused, index) => `n${index}`);
const slots = 4_096;
const slotsOfNode = slots / nodeNames.length;
const methods = Array.from({ length: 30 }, (_unused, index) => `bsky.Method${index}`);
const clock = new ManualClock();
const asked: { node: number; prefixes: readonly string[] }[] = [];
let history: LiveHistory;
let cluster: LiveCluster;

type Message = {
  readonly processes: readonly {
    readonly process: string;
    readonly frames: readonly LiveFrame[];
    readonly bits: number;
  }[];
  readonly names: readonly string[];
  readonly cluster: { readonly nodes: readonly { readonly slots: readonly unknown[] | null }[] };
};

/** Returns a message as it is sent, and how long it is. Units: bytes, before it is compressed. */
async function sent(asking: Promise<object>): Promise<{ message: Message; bytes: number }> {
  const text = JSON.stringify(await asking);
  return { message: JSON.parse(text) as Message, bytes: text.length };
}

function statusOf(slot: number, role: 'primary' | 'replica'): SlotStatus {
  const counts = { cursor: 9, head: 9, waiting: 0, outbox: 0, deliveredMark: 1, lastMark: 1 };
  const more = { isContinuing: false, sentEffects: 1, receivedEffects: 1, owners: 5, quarantined: 0, suspendedDids: 0 };
  const state = { state: 'applying', condition: 'complete', generation: 1, log: null, acts: true } as const;
  return { slot, role, lagMs: 1_234.5, bytes: 123_456_789, behindMs: 0, ...counts, ...more, ...state };
}

function ownSlots(node: number, role: 'primary' | 'replica'): SlotStatus[] {
  return Array.from({ length: slotsOfNode }, (_unused, index) => statusOf(node * slotsOfNode + index, role));
}

beforeAll(async () => {
  vi.useFakeTimers();
  const recording = new Recording();
  const store = new HistogramStore(clock);
  const gauges = {
    residentBytes: 1e9,
    cacheHits: 123_456,
    cacheMisses: 6_543,
    cpuSeconds: 12.5,
    eventLoopSeconds: 0.001,
  };
  history = new LiveHistory(store, async () => gauges, clock);
  const calls = recording.histogram('skyshard_call_duration_seconds');
  const requests = recording.histogram('skyshard_request_duration_seconds');
  for (let second = 0; second < 3_600; second++) {
    methods.forEach((method, index) => {
      for (let value = 0; value < 40; value++) {
        const micros = 30 * 1.12 ** ((value * 7 + second + index) % 70);
        calls.with(method, '0-255').record(micros);
        if (index < 10) requests.with(method, 'ok').record(micros);
      }
    });
    store.add(recording.take(), 'main');
    clock.advance(1_000);
    await vi.advanceTimersByTimeAsync(1_000);
  }
  const live = (question: Parameters<LiveHistory['answer']>[0]): Live => ({ startMs: 0, ...history.answer(question) });
  const ask = (node: number, _method: string, payload: Uint8Array): Uint8Array => {
    const question = liveRequest.decode(payload);
    asked.push({ node, prefixes: question.prefixes });
    return liveAnswer.encode(live(question));
  };
  const statuses = async (): Promise<NodeState[]> =>
    nodeNames.map((name, node) => ({
      name,
      state: 'up',
      slots: [...ownSlots(node, 'primary'), ...ownSlots((node + 1) % nodeNames.length, 'replica')],
    }));
  const address = { host: '127.0.0.1', port: 1 };
  const map = parseShardMap({
    epoch: 1,
    slots,
    nodes: Object.fromEntries(nodeNames.map((name) => [name, address])),
    shards: nodeNames.map((primary, node) => ({
      name: `s${node}`,
      primary,
      replicas: [nodeNames[(node + 63) % 64]!],
      slots: [`${node * slotsOfNode}-${(node + 1) * slotsOfNode - 1}`],
    })),
  });
  cluster = new LiveCluster({
    router: { fanOut: { nodeNames, ask } } as unknown as Pick<ServiceRouter, 'fanOut'>,
    map: () => map,
    own: async (question) => live(question),
    ownNode: null,
    ingest: null,
    statuses,
    slowest: () => [],
    clock,
  });
}, 120_000);

afterAll(() => {
  history[Symbol.dispose]();
  vi.useRealTimers();
});

const watched = { sinceMs: 0, prefixes: ['call'], process: null };

describe('64 nodes and an hour', () => {
  it('fit into one message, in as many columns as two minutes', async () => {
    const [hour, minutes] = [
      await sent(cluster.frames({ ...watched, spanS: 30 })),
      await sent(cluster.frames({ ...watched, spanS: 1 })),
    ];
    for (const { message, bytes } of [hour, minutes]) {
      expect(message.processes.length).toBe(65);
      for (const { frames } of message.processes) expect(frames.length).toBe(120);
      expect(bytes).toBeLessThan(8_000_000);
      expect(message.names.length).toBe(40);
    }
    // The last hour, all of it.
    const { frames } = hour.message.processes[1]!;
    expect(frames.at(-1)!.endMs - frames[0]!.endMs).toBe(119 * 30_000);
    const counted = frames.reduce((sum, { totals }) => sum + totals['call']![0], 0);
    expect(counted).toBe(3_600 * methods.length * 40);
  }, 60_000);

  it.each(['call', 'call|bsky.Method3'])(
    'lose digits of %s rather than values, unless one process is chosen',
    async (key) => {
      const all = await sent(cluster.frames({ ...watched, spanS: 30, prefixes: [key] }));
      const some = all.message.processes[1]!;
      expect(some.bits).toBeLessThan(8);
      // Enough for each row of a heat map.
      expect(some.bits).toBeGreaterThanOrEqual(3);
      for (const { series } of some.frames) {
        const counted = series[key]!.counts.filter((_value, at) => at % 2 === 1).reduce((sum, count) => sum + count, 0);
        expect(counted).toBe(30 * 40 * (key === 'call' ? methods.length : 1));
      }
      asked.length = 0;
      const one = await sent(cluster.frames({ ...watched, spanS: 30, prefixes: [key], process: 'n5' }));
      expect(one.message.processes.find(({ process }) => process === 'n5')!.bits).toBe(8);
      expect(asked.filter(({ prefixes }) => prefixes.length > 0)).toEqual([{ node: 5, prefixes: [key] }]);
      expect(one.bytes).toBeLessThan(4_000_000);
    },
    60_000,
  );

  it('go on with the values only of what somebody looks at, and slots not in each message', async () => {
    await cluster.next([]);
    const sizes: number[] = [];
    let withSlots = 0;
    for (let tick = 0; tick < 10; tick++) {
      clock.advance(1_000);
      await vi.advanceTimersByTimeAsync(1_000);
      const { message, bytes } = await sent(cluster.next(['call|bsky.Method3']));
      for (const { frames } of message.processes) {
        expect(frames.length).toBe(1);
        expect(Object.keys(frames[0]!.series).every((key) => key === 'call|bsky.Method3')).toBe(true);
      }
      if (message.cluster.nodes[0]!.slots !== null) {
        withSlots++;
        expect(message.cluster.nodes[0]!.slots.length).toBe(2 * slotsOfNode);
      } else sizes.push(bytes);
    }
    expect(withSlots).toBe(2);
    expect(Math.max(...sizes)).toBeLessThan(150_000);
  }, 60_000);

  it('have their slots in the first message of a page', async () => {
    await cluster.next([]);
    await cluster.frames({ ...watched, spanS: 1, prefixes: [] });
    const { message } = await sent(cluster.next([]));
    expect(message.cluster.nodes[0]!.slots).not.toBe(null);
  });
});
