/** All slots as small buttons; the stronger their colour, the greater their value. */

import type { SlotRow } from '../cluster-rows.ts';
import { h } from './dom.ts';
import { bytes, duration, threeDigits } from './figures.ts';

export type SlotFigures = { readonly row: SlotRow; readonly node: string; readonly reads: number };

/** Beyond so many, slots are drawn smaller. */
const largeSlotsMax = 256;

/** Says all that is known of a slot. */
export function describe({ row, node, reads }: SlotFigures): string {
  const [slot, role, health, lagMs, , waiting, outbox, used] = row;
  const lag = lagMs === null ? 'no event yet' : `last event ${duration(lagMs * 1000)} ago`;
  return (
    `slot ${slot} on ${node}, ${role}, ${health}: ${threeDigits(reads)} reads in the last minute, ${lag}, ` +
    `${waiting} entries wait, ${outbox} effects owed, ${bytes(used)}`
  );
}

type Cell = { readonly button: HTMLButtonElement; name: string; background: string };

/** Buttons stay: a click must not lose its button, and there may be thousands. */
export class SlotMap {
  readonly element = h('div', { class: 'slots' });
  readonly #choose: (slot: SlotFigures) => void;
  readonly #cells: Cell[] = [];
  #slots: readonly SlotFigures[] = [];

  /** `choose` is called with a slot that is clicked, pointed at, or reached by the keyboard. */
  constructor(choose: (slot: SlotFigures) => void) {
    this.#choose = choose;
  }

  /** Returns how many buttons had to be changed. */
  show(slots: readonly SlotFigures[], weightOf: (slot: SlotFigures) => number): number {
    this.#slots = slots;
    const name = slots.length > largeSlotsMax ? 'slots small' : 'slots';
    if (this.element.className !== name) this.element.className = name;
    while (this.#cells.length < slots.length) this.#add();
    for (const { button } of this.#cells.splice(slots.length)) button.remove();
    const max = slots.reduce((most, slot) => Math.max(most, weightOf(slot)), 1);
    let changed = 0;
    slots.forEach((slot, index) => {
      const cell = this.#cells[index]!;
      const name = `slot ${slot.row[0]} on ${slot.node}`;
      const share = Math.round((100 * weightOf(slot)) / max);
      const isWell = slot.row[2] === 'complete';
      const background = isWell ? `color-mix(in srgb, var(--accent) ${share}%, var(--card))` : 'var(--bad)';
      if (name === cell.name && background === cell.background) return;
      changed++;
      if (name !== cell.name) cell.button.setAttribute('aria-label', name);
      cell.button.style.background = background;
      [cell.name, cell.background] = [name, background];
    });
    return changed;
  }

  #add(): void {
    const index = this.#cells.length;
    const choose = (): void => {
      const slot = this.#slots[index];
      if (slot !== undefined) this.#choose(slot);
    };
    const button = h('button', { type: 'button', onclick: choose, onfocus: choose, onmouseenter: choose });
    this.#cells.push({ button, name: '', background: '' });
    this.element.append(button);
  }
}
