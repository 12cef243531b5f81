/**
 * The bounded set of series of one metric: one per combination of label values.
 *
 * Some label values come from outside (a collection, a host), and must not grow a metric without
 * end: past `seriesCountMax` combinations, new ones are counted as `other`.
 */
import { invariant } from '../base/invariant.ts';

/** Combinations of label values per metric. */
export const seriesCountMax = 512;
const labelValueLengthMax = 128;
const overflowValue = 'other';

export type Labels = Readonly<Record<string, string>>;
export type Series<Value> = { readonly labels: Labels; readonly value: Value };

/** Holds a value per combination of label values, created on first use. */
export class SeriesSet<Value> {
  readonly #labelNames: readonly string[];
  readonly #create: () => Value;
  readonly #seriesByKey = new Map<string, Series<Value>>();

  constructor(labelNames: readonly string[], create: () => Value) {
    this.#labelNames = labelNames;
    this.#create = create;
  }

  /** Returns the value of these label values, in the order of the label names. */
  at(values: readonly string[]): Value {
    const key = values.length === 1 ? values[0]! : values.join('\u0000');
    const known = this.#seriesByKey.get(key);
    if (known !== undefined) return known.value;
    invariant(values.length === this.#labelNames.length, 'a metric gets one value for each of its labels');
    if (this.#seriesByKey.size < seriesCountMax) return this.#add(key, values);
    const overflow = values.map(() => overflowValue);
    const overflowKey = overflow.join('\u0000');
    return this.#seriesByKey.get(overflowKey)?.value ?? this.#add(overflowKey, overflow);
  }

  #add(key: string, values: readonly string[]): Value {
    const named = this.#labelNames.map((name, index) => [name, values[index]!.slice(0, labelValueLengthMax)]);
    const value = this.#create();
    this.#seriesByKey.set(key, { labels: Object.fromEntries(named), value });
    return value;
  }

  /** Returns every series, in the order of first use. */
  all(): Iterable<Series<Value>> {
    return this.#seriesByKey.values();
  }
}
