/** Counts by time and value, for a heat map. Pure. */
import type { LiveFrame } from '../../metrics/live-frame.ts';

/** From 10 µs to a minute. */
export const decadesMin = 1;
export const decadesMax = 7.8;
export const rowsOfDecade = 12;
export const rows = Math.ceil((decadesMax - decadesMin) * rowsOfDecade);
/** Returns the row of a value, 0 for the least. */
export function rowOf(value: number): number {
  const row = Math.floor((Math.log10(Math.max(1, value)) - decadesMin) * rowsOfDecade);
  return Math.min(rows - 1, Math.max(0, row));
}

/** Returns counts by row, of all frames of one column. */
export function cellsOf(frames: readonly LiveFrame[], key: string): number[] {
  const cells = new Array<number>(rows).fill(0);
  for (const { series } of frames) {
    const { counts } = series[key] ?? { counts: [] };
    for (let at = 0; at < counts.length; at += 2) cells[rowOf(counts[at]!)]! += counts[at + 1]!;
  }
  return cells;
}
