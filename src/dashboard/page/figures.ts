/** Figures of histograms as the server sends them, and how they are written. Pure. */
import { isIn, type LiveFrame, type LiveSeries } from '../../metrics/live-frame.ts';

/** Values by how often they occur, over any number of frames, threads and processes. */
export class Distribution {
  readonly #countByValue = new Map<number, number>();
  count = 0;
  sum = 0;

  add({ count, sum, counts }: LiveSeries): this {
    this.count += count;
    this.sum += sum;
    for (let at = 0; at < counts.length; at += 2) {
      this.#countByValue.set(counts[at]!, (this.#countByValue.get(counts[at]!) ?? 0) + counts[at + 1]!);
    }
    return this;
  }

  /** Takes back what was added. */
  subtract({ count, sum, counts }: LiveSeries): void {
    this.count -= count;
    this.sum -= sum;
    for (let at = 0; at < counts.length; at += 2) {
      const left = (this.#countByValue.get(counts[at]!) ?? 0) - counts[at + 1]!;
      if (left > 0) this.#countByValue.set(counts[at]!, left);
      else this.#countByValue.delete(counts[at]!);
    }
  }

  /** Adds all values of another one. */
  merge(other: Distribution): void {
    this.count += other.count;
    this.sum += other.sum;
    for (const [value, count] of other.#countByValue) {
      this.#countByValue.set(value, (this.#countByValue.get(value) ?? 0) + count);
    }
  }

  /** Values and counts, ascending. */
  sorted(): [value: number, count: number][] {
    return [...this.#countByValue].sort(([a], [b]) => a - b);
  }

  /** Returns the least value that so many percent of all are not above; 0 for none. */
  at(percentile: number): number {
    return this.atAll([percentile])[0]!;
  }

  /** The same for several, ascending. */
  atAll(percentiles: readonly number[]): number[] {
    const sorted = this.sorted();
    const found = sorted.reduce((sum, [, count]) => sum + count, 0);
    let index = 0;
    let below = 0;
    return percentiles.map((percentile) => {
      const wanted = Math.max(1, Math.ceil((percentile / 100) * found - 1e-9));
      while (index < sorted.length && below + sorted[index]![1] < wanted) below += sorted[index++]![1];
      return sorted[Math.min(index, sorted.length - 1)]?.[0] ?? 0;
    });
  }
}

/** Returns the values of a series in frames. */
export function distributionOf(frames: Iterable<LiveFrame>, key: string): Distribution {
  const all = new Distribution();
  for (const { series } of frames) {
    const one = series[key];
    if (one !== undefined) all.add(one);
  }
  return all;
}

/** Returns how often something happened per second, by a series. */
export function rateOf(frames: readonly LiveFrame[], key: string): number {
  const spanMs = frames.reduce((sum, frame) => sum + frame.spanMs, 0);
  const count = frames.reduce((sum, { series }) => sum + (series[key]?.count ?? 0), 0);
  return spanMs === 0 ? 0 : (count * 1000) / spanMs;
}

/** Returns how much of a kind there was in frames, of all series of that kind. */
export function totalOf(
  frames: Iterable<LiveFrame>,
  kind: string,
  isMeant: (key: string) => boolean = () => true,
): { count: number; sum: number; spanMs: number } {
  const all = { count: 0, sum: 0, spanMs: 0 };
  for (const { spanMs, totals } of frames) {
    all.spanMs += spanMs;
    for (const [key, [count, sum]] of Object.entries(totals)) {
      if (!isIn(key, kind) || !isMeant(key)) continue;
      all.count += count;
      all.sum += sum;
    }
  }
  return all;
}

/** Returns how often something happened per second, of all series of a kind. */
export function kindRateOf(frames: Iterable<LiveFrame>, kind: string, isMeant?: (key: string) => boolean): number {
  const { count, spanMs } = totalOf(frames, kind, isMeant);
  return spanMs === 0 ? 0 : (count * 1000) / spanMs;
}

/** True for a request that ended otherwise than well. */
export function isError(key: string): boolean {
  return key.startsWith('request|') && !key.endsWith('|ok');
}

/** Returns a number with about three digits. */
export function threeDigits(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return '0';
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en');
  return String(Number(value.toPrecision(3)));
}

/** Writes a duration in µs with its unit. */
export function duration(micros: number): string {
  if (micros >= 1e6) return `${threeDigits(micros / 1e6)} s`;
  if (micros >= 1e3) return `${threeDigits(micros / 1e3)} ms`;
  return `${Math.round(micros)} µs`;
}

/** Writes a size with its unit. */
export function bytes(count: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = count;
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${threeDigits(value)} ${units[unit]}`;
}

/** Returns how fast a counter grew per second between two frames; 0 after a restart. */
export function growth(before: LiveFrame | undefined, after: LiveFrame | undefined, gauge: string): number {
  if (before === undefined || after === undefined || after.endMs <= before.endMs) return 0;
  const grown = (after.gauges[gauge] ?? 0) - (before.gauges[gauge] ?? 0);
  return Math.max(0, (grown * 1000) / (after.endMs - before.endMs));
}
