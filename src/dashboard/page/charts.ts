/** Lines over time and curves by percentile, drawn by uPlot in the colours of the page. */
import UPlot from 'uplot';
import { bytes } from './figures.ts';

export type Line = { readonly name: string; readonly values: readonly (number | null)[] };

const hues = [212, 28, 140, 280, 350, 180, 55, 250, 100, 320];

function isDark(): boolean {
  return matchMedia('(prefers-color-scheme: dark)').matches;
}

function colour(index: number): string {
  return `hsl(${hues[index % hues.length]} 70% ${isDark() ? 65 : 42}%)`;
}

function variable(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Distances of ticks that are whole in KiB, MiB and so on. */
const byteSteps = Array.from({ length: 60 }, (_unused, power) => 2 ** power);

function axis(format: (value: number) => string): UPlot.Axis {
  return {
    ...(format === bytes ? { incrs: byteSteps } : {}),
    stroke: variable('--faint'),
    grid: { stroke: variable('--line'), width: 1 },
    ticks: { stroke: variable('--line'), width: 1 },
    values: (_plot, ticks) => ticks.map(format),
    size: 76,
  };
}

const height = 200;
/** Columns of late in which a line may lack a value and still has a newest one. */
const newestColumns = 5;

/** Returns what a legend writes of a line: the value at the pointer, or the newest without one. */
function legendOf(format: (value: number) => string): UPlot.Series.Value {
  return (plot: UPlot, value: number | null, line: number, at: number | null) => {
    const newest = Array.from(plot.data[line]!.slice(-newestColumns)).findLast((one) => one != null);
    const shown = at === null ? newest : value;
    return shown == null ? '–' : format(shown);
  };
}

/** A chart whose data are replaced; it takes the width of its place. */
export class Chart {
  readonly element = document.createElement('div');
  readonly #format: (value: number) => string;
  readonly #x: 'time' | 'percentile';
  #plot: UPlot | null = null;
  #names = '';

  constructor(x: 'time' | 'percentile', format: (value: number) => string) {
    this.#x = x;
    this.#format = format;
    new ResizeObserver(() => this.#plot?.setSize({ width: this.#width, height })).observe(this.element);
  }

  get #width(): number {
    return Math.max(200, this.element.clientWidth);
  }

  /** Shows lines over these values of x: seconds since 1970, or decades of what is above. */
  show(xs: readonly number[], lines: readonly Line[]): void {
    const names = `${lines.map(({ name }) => name).join('\n')}${isDark()}`;
    const data = [xs, ...lines.map(({ values }) => values)] as UPlot.AlignedData;
    if (names === this.#names && this.#plot !== null) return this.#plot.setData(data);
    this.#names = names;
    this.#plot?.destroy();
    const isTime = this.#x === 'time';
    const xAxis = { ...axis((value) => percentileName(value)), size: 32, splits: () => [0, 1, 2, 3, 4] };
    const timeAxis = { ...axis((value) => timeName(value)), size: 32, space: 90 };
    this.#plot = new UPlot(
      {
        width: this.#width,
        height,
        // Room for the half of a label at the edge.
        padding: [null, 30, null, null],
        scales: { x: { time: isTime }, y: { range: (_plot, _min, max) => [0, max > 0 ? max * 1.05 : 1] } },
        series: [
          { label: isTime ? 'time' : 'percentile', value: legendOf(isTime ? timeName : percentileName) },
          ...lines.map(({ name }, index) => ({
            label: name,
            stroke: colour(index),
            width: 1.6,
            points: { show: false },
            value: legendOf(this.#format),
          })),
        ],
        axes: [isTime ? timeAxis : xAxis, axis(this.#format)],
      },
      data,
      this.element,
    );
  }
}

function timeName(seconds: number): string {
  return new Date(seconds * 1000).toLocaleTimeString('en', { hour12: false });
}

/** Writes the percentile with so many decades of what is above: 2 is 99. */
export function percentileName(decades: number): string {
  const percentile = 100 * (1 - 10 ** -decades);
  return String(Number(percentile.toFixed(Math.max(0, Math.ceil(decades) - 1))));
}
