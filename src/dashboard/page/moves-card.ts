/** The slots that move: from where to where, how far, and how long it takes yet. */
import type { MoveGroup } from '../cluster-rows.ts';
import type { Connection } from './connection.ts';
import { type Cell, card, h, table } from './dom.ts';
import { bytes, duration, threeDigits } from './figures.ts';
import { type MoveRate, MoveRates } from './move-rates.ts';

/** What a group of moves is at, such as "3 copying, 1 in step". */
function phasesText(countByPhase: MoveGroup['countByPhase']): string {
  const nameOf: Readonly<Record<string, string>> = {
    copying: 'copying',
    reading: 'reading their log',
    paused: 'paused',
    ready: 'in step',
    kept: 'handed over',
  };
  return Object.entries(nameOf)
    .flatMap(([phase, name]) => {
      const count = countByPhase[phase] ?? 0;
      return count === 0 ? [] : [`${count} ${name}`];
    })
    .join(', ');
}

function etaText({ etaMs, bytesPerS }: MoveRate, { bytes: all, bytesDone }: MoveGroup): string {
  if (bytesDone >= all) return '–';
  if (etaMs === null) return bytesPerS === null ? '–' : 'stands still';
  return duration(etaMs * 1000);
}

function groupRow(group: MoveGroup, rate: MoveRate): Cell[] {
  const { from, to, slots, countByPhase, bytes: all, bytesDone, entriesBehind } = group;
  return [
    `${from} → ${to}`,
    String(slots),
    { text: phasesText(countByPhase), className: 'text' },
    `${bytes(bytesDone)} of ${bytes(all)}`,
    rate.bytesPerS === null || bytesDone >= all ? '–' : `${bytes(rate.bytesPerS)}/s`,
    etaText(rate, group),
    threeDigits(entriesBehind),
  ];
}

/** Returns a card, and what shows in it what the connection has now. */
export function movesCard(connection: Connection): { readonly element: HTMLElement; readonly update: () => void } {
  const rates = new MoveRates();
  const body = h('div');
  const element = card('Moves', 'of slots between nodes', body);
  element.className = 'wide';
  const update = (): void => {
    const { groups, slots } = connection.cluster?.moves ?? { groups: [], slots: [] };
    if (groups.length === 0) {
      body.replaceChildren(h('p', { class: 'note' }, 'No slot is moving.'));
      return;
    }
    const groupRows = groups.map((group) => groupRow(group, rates.of(group, connection.atMs)));
    const slotRows = slots.map(({ slot, from, to, phase, bytes: size, bytesDone, entriesBehind, state }): Cell[] => [
      String(slot),
      `${from} → ${to}`,
      { text: phase, className: 'text' },
      size === 0 ? '–' : `${bytes(bytesDone)} of ${bytes(size)}`,
      entriesBehind === null ? '–' : threeDigits(entriesBehind),
      { text: state, className: 'wrap' },
    ]);
    const all = groups.reduce((sum, group) => sum + group.slots, 0);
    body.replaceChildren(
      table(['nodes', 'slots', '~how far', 'copied', 'rate', 'ETA', 'entries behind'], groupRows),
      table(['slot', 'nodes', '~step', 'copied', 'entries behind', '~state'], slotRows),
      all > slots.length ? h('p', { class: 'note' }, `${all - slots.length} more slots, in step or waiting.`) : '',
    );
  };
  return { element, update };
}
