/** How far a file of identities was read, and what it brought. */
import * as v from 'valibot';
import { invariant } from '../../base/invariant.ts';
import { objectShape, parseShape, recordShape } from '../../config/json-shape.ts';
import type { Table } from '../../storage/environment.ts';
import { beginValue, readValue, textKey } from './state-codec.ts';

const countShape = v.pipe(v.number(), v.integer(), v.minValue(0));
const positionShape = objectShape({
  path: v.string(),
  /** Hash of the file's first line, which tells another file of the same name apart. */
  head: v.string(),
  /** Bytes read, always whole lines. */
  offset: countShape,
  lines: countShape,
  /** Of these: appended to the log, older than what was known, tombstones, and the bad ones. */
  imported: countShape,
  known: countShape,
  gone: countShape,
  skipped: recordShape(v.string(), countShape),
});
export type ImportPosition = v.InferOutput<typeof positionShape>;

const key = textKey('identities');

/** Table `imports`: its only row is the file that is, or was last, read. */
export class ImportPositions {
  readonly #table: Table;

  constructor(table: Table) {
    this.#table = table;
  }

  get(): ImportPosition | undefined {
    const value = this.#table.get(key);
    if (value === undefined) return undefined;
    const position = parseShape(positionShape, readValue(value).text());
    invariant(position !== undefined, 'a stored position of an import has its shape');
    return position;
  }

  /** Runs inside a transaction, as `put` does. */
  remove(): void {
    this.#table.remove(key);
  }

  put(position: ImportPosition): void {
    this.#table.put(key, beginValue().text(JSON.stringify(position)).finish());
  }
}
