/** With 64 nodes and an hour, a page looks only at what is new: work is counted, not timed. */
import { describe, expect, it } from 'vitest';
import { Columns } from '../../../src/dashboard/page/columns.ts';
import { FrameWindows, framesKept, mergedOf, withFrames } from '../../../src/dashboard/page/frame-windows.ts';
import { cellsOf } from '../../../src/dashboard/page/heat-cells.ts';
import { FigureValues, figures, linesMax } from '../../../src/dashboard/page/load-figures.ts';
import type { LiveFrame } from '../../../src/metrics/live-frame.ts';

const processes = Array.from({ length: 64 }, (_unused, index) => `n${index}`);
const spanMs = 30_000;
let looks = 0;

/** A frame that counts how often its values are looked at. */
function countedFrame(node: number, step: number): LiveFrame {
  const counts = Array.from({ length: 200 }, (_unused, at) => (at % 2 === 0 ? 20 + at * (1 + (node % 5)) : 3));
  const series = {
    call: {
      count: 300,
      sum: 9_000,
      get counts() {
        looks++;
        return counts;
      },
    },
  };
  const gauges = { residentBytes: 1e9 + node, cpuSeconds: step * (1 + node), cacheHits: step * 50, cacheMisses: step };
  return { endMs: step * spanMs + node, spanMs, series, totals: { call: [300 + node, 9_000] }, slotReads: [], gauges };
}

function hourUpTo(step: number, known: ReadonlyMap<string, readonly LiveFrame[]>): Map<string, readonly LiveFrame[]> {
  return new Map(
    processes.map((name, node) => {
      const before = known.get(name) ?? [];
      const given =
        before.length > 0
          ? [countedFrame(node, step)]
          : Array.from({ length: framesKept }, (_unused, index) => countedFrame(node, step - framesKept + 1 + index));
      return [name, withFrames(before, given)];
    }),
  );
}

const first = hourUpTo(1_000, new Map());
const second = hourUpTo(1_001, first);

describe('64 nodes with an hour each', () => {
  it('have their values added once, and then those that came and went', () => {
    const windows = new FrameWindows('call');
    const columns = new Columns((frames) => cellsOf(frames, 'call'));
    const show = (byProcess: Map<string, readonly LiveFrame[]>): number => {
      const before = looks;
      windows.of(byProcess);
      columns.of([...byProcess.values()]);
      return looks - before;
    };
    expect(show(first)).toBe(2 * 64 * framesKept);
    expect(show(first)).toBe(0);
    expect(show(second)).toBe(3 * 64);
    const all = mergedOf(windows.of(second).values());
    expect(all.count).toBe(64 * framesKept * 300);
    const { ends, values } = columns.of([...second.values()]);
    expect(ends.length).toBe(framesKept);
    expect(values[0]!.reduce((sum, count) => sum + count, 0)).toBe(64 * 300);
  });

  it('draw at most a dozen lines a chart, those with the most, of values that are computed once', () => {
    let computed = 0;
    const cpu = figures.find(({ title }) => title === 'CPU')!;
    const values = new FigureValues({
      ...cpu,
      value: (frame, before) => {
        computed++;
        return cpu.value(frame, before);
      },
    });
    const shown = values.of(first, 0);
    expect(computed).toBeLessThanOrEqual(64 * (framesKept + 1));
    expect([...shown.lines.keys()].sort()).toEqual(processes.slice(-linesMax).sort());
    expect(shown.left).toBe(64 - linesMax);
    const points = [...shown.lines.values()].reduce((sum, line) => sum + line.length, 0);
    expect(points).toBeLessThanOrEqual(linesMax * framesKept);
    computed = 0;
    values.of(second, 1_000);
    values.of(second, 60_000);
    expect(computed).toBeLessThanOrEqual(3 * 64);
  });
});

it('frames that come twice are there once, in order, and the newer are taken', () => {
  const at = (endMs: number, call: number): LiveFrame => ({
    endMs,
    spanMs: 1_000,
    series: {},
    totals: { call: [call, 0] },
    slotReads: [],
    gauges: {},
  });
  const frames = withFrames([at(1, 1), at(3, 3)], [at(2, 2), at(3, 30), at(4, 4)]);
  expect(frames.map(({ endMs, totals }) => [endMs, totals['call']![0]])).toEqual([
    [1, 1],
    [2, 2],
    [3, 30],
    [4, 4],
  ]);
  expect(
    withFrames(
      [],
      Array.from({ length: 500 }, (_unused, index) => at(index, 0)),
    ).length,
  ).toBe(framesKept);
});
