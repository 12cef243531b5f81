/**
 * Which slot has a key, as one slot knows: while the slots of a cluster are doubled, some have
 * split and some have not.
 *
 * (slot-wide, routing) → the number of slots before the doubling, while one is under way.
 * (slot-wide, routing, slot of that number) → what is known of its split: that effects for it go to
 * the two that it now is, and that all it sent as one is here. Once both are known of every slot,
 * the doubling is over here and these rows go.
 */
import { invariant } from '../base/invariant.ts';
import { keyHash } from '../shardmap/slot-of.ts';
import { prefixEnd } from '../storage/environment.ts';
import { readSlotMeta, type SlotMeta } from './slot-meta.ts';
import { hasMovedRows } from './table/long-work.ts';
import { beginSlotKey, readKey, type SlotState, tableCode } from './table/slot-state.ts';

/** What is known of a split, as bits. `both` is what a slot knows of its own. */
export const splitKnown = { asTarget: 1, asSource: 2, both: 3 } as const;

const baseKey = (): Buffer => beginSlotKey(tableCode.routing).finish();
const splitKey = (slot: number): Buffer => beginSlotKey(tableCode.routing).u16(slot).finish();

function u32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** True for a slot that holds rows which a split has given to another. */
export function isDividing(state: SlotState, { cursor, splitSeq }: Pick<SlotMeta, 'cursor' | 'splitSeq'>): boolean {
  return (splitSeq > 0 && cursor === splitSeq) || hasMovedRows(state);
}

/** True once a slot has split into one of `slots`, holds only its own, and knows all to have. */
export function isDoubled(state: SlotState, slots: number): boolean {
  const meta = readSlotMeta(state);
  return meta.slots === slots && !isDividing(state, meta) && !state.rows.has(baseKey());
}

export class SlotRouting {
  readonly #state: SlotState;
  /** The number of slots of which all others are known to be. */
  base = 1;
  /** By slot of the base, bits of `splitKnown`. */
  readonly #known = new Map<number, number>();

  constructor(state: SlotState) {
    this.#state = state;
  }

  /** Reads what is known, at opening and after an aborted transaction. `slots` is its own. */
  reload(slots: number): void {
    const { rows } = this.#state;
    this.#known.clear();
    this.base = rows.get(baseKey())?.readUInt32BE(0) ?? slots;
    const start = splitKey(0);
    for (const { key, value } of rows.scan({ start, end: prefixEnd(baseKey()) }))
      this.#known.set(readKey(key).u16(), value[0]!);
  }

  #has(slot: number, what: number): boolean {
    return ((this.#known.get(slot & (this.base - 1)) ?? 0) & what) === what;
  }

  /** Returns the number of slots by which a slot is known to send and be sent to. */
  slotsOfTarget(target: number): number {
    return this.#has(target, splitKnown.asTarget) ? 2 * this.base : this.base;
  }

  /** Returns the number of slots by which what a source sends now is its own: all, of a child. */
  slotsOfSource(source: number): number {
    return source >= this.base || this.#has(source, splitKnown.asSource) ? 2 * this.base : this.base;
  }

  /** Returns the slot of a DID or a handle. */
  slotOf(key: string): number {
    const hash = keyHash(key);
    const slot = hash & (this.base - 1);
    return this.#known.size === 0 ? slot : hash & (this.slotsOfTarget(slot) - 1);
  }

  /** All slots that are known but this one. */
  *others(): Generator<number> {
    for (let slot = 0; slot < this.base; slot++) {
      if (slot !== this.#state.index) yield slot;
      if (!this.#has(slot, splitKnown.asTarget)) continue;
      if (slot + this.base !== this.#state.index) yield slot + this.base;
    }
  }

  /** Notes of a slot of the base that it has split. Returns false if as much was known. */
  note(slot: number, what: number): boolean {
    invariant(slot < this.base, 'a slot splits once in a doubling');
    if (this.#has(slot, what)) return false;
    const known = (this.#known.get(slot) ?? 0) | what;
    const { rows } = this.#state;
    if (this.#known.size === 0) rows.put(baseKey(), u32(this.base));
    this.#known.set(slot, known);
    rows.put(splitKey(slot), Buffer.of(known));
    if (this.#known.size === this.base && [...this.#known.values()].every((each) => each === splitKnown.both))
      this.#end();
    return true;
  }

  #end(): void {
    const { rows } = this.#state;
    for (const slot of this.#known.keys()) rows.remove(splitKey(slot));
    rows.remove(baseKey());
    this.#known.clear();
    this.base *= 2;
  }
}
