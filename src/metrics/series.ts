/**
 * The bounded set of series of one metric: one for each combination of label values.
 *
 * A value that a stranger chooses (a collection, a host) can never grow a metric without end: past
 * `seriesCountMax` combinations, everything new is counted under `other`.
 */
import { invariant } from '../base/invariant.ts';

/** Combinations of label values that one metric keeps apart. */
export const seriesCountMax = 512;
const labelValueLengthMax = 128;
const overflowValue = 'other';

/** Label values by label name. */
export type Labels = Readonly<Record<string, string>>;
/** One combination of label values and what is counted for it. */
export type Series<Value> = { readonly labels: Labels; readonly value: Value };

/** Holds a value for each combination of label values, made on first use. */
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
