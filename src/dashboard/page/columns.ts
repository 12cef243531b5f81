/** Frames of several processes as columns of one time axis. */
import type { Frame } from './figures.ts';

/** Returns how wide a column of frames is: whole seconds, since timers are not exact. Units: ms. */
export function columnMs(frames: readonly Frame[]): number {
  return Math.max(1_000, 1_000 * Math.round((frames.at(-1)?.spanMs ?? 0) / 1_000));
}

/** Returns frames of all processes as those of one, by the second or step in which they end. */
export function columnsOf(frames: readonly (readonly Frame[])[]): Frame[] {
  const longest = frames.reduce((a, b) => (b.length > a.length ? b : a), []);
  const spanMs = columnMs(longest);
  const byTime = new Map<number, Frame[]>();
  for (const frame of frames.flat()) {
    const time = Math.round(frame.endMs / spanMs);
    byTime.set(time, [...(byTime.get(time) ?? []), frame]);
  }
  return [...byTime]
    .sort(([a], [b]) => a - b)
    .map(([time, together]) => {
      const series: Record<string, Frame['series'][string]> = {};
      together.forEach((frame, index) => {
        // Keys are kept apart by a last part, since several processes have the same.
        for (const [key, one] of Object.entries(frame.series)) series[`${key}|${index}`] = one;
      });
      return { endMs: time * spanMs, spanMs, series, slotReads: [], gauges: {} };
    });
}
