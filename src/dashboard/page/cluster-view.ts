/** Nodes, shards, moves, slots by load or lag, and how soon events can be read. */
import type { LiveFrame } from '../../metrics/live-frame.ts';
import type { ShardRow } from '../cluster-rows.ts';
import { readsBySlot } from './advice.ts';
import { Chart } from './charts.ts';
import type { NodeState } from './cluster-state.ts';
import { Columns } from './columns.ts';
import { type Cell, card, choice, h, table } from './dom.ts';
import { bytes, distributionOf, duration, kindRateOf, threeDigits } from './figures.ts';
import { movesCard } from './moves-card.ts';
import { describe, type SlotFigures, SlotMap } from './slot-map.ts';
import type { View, ViewContext } from './view.ts';

const windowMs = 10_000;
/** Shown one by one; those that are well come last. */
const shardsShown = 64;
/** So long a node that has started again stands out: it can be back before anyone saw it down. */
const newMs = 60_000;

function stateCell({ state, upMs }: NodeState): Cell {
  if (state !== 'up') return { text: state, className: 'text bad' };
  if (upMs === null || upMs >= newMs) return { text: state, className: 'text good' };
  return { text: `up for ${Math.floor(upMs / 1000)} s`, className: 'text warn' };
}

function nodeRows({ connection }: ViewContext): Cell[][] {
  const recent = connection.recent(windowMs);
  const newest = connection.cluster?.epoch ?? 0;
  return (connection.cluster?.nodes ?? []).map((node) => {
    const { name, error, epoch, freeBytes, slots } = node;
    const lags = slots.flatMap(([, , , lagMs]) => (lagMs === null ? [] : [lagMs]));
    const behind = Math.max(0, ...slots.map(([, , , , behindMs]) => behindMs));
    const sum = (column: 5 | 6 | 7 | 8): number => slots.reduce((total, slot) => total + slot[column], 0);
    const unwell = slots.filter(([, , health]) => health !== 'complete').length;
    const quarantined = sum(8);
    return [
      name,
      stateCell(node),
      epoch === null ? '–' : { text: String(epoch), className: epoch < newest ? 'warn' : '' },
      String(slots.filter(([, role]) => role === 'primary').length),
      String(slots.filter(([, role]) => role === 'replica').length),
      { text: String(unwell), className: unwell === 0 ? '' : 'bad' },
      lags.length === 0 ? '–' : duration(Math.max(...lags) * 1000),
      behind === 0 ? '0' : duration(behind * 1000),
      threeDigits(sum(5)),
      threeDigits(sum(6)),
      { text: threeDigits(quarantined), className: quarantined === 0 ? '' : 'warn' },
      bytes(sum(7)),
      freeBytes === null ? '–' : bytes(freeBytes),
      threeDigits(kindRateOf(recent.get(name) ?? [], 'call')),
      { text: error, className: 'wrap' },
    ];
  });
}

const nodeHeadings = [
  'node',
  '~state',
  'map',
  'primary',
  'replica',
  'unwell',
  'lag',
  'behind',
  'waiting',
  'outbox',
  'aside',
  'size',
  'disk free',
  'calls/s',
  '',
];

function shardRow({ name, primary, replicas, slots, unwell, lagMs, behindMs, bytes: size }: ShardRow): Cell[] {
  return [
    name,
    { text: primary, className: 'text' },
    { text: replicas.length === 0 ? '–' : replicas.join(', '), className: 'text' },
    String(slots),
    { text: String(unwell), className: unwell === 0 ? '' : 'bad' },
    lagMs === null ? '–' : duration(lagMs * 1000),
    behindMs === 0 ? '0' : duration(behindMs * 1000),
    bytes(size),
  ];
}

function showShards(root: HTMLElement, shards: readonly ShardRow[]): void {
  const rows = shards
    .toSorted((a, b) => b.unwell - a.unwell)
    .slice(0, shardsShown)
    .map(shardRow);
  const left = shards.length - rows.length;
  root.replaceChildren(
    table(['shard', '~primary', '~replicas', 'slots', 'unwell copies', 'lag', 'behind', 'size'], rows),
    left === 0 ? '' : h('p', { class: 'note' }, `${left} more shards that are no worse.`),
  );
}

function slotsOf({ connection }: ViewContext): SlotFigures[] {
  const reads = readsBySlot(connection.recent(60_000).values());
  const all = (connection.cluster?.nodes ?? []).flatMap(({ name, slots }) =>
    slots.filter(([, role]) => role === 'primary').map((row) => ({ row, node: name, reads: reads.get(row[0]) ?? 0 })),
  );
  return all.sort((a, b) => a.row[0] - b.row[0]);
}

type Events = { readonly p50: number | null; readonly p99: number | null; readonly perS: number };

/** Returns how soon events could be read, and how many came, in one column of all nodes. */
function eventsOf(frames: readonly LiveFrame[]): Events {
  const of = distributionOf(frames, 'apply');
  const [p50, p99] = of.atAll([50, 99]);
  const perS = frames.reduce((sum, frame) => sum + kindRateOf([frame], 'apply'), 0);
  return of.count === 0 ? { p50: null, p99: null, perS } : { p50: p50!, p99: p99!, perS };
}

type By = 'load' | 'lag' | 'size';

function weightBy(by: string): (slot: SlotFigures) => number {
  return ({ row, reads }) => (by === 'load' ? reads : by === 'lag' ? (row[3] ?? 0) : row[7]);
}

export const clusterView: View = (root, context) => {
  const { connection, state, set } = context;
  connection.want({ prefixes: ['apply'], process: null, spanS: 1 });
  const nodes = h('div');
  const shards = h('div');
  const by = state['by'] ?? 'load';
  const detail = h('p', { class: 'note', 'aria-live': 'polite' }, 'Choose a slot to see its figures.');
  let chosen: number | null = null;
  const map = new SlotMap((slot) => {
    chosen = slot.row[0];
    detail.textContent = describe(slot);
  });
  const delay = new Chart('time', duration);
  const rate = new Chart('time', (value) => `${threeDigits(value)}/s`);
  const moves = movesCard(connection);
  const colours: readonly (readonly [By, string])[] = [
    ['load', 'reads of the last minute'],
    ['lag', 'age of the last event'],
    ['size', 'size'],
  ];
  const controls = h(
    'div',
    { class: 'controls' },
    choice('coloured by', colours, by, (value) => set({ by: value })),
  );
  const nodeCard = card('Nodes', 'calls/s of the last 10 s; aside: entries in quarantine', nodes);
  const shardCard = card('Shards', 'slots with one primary and the same replicas', shards);
  const slotCard = card('Slots', 'of primaries; a stronger colour is more', controls, h('p'), map.element, detail);
  for (const wide of [nodeCard, shardCard, slotCard]) wide.className = 'wide';
  root.append(
    nodeCard,
    moves.element,
    slotCard,
    shardCard,
    card('From event to visible', 'p50 and p99 of each second; at most a minute', delay.element),
    card('Events applied', 'per second', rate.element),
  );
  const columns = new Columns(eventsOf);
  return () => {
    nodes.replaceChildren(table(nodeHeadings, nodeRows(context)));
    moves.update();
    showShards(shards, connection.cluster?.shards ?? []);
    // Of a node's own page others are not known.
    shardCard.hidden = connection.cluster?.shards.length === 0;
    moves.element.hidden = shardCard.hidden;
    const slots = slotsOf(context);
    map.show(slots, weightBy(by));
    const now = slots.find(({ row }) => row[0] === chosen);
    if (now !== undefined) detail.textContent = describe(now);
    const { ends, values } = columns.of([...connection.secondsByProcess.values()]);
    const xs = ends.map((end) => end / 1000);
    delay.show(xs, [
      { name: 'p50', values: values.map(({ p50 }) => p50) },
      { name: 'p99', values: values.map(({ p99 }) => p99) },
    ]);
    rate.show(xs, [{ name: 'events', values: values.map(({ perS }) => perS) }]);
  };
};
