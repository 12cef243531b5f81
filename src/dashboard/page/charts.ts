/** Lines over time and curves by percentile, drawn by uPlot in the colours of the page. */
import UPlot from 'uplot';

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

function axis(format: (value: number) => string): UPlot.Axis {
  return {
    stroke: variable('--faint'),
    grid: { stroke: variable('--line'), width: 1 },
    ticks: { stroke: variable('--line'), width: 1 },
    values: (_plot, ticks) => ticks.map(format),
    size: 76,
  };
}

const height = 200;

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
        scales: { x: { time: isTime }, y: { range: (_plot, _min, max) => [0, max > 0 ? max * 1.05 : 1] } },
        series: [
          { label: isTime ? 'time' : 'percentile', value: (_plot, value) => nameOf(isTime, value) },
          ...lines.map(({ name }, index) => ({
            label: name,
            stroke: colour(index),
            width: 1.6,
            points: { show: false },
            value: (_plot: UPlot, value: number | null) => (value === null ? '–' : this.#format(value)),
          })),
        ],
        axes: [isTime ? timeAxis : xAxis, axis(this.#format)],
      },
      data,
      this.element,
    );
  }
}

function nameOf(isTime: boolean, value: number | null): string {
  if (value === null) return '–';
  return isTime ? timeName(value) : percentileName(value);
}

function timeName(seconds: number): string {
  return new Date(seconds * 1000).toLocaleTimeString('en', { hour12: false });
}

/** Writes the percentile with so many decades of what is above: 2 is 99. */
export function percentileName(decades: number): string {
  const percentile = 100 * (1 - 10 ** -decades);
  return String(Number(percentile.toFixed(Math.max(0, Math.ceil(decades) - 1))));
}
