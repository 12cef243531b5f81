/** What the page computes from frames: percentiles, rates, columns, and advice. */
import { describe, expect, it } from 'vitest';
import { adviceOf, type NodeState, readsBySlot, type SlotRow } from '../../../src/dashboard/page/advice.ts';
import { columnMs, columnsOf } from '../../../src/dashboard/page/columns.ts';
import {
  bytes,
  Distribution,
  distributionOf,
  duration,
  type Frame,
  growth,
  isError,
  isIn,
  rateOf,
  threeDigits,
} from '../../../src/dashboard/page/figures.ts';
import { cellsOf, rowOf } from '../../../src/dashboard/page/heat-cells.ts';

function frameOf(endMs: number, series: Record<string, number[]>, more: Partial<Frame> = {}): Frame {
  const of = Object.entries(series).map(([key, counts]) => {
    let [count, sum] = [0, 0];
    for (let at = 0; at < counts.length; at += 2) {
      count += counts[at + 1]!;
      sum += counts[at]! * counts[at + 1]!;
    }
    return [key, { count, sum, counts }];
  });
  return { endMs, spanMs: 1_000, series: Object.fromEntries(of), slotReads: [], gauges: {}, ...more };
}

describe('a distribution', () => {
  it('has the percentiles of all values that were added', () => {
    const frames = [
      frameOf(1, { 'request|Ping|ok': [10, 98, 500, 1] }),
      frameOf(2, { 'request|Ping|late': [9_000, 1] }),
    ];
    const of = distributionOf(frames, 'request|Ping');
    expect(of.count).toBe(100);
    expect(of.atAll([50, 98, 99, 99.5, 100])).toEqual([10, 10, 500, 9_000, 9_000]);
    expect(new Distribution().at(99)).toBe(0);
  });

  it('takes keys by whole parts', () => {
    expect([isIn('request|Ping|ok', 'request|Ping'), isIn('request|PingPong|ok', 'request|Ping')]).toEqual([
      true,
      false,
    ]);
    expect(isIn('apply', 'apply')).toBe(true);
  });
});

it('rates are per second of what frames span', () => {
  const frames = [
    frameOf(1_000, { 'request|a|ok': [1, 10] }),
    frameOf(2_000, { 'request|a|late': [1, 4], 'call|a': [1, 99] }),
  ];
  expect(rateOf(frames, 'request')).toBe(7);
  expect(rateOf(frames, 'request', isError)).toBe(2);
  expect(rateOf([], 'request')).toBe(0);
});

it('counters grow between frames, and not by a restart', () => {
  const at = (endMs: number, cpu: number): Frame => frameOf(endMs, {}, { gauges: { cpu } });
  expect(growth(at(1_000, 5), at(3_000, 9), 'cpu')).toBe(2);
  expect(growth(at(1_000, 9), at(2_000, 1), 'cpu')).toBe(0);
  expect(growth(undefined, at(2_000, 1), 'cpu')).toBe(0);
});

it('figures have their units', () => {
  expect([17, 1_500, 12_345, 2_500_000].map(duration)).toEqual(['17 µs', '1.5 ms', '12.3 ms', '2.5 s']);
  expect([0, 1_234, 5 * 2 ** 30].map(bytes)).toEqual(['0 B', '1.21 KiB', '5 GiB']);
  expect([0, 0.00123, 99.96, 12_345].map(threeDigits)).toEqual(['0', '0.00123', '100', '12,345']);
});

it('frames of several processes make one column for each second, with all counts', () => {
  const one = [frameOf(1_020, { apply: [1, 2] }), frameOf(2_010, { apply: [1, 3] })];
  const other = [frameOf(980, { apply: [1, 5] })];
  const columns = columnsOf([one, other]);
  expect(columns.map(({ endMs }) => endMs)).toEqual([1_000, 2_000]);
  expect(columns.map((frame) => distributionOf([frame], 'apply').count)).toEqual([7, 3]);
  expect([columnMs([]), columnMs([{ ...one[0]!, spanMs: 5_003 }])]).toEqual([1_000, 5_000]);
});

it('a heat map has each value once, in rows of a logarithmic scale', () => {
  const [cells] = cellsOf([frameOf(1, { 'request|a|ok': [100, 3, 1_000, 2], 'call|a': [5, 1] })], 'request');
  expect(cells!.reduce((sum, count) => sum + count, 0)).toBe(5);
  expect([cells![rowOf(100)], cells![rowOf(1_000)]]).toEqual([3, 2]);
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
    slotMapBytes: 100_000,
    slots,
    ...more,
  });
  const none = new Map<string, Frame[]>();
  const textsOf = (
    nodes: NodeState[],
    recent: Map<string, Frame[]> = none,
    earlier: Map<string, Frame[]> = none,
  ): string[] => adviceOf({ nodes, recent, earlier }).map(({ text, command }) => `${text} > ${command}`);

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
      'Requests of GetPostRecords at router ask for 4,000 items (1 in 100 for more). > skyshard hist show --series request_items',
      'A commit with its flush takes 3 times as long on n0 as before (9 ms, was 3 ms). > skyshard hist show --series n0/commit',
    ]);
  });
});
