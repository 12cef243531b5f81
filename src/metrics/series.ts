/**
 * The bounded set of series behind one metric: one series for each combination of label values.
 *
 * Owns: the bound. A value that a stranger chooses (a collection, a host) can never grow a metric without end: past
 * `seriesCountMax` combinations, everything new is counted under `other`. Refuses: a wrong number of label values.
 */
import { invariant } from '../base/invariant.ts';

/** Combinations of label values that one metric keeps apart. */
export const seriesCountMax = 512;
/** Characters of a label value that are kept. */
const labelValueLengthMax = 128;
const overflowValue = 'other';

/** One combination of label values and what is kept for it. */
export type Series<Value> = { readonly labelText: string; readonly value: Value };

function escapeLabel(value: string): string {
  return value.slice(0, labelValueLengthMax).replace(/[\\"\n]/g, (found) => (found === '\n' ? '\\n' : `\\${found}`));
}

/** Keeps a value for each combination of label values, made on first use. */
export class SeriesSet<Value> {
  readonly #labelNames: readonly string[];
  readonly #create: () => Value;
  readonly #seriesByKey = new Map<string, Series<Value>>();

  constructor(labelNames: readonly string[], create: () => Value) {
    this.#labelNames = labelNames;
    this.#create = create;
    for (const name of labelNames) invariant(/^[a-z][a-z0-9_]*$/.test(name), `the label name "${name}" is lower case`);
  }

  /** Returns what is kept for these label values; keep the result where this is hot. */
  at(values: readonly string[]): Value {
    invariant(values.length === this.#labelNames.length, 'a metric gets one value for each of its labels');
    const key = values.length === 1 ? values[0]! : values.join('\u0000');
    const known = this.#seriesByKey.get(key);
    if (known !== undefined) return known.value;
    if (this.#seriesByKey.size < seriesCountMax) return this.#add(key, values);
    const overflow = values.map(() => overflowValue);
    const overflowKey = overflow.join('\u0000');
    return this.#seriesByKey.get(overflowKey)?.value ?? this.#add(overflowKey, overflow);
  }

  #add(key: string, values: readonly string[]): Value {
    const labelText = this.#labelNames.map((name, index) => `${name}="${escapeLabel(values[index]!)}"`).join(',');
    const value = this.#create();
    this.#seriesByKey.set(key, { labelText, value });
    return value;
  }

  /** Returns every series, in the order of first use. */
  all(): Iterable<Series<Value>> {
    return this.#seriesByKey.values();
  }
}
