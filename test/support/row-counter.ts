/** Counts the rows that reads take from slots, so that tests can bound what a request may cost. */
import type { SlotState } from '../../src/slot/table/slot-state.ts';
import type { Row, Scan, Table } from '../../src/storage/environment.ts';
import type { LentRow } from '../../src/storage/row-cursor.ts';

/** Rows read since `count` was last set; a row that does not exist counts too. */
export class RowCounter {
  count = 0;
  readonly #views = new WeakMap<SlotState, SlotState>();

  /** Returns a view of a slot's state whose reads are counted, but for those of owner numbers. */
  counting(state: SlotState): SlotState {
    const view = this.#views.get(state) ?? this.#viewOf(state);
    this.#views.set(state, view);
    return view;
  }

  #viewOf(state: SlotState): SlotState {
    const { rows } = state;
    const note = (): void => {
      this.count++;
    };
    const counted: Pick<Table, 'get' | 'getVolatile' | 'has' | 'scan' | 'scanKeys' | 'open' | 'visit' | 'hasAny'> = {
      get: (key) => {
        note();
        return rows.get(key);
      },
      getVolatile: (key) => {
        note();
        return rows.getVolatile(key);
      },
      has: (key) => {
        note();
        return rows.has(key);
      },
      *scan(range: Scan): Generator<Row> {
        for (const row of rows.scan(range)) {
          note();
          yield row;
        }
      },
      *scanKeys(range: Scan): Generator<Buffer> {
        for (const key of rows.scanKeys(range)) {
          note();
          yield key;
        }
      },
      open: (range, keysOnly) => {
        const cursor = rows.open(range, keysOnly);
        const next = cursor.next.bind(cursor);
        cursor.next = () => {
          const row = next();
          if (row !== undefined) note();
          return row;
        };
        return cursor;
      },
      visit: (range, visit, keysOnly) => {
        const noteAndVisit = (row: LentRow): boolean => {
          note();
          return visit(row);
        };
        rows.visit(range, noteAndVisit, keysOnly);
      },
      hasAny: (range) => {
        const isAny = rows.hasAny(range);
        if (isAny) note();
        return isAny;
      },
    };
    return new Proxy(state, {
      get: (target, name) => {
        if (name === 'rows') return counted;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }
}
