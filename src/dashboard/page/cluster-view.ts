/** Nodes, slots by load or lag, and how soon events can be read. */
import { readsBySlot, type SlotRow } from './advice.ts';
import { Chart } from './charts.ts';
import { columnsOf } from './columns.ts';
import { type Cell, card, choice, h, table } from './dom.ts';
import { bytes, distributionOf, duration, rateOf, threeDigits } from './figures.ts';
import type { View, ViewContext } from './view.ts';

const windowMs = 10_000;
/** Beyond so many, slots are drawn smaller. */
const largeSlotsMax = 256;

function nodeRows({ connection }: ViewContext): Cell[][] {
  const recent = connection.recent(windowMs);
  return (connection.cluster?.nodes ?? []).map(({ name, state, error, slots }) => {
    const lags = slots.flatMap(([, , , lagMs]) => (lagMs === null ? [] : [lagMs]));
    const behind = Math.max(0, ...slots.map(([, , , , behindMs]) => behindMs));
    const sum = (column: 5 | 6 | 7): number => slots.reduce((total, slot) => total + slot[column], 0);
    const frames = recent.get(name) ?? [];
    const unwell = slots.filter(([, , health]) => health !== 'complete').length;
    return [
      name,
      { text: state, className: `text ${state === 'up' ? 'good' : 'bad'}` },
      String(slots.filter(([, role]) => role === 'primary').length),
      String(slots.filter(([, role]) => role === 'replica').length),
      { text: unwell === 0 ? '0' : String(unwell), className: unwell === 0 ? '' : 'bad' },
      lags.length === 0 ? '–' : duration(Math.max(...lags) * 1000),
      behind === 0 ? '0' : duration(behind * 1000),
      threeDigits(sum(5)),
      threeDigits(sum(6)),
      bytes(sum(7)),
      threeDigits(rateOf(frames, 'call')),
      { text: error, className: 'wrap' },
    ];
  });
}

type SlotFigures = { readonly row: SlotRow; readonly node: string; readonly reads: number };

function slotsOf({ connection }: ViewContext): SlotFigures[] {
  const reads = readsBySlot(connection.recent(60_000).values());
  const all = (connection.cluster?.nodes ?? []).flatMap(({ name, slots }) =>
    slots.filter(([, role]) => role === 'primary').map((row) => ({ row, node: name, reads: reads.get(row[0]) ?? 0 })),
  );
  return all.sort((a, b) => a.row[0] - b.row[0]);
}

function describe({ row, node, reads }: SlotFigures): string {
  const [slot, role, health, lagMs, , waiting, outbox, used] = row;
  const lag = lagMs === null ? 'no event yet' : `last event ${duration(lagMs * 1000)} ago`;
  return (
    `slot ${slot} on ${node}, ${role}, ${health}: ${threeDigits(reads)} reads in the last minute, ${lag}, ` +
    `${waiting} entries wait, ${outbox} effects owed, ${bytes(used)}`
  );
}

/** Draws the slots; the darker, the greater its value. */
function showSlots(
  map: HTMLElement,
  slots: readonly SlotFigures[],
  weightOf: (slot: SlotFigures) => number,
  choose: (slot: SlotFigures) => void,
): void {
  const max = Math.max(1, ...slots.map(weightOf));
  const buttons = slots.map((slot) => {
    const text = describe(slot);
    const share = Math.round((100 * weightOf(slot)) / max);
    const button = h('button', { type: 'button', title: text, 'aria-label': text, onclick: () => choose(slot) });
    if (slots.length > largeSlotsMax) button.className = 'small';
    const isWell = slot.row[2] === 'complete';
    button.style.background = isWell ? `color-mix(in srgb, var(--accent) ${share}%, var(--card))` : 'var(--bad)';
    return button;
  });
  // A click between two messages must not lose its button.
  const focused = [...map.children].indexOf(document.activeElement as Element);
  map.replaceChildren(...buttons);
  if (focused >= 0) buttons[focused]?.focus();
}

/** Draws how soon events can be read, and how many come, over all nodes. */
function showEvents({ connection }: ViewContext, delay: Chart, rate: Chart): void {
  const columns = columnsOf([...connection.secondsByProcess.values()]);
  const xs = columns.map(({ endMs }) => endMs / 1000);
  const of = columns.map((frame) => distributionOf([frame], 'apply'));
  const at = (percentile: number): (number | null)[] => of.map((one) => (one.count === 0 ? null : one.at(percentile)));
  delay.show(xs, [
    { name: 'p50', values: at(50) },
    { name: 'p99', values: at(99) },
  ]);
  rate.show(xs, [{ name: 'events', values: columns.map((frame) => rateOf([frame], 'apply')) }]);
}

export const clusterView: View = (root, context) => {
  const nodes = h('div');
  const by = context.state['by'] ?? 'load';
  const map = h('div', { class: 'slots' });
  const detail = h('p', { class: 'note', 'aria-live': 'polite' }, 'Choose a slot to see its figures.');
  const delay = new Chart('time', duration);
  const rate = new Chart('time', (value) => `${threeDigits(value)}/s`);
  const nodeCard = card('Nodes', 'calls/s of the last 10 s', nodes);
  const slotCard = card(
    'Slots',
    'of primaries; darker is more',
    h(
      'div',
      { class: 'controls' },
      choice(
        'coloured by',
        [
          ['load', 'reads of the last minute'],
          ['lag', 'age of the last event'],
          ['size', 'size'],
        ],
        by,
        (value) => context.set({ by: value }),
      ),
    ),
    h('p'),
    map,
    detail,
  );
  nodeCard.className = 'wide';
  slotCard.className = 'wide';
  root.append(
    nodeCard,
    slotCard,
    card('From event to visible', 'p50 and p99 of each second; at most a minute', delay.element),
    card('Events applied', 'per second', rate.element),
  );
  let chosen: number | null = null;
  return () => {
    const headings = [
      'node',
      '~state',
      'primary',
      'replica',
      'unwell',
      'lag',
      'behind',
      'waiting',
      'outbox',
      'size',
      'calls/s',
      '',
    ];
    nodes.replaceChildren(table(headings, nodeRows(context)));
    const slots = slotsOf(context);
    const weightOf = ({ row, reads }: SlotFigures): number =>
      by === 'load' ? reads : by === 'lag' ? (row[3] ?? 0) : row[7];
    showSlots(map, slots, weightOf, (slot) => {
      chosen = slot.row[0];
      detail.textContent = describe(slot);
    });
    const now = slots.find(({ row }) => row[0] === chosen);
    if (now !== undefined) detail.textContent = describe(now);
    showEvents(context, delay, rate);
  };
};
