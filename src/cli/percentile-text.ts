/** Percentiles of histograms for terminals: tables, and the curve to 99.99. */
import type { Histogram } from 'hdr-histogram-js';
import { isOfItems } from './histogram-log.ts';
import { type TableCell, textTable } from './text-table.ts';

export const percentilesShown = [50, 90, 99, 99.9, 99.99, 100] as const;

/** Formats a value of a series: items as they are, microseconds as ms with three digits. */
export function valueText(tag: string, value: number): string {
  if (isOfItems(tag)) return String(Math.round(value));
  const ms = value / 1000;
  return ms >= 100 ? ms.toFixed(0) : ms.toPrecision(3);
}

function headings(first: string): string[] {
  return [first, 'count', ...percentilesShown.map((percentile) => (percentile === 100 ? 'max' : `p${percentile}`))];
}

function valueAt(histogram: Histogram, percentile: number): number {
  return percentile === 100 ? histogram.maxValue : histogram.getValueAtPercentile(percentile);
}

/** Returns a table of series by tag; durations are in ms. */
export function percentileTable(histogramByTag: ReadonlyMap<string, Histogram>): string {
  const rows = Array.from(histogramByTag, ([tag, histogram]): TableCell[] => [
    tag,
    histogram.totalCount,
    ...percentilesShown.map((percentile) => valueText(tag, valueAt(histogram, percentile)).padStart(7)),
  ]);
  return textTable(headings('series (ms, or items)'), rows);
}

/** Returns a table of series that both have, with how many times more each value is after. */
export function differenceTable(before: ReadonlyMap<string, Histogram>, after: ReadonlyMap<string, Histogram>): string {
  const rows = Array.from(after).flatMap(([tag, now]): TableCell[][] => {
    const then = before.get(tag);
    if (then === undefined) return [];
    const cells = percentilesShown.map((percentile) => {
      const [was, is] = [valueAt(then, percentile), valueAt(now, percentile)];
      const ratio = was === 0 ? '' : ` ${(is / was).toFixed(2)}x`;
      return `${valueText(tag, was)} > ${valueText(tag, is)}${ratio}`;
    });
    return [[tag, `${then.totalCount} > ${now.totalCount}`, ...cells]];
  });
  return textTable(headings('series (ms, or items)'), rows);
}

const curveColumns = 61;
const curveRows = 12;
/** The curve ends at 1 in 10 to this power. */
const decades = 4;

/** Draws the value by percentile, from 0 to 99.99; each decade of what is above has equal room. */
export function percentileCurve(tag: string, histogram: Histogram): string {
  const values = Array.from({ length: curveColumns }, (_unused, column) =>
    histogram.getValueAtPercentile(100 * (1 - 10 ** ((-decades * column) / (curveColumns - 1)))),
  );
  const max = Math.max(1, ...values);
  const lines = Array.from({ length: curveRows }, (_unused, row) => {
    const top = (max * (curveRows - row)) / curveRows;
    const bottom = (max * (curveRows - row - 1)) / curveRows;
    const dots = values.map((value) => (value > bottom && value <= top ? '*' : value > top ? '.' : ' ')).join('');
    return `${valueText(tag, top).padStart(9)} |${dots}`.trimEnd();
  });
  const marks = ['0', '90', '99', '99.9', '99.99'];
  const step = (curveColumns - 1) / decades;
  const axis = marks.map((mark, index) => (index === 0 ? mark.padEnd(step) : mark.padEnd(step))).join('');
  const unit = isOfItems(tag) ? 'items' : 'ms';
  return `${tag} (${unit} by percentile)\n${lines.join('\n')}\n${' '.repeat(10)}+${'-'.repeat(curveColumns)}\n${' '.repeat(11)}${axis.trimEnd()}\n`;
}
