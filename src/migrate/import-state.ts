/** How far an import is, in a file beside what it imports into: one that is run again goes on. */
import * as v from 'valibot';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { objectShape, recordShape, textShape, wholeNumberShape } from '../config/json-shape.ts';
import { readDurable, writeDurably } from '../storage/durable-file.ts';

const countShape = wholeNumberShape(0, Number.MAX_SAFE_INTEGER);

const stateShape = objectShape({
  database: textShape,
  /** Where ranges of DIDs begin, in the order of the database; the first begins before all. */
  boundaries: v.array(textShape),
  /** Ranges, by number, and tables that are imported and durable in the logs. */
  rangesDone: v.array(countShape),
  tablesDone: v.array(textShape),
  /** By table that is read by pages, the key of the last row that is. */
  pagesAfter: recordShape(v.string(), v.array(v.string('must be a text'))),
  counts: recordShape(v.string(), countShape),
});

export type ImportState = v.InferOutput<typeof stateShape>;

/** Returns what an earlier run of an import left, or undefined. */
export function readImportState(path: string, database: string): ImportState | undefined {
  const state = readDurable(path, stateShape);
  if (state === undefined || state.database === database) return state;
  const hint = `Remove ${path} to begin an import of another database.`;
  throw new DataPlaneError('ConfigInvalid', `${path} is of an import of ${state.database}`, { hint });
}

/** Replaces the file. */
export function writeImportState(path: string, state: ImportState): void {
  writeDurably(path, `${JSON.stringify(state)}\n`);
}
