/** Requests, items, errors, hedges, caches, CPU, event loop, memory and page faults over time. */
import { Chart } from './charts.ts';
import { Columns, columnMs } from './columns.ts';
import { card, choice, h } from './dom.ts';
import { errorsByCause, FigureValues, figures, perSecond } from './load-figures.ts';
import { framesOf, spanOf, type View, windows } from './view.ts';

export const loadView: View = (root, context) => {
  const { state, set, connection } = context;
  connection.want({ prefixes: [], process: null, spanS: spanOf(context) });
  const controls = card(
    'Load',
    '',
    h(
      'div',
      { class: 'controls' },
      choice('window', windows, state['minutes'] ?? '2', (value) => set({ minutes: value })),
    ),
  );
  controls.className = 'wide';
  const shown = figures.map((figure) => {
    const chart = new Chart('time', figure.format);
    const element = card(figure.title, figure.note, chart.element);
    return { figure, chart, element, values: new FigureValues(figure) };
  });
  const errors = new Chart('time', perSecond);
  const causes = new Columns(errorsByCause);
  root.append(
    controls,
    ...shown.map(({ element }) => element),
    card('Errors', 'per second, by cause; `caller` are mistakes of callers', errors.element),
  );
  return () => {
    const byProcess = framesOf(context);
    const all = [...byProcess.values()];
    const spanMs = columnMs(all[0] ?? []);
    const timeOf = ({ endMs }: { readonly endMs: number }): number => Math.round(endMs / spanMs);
    const times = [...new Set(all.flatMap((frames) => frames.map(timeOf)))].sort((a, b) => a - b);
    const xs = times.map((time) => (time * spanMs) / 1000);
    for (const { figure, chart, element, values } of shown) {
      const { lines, left } = values.of(byProcess, connection.atMs);
      const drawn = [...lines].map(([name, of]) => {
        const frames = byProcess.get(name)!;
        const valueAt = new Map(frames.map((frame, index) => [timeOf(frame), of[index] ?? null]));
        return { name, values: times.map((time) => valueAt.get(time) ?? null) };
      });
      chart.show(xs, drawn);
      const more = left === 0 ? '' : `; ${left} more processes have less`;
      element.querySelector('small')!.textContent = `${figure.note}${more}`;
    }
    const { ends, values } = causes.of(all);
    const names = [...new Set(values.flatMap((of) => [...of.keys()]))].sort();
    errors.show(
      ends.map((end) => end / 1000),
      (names.length === 0 ? ['none'] : names).map((name) => ({ name, values: values.map((of) => of.get(name) ?? 0) })),
    );
  };
};
