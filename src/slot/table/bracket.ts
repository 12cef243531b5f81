/**
 * Brackets: a source sends all that it owes this slot again, between a begin and an end.
 *
 * (slot-wide, bracket, source) → the bracket's number, the seq of its begin, while one is open; and
 * once it has ended, the number of slots by which its source's DIDs are known.
 * (slot-wide, confirmed, source, bracket, key of a row) → nothing: the source has sent the row
 * since. What it has not is removed after the end, and then these rows are.
 */
import { ByteReader } from '../../base/bytes.ts';
import { parentOf } from '../../shardmap/slot-of.ts';
import { prefixEnd, type Scan } from '../../storage/environment.ts';
import { beginSlotKey, emptyValue, readKey, type SlotState, tableCode } from './slot-state.ts';

function bracketKey(source: number): Buffer {
  return beginSlotKey(tableCode.bracket).u16(source).finish();
}

function confirmedPrefix(source: number, bracket: number): Buffer {
  return beginSlotKey(tableCode.confirmed).u16(source).u48(bracket).finish();
}

function confirmedKey(source: number, bracket: number, key: Buffer): Buffer {
  return beginSlotKey(tableCode.confirmed).u16(source).u48(bracket).raw(key).finish();
}

/** `slots` is 0 until its end is here. */
type Bracket = { readonly number: number; readonly slots: number };

/** The open brackets of this slot, and what they have confirmed. */
export class Brackets {
  readonly #state: SlotState;
  readonly #bySource = new Map<number, Bracket>();

  constructor(state: SlotState) {
    this.#state = state;
    this.reload();
  }

  /** Reads the open brackets from disk, at opening and after an aborted transaction. */
  reload(): void {
    this.#bySource.clear();
    const start = beginSlotKey(tableCode.bracket).finish();
    for (const { key, value } of this.#state.rows.scan({ start, end: prefixEnd(start) })) {
      const reader = new ByteReader(value);
      this.#bySource.set(readKey(key).u16(), { number: reader.u48(), slots: reader.u32() });
    }
  }

  /** Returns the open bracket of a source, or undefined. */
  of(source: number): number | undefined {
    return this.#bySource.get(source)?.number;
  }

  /**
   * Returns in whose bracket an effect of a source counts, if any: in its own, or in one that its
   * parent had ended when it was both of them.
   */
  sourceFor(source: number): number | undefined {
    if (this.#bySource.size === 0) return undefined;
    if (this.#bySource.has(source)) return source;
    const parent = parentOf(source);
    const slots = this.#bySource.get(parent)?.slots ?? 0;
    return slots > 0 && (source & (slots - 1)) === parent ? parent : undefined;
  }

  /** Opens a bracket instead of any that is open. */
  begin(source: number, bracket: number): void {
    this.#put(source, { number: bracket, slots: 0 });
  }

  /** Notes the end of an open bracket: what it has not confirmed is removed from here on. */
  sweep(source: number, slots: number): void {
    const bracket = this.#bySource.get(source);
    if (bracket !== undefined) this.#put(source, { ...bracket, slots });
  }

  /** Returns the number of slots by which a bracket that has ended tells its source's DIDs. */
  slotsOf(source: number): number {
    return this.#bySource.get(source)?.slots ?? 0;
  }

  #put(source: number, bracket: Bracket): void {
    this.#bySource.set(source, bracket);
    const value = Buffer.allocUnsafe(10);
    value.writeUIntBE(bracket.number, 0, 6);
    value.writeUInt32BE(bracket.slots, 6);
    this.#state.rows.put(bracketKey(source), value);
  }

  end(source: number): void {
    this.#bySource.delete(source);
    this.#state.rows.remove(bracketKey(source));
  }

  confirm(source: number, bracket: number, key: Buffer): void {
    this.#state.rows.put(confirmedKey(source, bracket, key), emptyValue);
  }

  isConfirmed(source: number, bracket: number, key: Buffer): boolean {
    return this.#state.rows.has(confirmedKey(source, bracket, key));
  }

  /** Removes confirmations of a bracket that is over. Returns how many, at most `limit`. */
  clear(source: number, bracket: number, limit: number): number {
    const start = confirmedPrefix(source, bracket);
    const range: Scan = { start, end: prefixEnd(start), limit };
    const keys = [...this.#state.rows.scanKeys(range)];
    for (const key of keys) this.#state.rows.remove(key);
    return keys.length;
  }
}
