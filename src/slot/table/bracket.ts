/**
 * Brackets: a source sends all that it owes this slot again, between a begin and an end.
 *
 * (slot-wide, bracket, source) → the bracket's number, the seq of its begin; while one is open.
 * (slot-wide, confirmed, source, bracket, key of a row) → nothing: the source has sent the row
 * since. What it has not is removed after the end, and then these rows are.
 */
import { ByteReader } from '../../base/bytes.ts';
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

/** The open brackets of this slot, and what they have confirmed. */
export class Brackets {
  readonly #state: SlotState;
  readonly #bySource = new Map<number, number>();

  constructor(state: SlotState) {
    this.#state = state;
    this.reload();
  }

  /** Reads the open brackets from disk, at opening and after an aborted transaction. */
  reload(): void {
    this.#bySource.clear();
    const start = beginSlotKey(tableCode.bracket).finish();
    for (const { key, value } of this.#state.rows.scan({ start, end: prefixEnd(start) }))
      this.#bySource.set(readKey(key).u16(), new ByteReader(value).u48());
  }

  /** Returns the open bracket of a source, or undefined. */
  of(source: number): number | undefined {
    return this.#bySource.get(source);
  }

  /** Opens a bracket instead of any that is open. */
  begin(source: number, bracket: number): void {
    this.#bySource.set(source, bracket);
    const value = Buffer.allocUnsafe(6);
    value.writeUIntBE(bracket, 0, 6);
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
