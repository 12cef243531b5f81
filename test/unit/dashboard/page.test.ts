/** What the page computes from frames: percentiles, rates, columns, and advice. */
import { describe, expect, it } from 'vitest';
import type { SlotRow } from '../../../src/dashboard/cluster-rows.ts';
import type { SourceState } from '../../../src/dashboard/ingest-state.ts';
import { type AdviceInput, adviceOf, readsBySlot } from '../../../src/dashboard/page/advice.ts';
import type { NodeState } from '../../../src/dashboard/page/cluster-state.ts';
import { Columns, columnMs } from '../../../src/dashboard/page/columns.ts';
import {
  bytes,
  Distribution,
  distributionOf,
  duration,
  growth,
  isError,
  kindRateOf,
  rateOf,
  threeDigits,
} from '../../../src/dashboard/page/figures.ts';
import { FrameWindows, mergedOf } from '../../../src/dashboard/page/frame-windows.ts';
import { cellsOf, rowOf } from '../../../src/dashboard/page/heat-cells.ts';
import { figures } from '../../../src/dashboard/page/load-figures.ts';
import { MoveRates } from '../../../src/dashboard/page/move-rates.ts';
import type { LiveFrame } from '../../../src/metrics/live-frame.ts';

function frameOf(endMs: number, series: Record<string, number[]>, more: Partial<LiveFrame> = {}): LiveFrame {
  const of = Object.entries(series).map(([key, counts]) => {
    let [count, sum] = [0, 0];
    for (let at = 0; at < counts.length; at += 2) {
      count += counts[at + 1]!;
      sum += counts[at]! * counts[at + 1]!;
    }
    return [key, { count, sum, counts }] as const;
  });
  const totals: Record<string, [number, number]> = {};
  for (const [key, { count, sum }] of of) {
    const parts = key.split('|');
    const name = parts[0] === 'request' ? `request|${parts.at(-1)}` : parts[0]!;
    totals[name] = [(totals[name]?.[0] ?? 0) + count, (totals[name]?.[1] ?? 0) + sum];
  }
  return { endMs, spanMs: 1_000, series: Object.fromEntries(of), totals, slotReads: [], gauges: {}, ...more };
}

describe('a distribution', () => {
  it('has the percentiles of all values that were added', () => {
    const frames = [
      frameOf(1, { 'request|Ping': [10, 98, 500, 1], request: [7, 9] }),
      frameOf(2, { 'request|Ping': [9_000, 1], 'request|PingPong': [8, 1] }),
      frameOf(3, {}),
    ];
    const of = distributionOf(frames, 'request|Ping');
    expect(of.count).toBe(100);
    expect(of.atAll([50, 98, 99, 99.5, 100])).toEqual([10, 10, 500, 9_000, 9_000]);
    expect(new Distribution().at(99)).toBe(0);
  });
});

it('rates are per second of what frames span', () => {
  const frames = [
    frameOf(1_000, { 'request|a|ok': [1, 10] }),
    frameOf(2_000, { 'request|a|ok': [1, 4], 'request|a|late': [1, 6], call: [1, 99] }),
  ];
  expect(rateOf(frames, 'request|a|ok')).toBe(7);
  expect(kindRateOf(frames, 'request')).toBe(10);
  expect(kindRateOf(frames, 'request', isError)).toBe(3);
  expect(rateOf([], 'request')).toBe(0);
});

it('counters grow between frames, and not by a restart', () => {
  const at = (endMs: number, cpu: number): LiveFrame => frameOf(endMs, {}, { gauges: { cpu } });
  expect(growth(at(1_000, 5), at(3_000, 9), 'cpu')).toBe(2);
  expect(growth(at(1_000, 9), at(2_000, 1), 'cpu')).toBe(0);
  expect(growth(undefined, at(2_000, 1), 'cpu')).toBe(0);
});

it('figures of gauges are of processes that have them, from the second time that they are read', () => {
  const at = (endMs: number, gauges: Record<string, number>): LiveFrame => frameOf(endMs, {}, { gauges });
  const figureOf = (title: string, frame: LiveFrame, before?: LiveFrame): number | null =>
    figures.find((figure) => figure.title === title)!.value(frame, before);
  const [empty, first] = [at(1_000, {}), at(2_000, { cpuSeconds: 50, 'refused.itemsInFlightMax': 3, slotsBytes: 5 })];
  const second = at(3_000, { cpuSeconds: 50.5, 'refused.itemsInFlightMax': 5 });
  for (const title of ['CPU', 'Refused', 'Second attempts', 'Cache hits', 'Page faults']) {
    expect([figureOf(title, first, empty), figureOf(title, first)], title).toEqual([null, null]);
  }
  expect([figureOf('CPU', second, first), figureOf('Refused', second, first)]).toEqual([50, 2]);
  expect([figureOf('Second attempts', second, first), figureOf('Page faults', second, first)]).toEqual([null, null]);
  expect([figureOf('Disk', first), figureOf('Disk', second)]).toEqual([5, null]);
});

it('figures have their units', () => {
  expect([17, 1_500, 12_345, 2_500_000].map(duration)).toEqual(['17 µs', '1.5 ms', '12.3 ms', '2.5 s']);
  expect([0, 1_234, 5 * 2 ** 30].map(bytes)).toEqual(['0 B', '1.21 KiB', '5 GiB']);
  expect([0, 0.00123, 99.96, 12_345].map(threeDigits)).toEqual(['0', '0.00123', '100', '12,345']);
});

it('frames of several processes make one column for each second, with all counts', () => {
  const one = [frameOf(1_020, { apply: [1, 2] }), frameOf(2_010, { apply: [1, 3] })];
  const other = [frameOf(980, { apply: [1, 5] })];
  const columns = new Columns((frames) => distributionOf(frames, 'apply').count);
  expect(columns.of([one, other])).toEqual({ ends: [1_000, 2_000], values: [7, 3] });
  expect([columnMs([]), columnMs([{ ...one[0]!, spanMs: 5_003 }])]).toEqual([1_000, 5_000]);
});

describe('windows of frames', () => {
  it('have the values of the frames that are in them, whichever came and went', () => {
    const frames = Array.from({ length: 50 }, (_unused, index) =>
      frameOf(1_000 * index, { request: [index, 2, 100 + (index % 7), 1], call: [9, 9] }),
    );
    const windows = new FrameWindows('request');
    for (const [from, to] of [
      [0, 20],
      [5, 25],
      [24, 50],
      [0, 50],
      [49, 50],
    ]) {
      const shown = frames.slice(from, to);
      const [values] = windows.of(new Map([['router', shown]])).values();
      const plain = distributionOf(shown, 'request');
      expect([values!.count, values!.sum]).toEqual([plain.count, plain.sum]);
      expect(values!.sorted()).toEqual(plain.sorted());
    }
    expect(windows.of(new Map()).size).toBe(0);
  });

  it('of several processes have the values of all', () => {
    const windows = new FrameWindows('call');
    const byProcess = new Map([
      ['n0', [frameOf(1, { call: [5, 2] })]],
      ['n1', [frameOf(1, { call: [5, 1, 8, 4] })]],
    ]);
    expect(mergedOf(windows.of(byProcess).values()).sorted()).toEqual([
      [5, 3],
      [8, 4],
    ]);
  });
});

it('copies of a move come at a rate, and are through at a time', () => {
  const rates = new MoveRates();
  const group = { from: 'n0', to: 'n1', slots: 4, countByPhase: {}, bytes: 10_000, bytesDone: 0, entriesBehind: 0 };
  expect(rates.of(group, 1_000)).toEqual({ bytesPerS: null, etaMs: null });
  expect(rates.of({ ...group, bytesDone: 2_000 }, 3_000)).toEqual({ bytesPerS: 1_000, etaMs: 8_000 });
  expect(rates.of({ ...group, bytesDone: 10_000 }, 5_000).etaMs).toBe(null);
  // Half a minute later without a byte it stands still.
  rates.of({ ...group, bytesDone: 10_000 }, 40_000);
  expect(rates.of({ ...group, bytes: 20_000, bytesDone: 10_000 }, 41_000)).toEqual({ bytesPerS: 0, etaMs: null });
  expect(rates.of(group, 42_000)).toEqual({ bytesPerS: null, etaMs: null });
});

it('a heat map has each value once, in rows of a logarithmic scale', () => {
  const cells = cellsOf([frameOf(1, { request: [100, 3, 1_000, 2], call: [5, 1] })], 'request');
  expect(cells.reduce((sum, count) => sum + count, 0)).toBe(5);
  expect([cells[rowOf(100)], cells[rowOf(1_000)]]).toEqual([3, 2]);
  expect(rowOf(1_000) - rowOf(100)).toBe(12);
  expect(rowOf(0)).toBe(0);
});

describe('advice', () => {
  const slot = (index: number, more: Partial<Record<number, unknown>> = {}): SlotRow => {
    const row: unknown[] = [index, 'primary', 'complete', 100, 0, 0, 0, 1_000, 0];
    for (const [at, value] of Object.entries(more)) row[Number(at)] = value;
    return row as unknown as SlotRow;
  };
  const nodeOf = (slots: readonly SlotRow[], more: Partial<NodeState> = {}): NodeState => ({
    name: 'n0',
    state: 'up',
    error: '',
    epoch: 1,
    upMs: 100_000,
    slotMapBytes: 100_000,
    freeBytes: null,
    slots,
    ...more,
  });
  const none = new Map<string, LiveFrame[]>();
  const textsOf = (
    nodes: NodeState[],
    recent: Map<string, LiveFrame[]> = none,
    earlier: Map<string, LiveFrame[]> = none,
    more: Partial<AdviceInput> = {},
  ): string[] =>
    adviceOf({ nodes, moves: [], ingest: null, recent, earlier, ...more }).map(
      ({ text, command }) => `${text} > ${command}`,
    );

  it('is none while nothing is off', () => {
    const recent = new Map([['n0', [frameOf(1, { 'items|GetActors': [25, 100] }, { slotReads: [0, 500, 1, 480] })]]]);
    expect(textsOf([nodeOf([slot(0), slot(1)])], recent)).toEqual([]);
  });

  it.each([
    [nodeOf([], { state: 'down', error: 'refused' }), 'Node n0 does not answer: refused > skyshard status'],
    [nodeOf([slot(3, { 2: 'incomplete' })]), 'Slot 3 on n0 has lost what it held. > skyshard repair slot 3'],
    [nodeOf([slot(3, { 2: 'stopped' })]), 'Slot 3 on n0 applies nothing: it is stopped. > skyshard quarantine list'],
    [nodeOf([slot(3, { 8: 7 })]), 'Slot 3 on n0 keeps 7 entries that could not be applied. > skyshard quarantine list'],
    [
      nodeOf([slot(3, { 1: 'replica', 4: 12_000 })]),
      'The replica of slot 3 on n0 is 12 s behind its log. > skyshard replica verify 3',
    ],
    [
      nodeOf([slot(3, { 7: 81_920 })]),
      'The map of slot 3 on n0 is 82 % full (80 KiB of 97.7 KiB). > skyshard slot compact 3',
    ],
  ])('names what is wrong with nodes and slots, and the command: %#', (node, expected) => {
    expect(textsOf([node])).toEqual([expected]);
  });

  it('names a slot with five times the mean load', () => {
    const slots = Array.from({ length: 8 }, (_unused, index) => slot(index));
    const frames = [frameOf(1, {}, { slotReads: [2, 3_500] }), frameOf(2, {}, { slotReads: [2, 3_500, 5, 1_000] })];
    expect(readsBySlot([frames]).get(2)).toBe(7_000);
    expect(textsOf([nodeOf(slots)], new Map([['n0', frames]]))).toEqual([
      'Slot 2 carries 7 times the mean load of all 8 slots. > skyshard map show --json',
    ]);
  });

  it('names huge batches, refusals, and steps that take longer than before', () => {
    const recent = new Map([
      [
        'router',
        [frameOf(1, { 'items|GetPostRecords': [10, 90, 4_000, 10], 'request|GetPostRecords|refused': [5, 2] })],
      ],
      ['n0', [frameOf(1, { commit: [9_000, 100] })]],
    ]);
    const earlier = new Map([['n0', [frameOf(0, { commit: [3_000, 100] })]]]);
    expect(textsOf([nodeOf([slot(0)])], recent, earlier)).toEqual([
      'router refuses 2 requests/s, since a limit is reached. > skyshard top --once',
      'Requests of GetPostRecords at router are huge: 1 in 100 asks for 4,000 items or more. > skyshard hist show --series request_items',
      'A commit with its flush takes 3 times as long on n0 as before (9 ms, was 3 ms). > skyshard hist show --series n0/commit',
    ]);
  });

  it('names the caller of huge batches, and no caller of few items', () => {
    const series = { 'items|GetActors': [4_000, 10], 'caller-items|bulk': [4_000, 10], 'caller-items|app': [25, 900] };
    expect(textsOf([nodeOf([slot(0)])], new Map([['router', [frameOf(1, series)]]]))).toEqual([
      'Caller bulk sends huge batches to router: 1 in 100 asks for 4,000 items or more, by GetActors. > skyshard hist show --series caller_request_items',
    ]);
  });

  it('names moves that wait for someone', () => {
    const group = { from: 'n0', to: 'n1', slots: 3, bytes: 1, bytesDone: 1, entriesBehind: 0 };
    const of = (countByPhase: Record<string, number>): string[] =>
      textsOf([nodeOf([slot(0)])], none, none, { moves: [{ ...group, countByPhase }] });
    expect(of({ copying: 2, ready: 1 })).toEqual([]);
    expect(of({ ready: 3 })).toEqual(['3 slots from n0 to n1 are in step, and not handed over. > skyshard move']);
    expect(of({ paused: 3 })).toEqual(['Moves of 3 slots from n0 to n1 are paused. > skyshard move resume']);
    expect(of({ kept: 3 })).toEqual([
      '3 slots from n0 to n1 are handed over, and n0 still keeps its copies. > skyshard move drop',
    ]);
  });

  it('names sources that bring nothing', () => {
    const source: SourceState = {
      name: 'http://relay.example',
      connected: true,
      pausedMs: null,
      problem: null,
      lastProblem: 'refused',
      receivedSeq: 1,
      durableSeq: 1,
      pendingEvents: 0,
      lagMs: 5,
    };
    const lookups = { directory: 0, otherHosts: 0 };
    const backfill = {
      reposTotal: 0,
      reposDone: 0,
      reposFailed: 0,
      reposQueued: 0,
      reposRunning: 0,
      recordsPerS: 0,
      etaMs: null,
    };
    const of = (more: Partial<SourceState>): string[] => {
      const ingest = {
        sources: [{ ...source, ...more }],
        labelers: [],
        identitiesPending: 0,
        lookups: { identities: lookups, deletions: lookups },
        backfill,
        bsync: null,
        repair: null,
      };
      return textsOf([nodeOf([slot(0)])], none, none, { ingest });
    };
    expect(of({})).toEqual([]);
    expect(of({ connected: false })).toEqual([
      'Source http://relay.example is not connected: refused. > skyshard source list',
    ]);
    expect(of({ pausedMs: 5 })).toEqual([
      'Source http://relay.example is paused. > skyshard source resume http://relay.example',
    ]);
    expect(of({ problem: { isStopped: true, message: 'it is behind', hint: 'Set the clock.' } })).toEqual([
      'it is behind. Set the clock. > skyshard source list',
    ]);
  });
});
