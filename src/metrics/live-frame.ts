/** What a page gets of a stretch of time: declared once for the processes and the page. */

/** One series. `counts` has its values, each followed by its count. Units: µs or items. */
export type LiveSeries = { readonly count: number; readonly sum: number; readonly counts: number[] };

/** How much of a kind of series there was: values, and their sum. */
export type Total = [count: number, sum: number];

/** What was recorded in `spanMs` up to `endMs`. */
export type LiveFrame = {
  readonly endMs: number;
  readonly spanMs: number;
  /** By `<kind>|<label>|…`, such as `request|GetTimeline|ok`; in answers those asked for. */
  readonly series: Record<string, LiveSeries>;
  /** Of all series, by kind; of requests by `request|<outcome>`. */
  readonly totals: Record<string, Total>;
  /** Slots, each followed by how often reads looked into it. */
  readonly slotReads: number[];
  /** Figures of the process at the end of the frame, by name. */
  readonly gauges: Record<string, number>;
};

/** True for a key whose parts begin with those of the prefix. */
export function isIn(key: string, prefix: string): boolean {
  return key === prefix || key.startsWith(`${prefix}|`);
}
