/** Shrinks a history by leaving out operations, in ever smaller runs. */
import { Arbitrary, Stream, Value } from 'fast-check';
import type { Operation } from './operation.ts';

type History = readonly Operation[];

/** An arbitrary of one given history; its shrinks are shorter histories in the same order. */
export class ShrinkableHistory extends Arbitrary<History> {
  readonly #whole: History;

  constructor(whole: History) {
    super();
    this.#whole = whole;
  }

  override generate(): Value<History> {
    return new Value(this.#whole, this.#whole.length);
  }

  override canShrinkWithoutContext(_value: unknown): _value is History {
    return false;
  }

  /** Tries runs no longer than the one whose removal led here, since longer ones were needed. */
  override shrink(history: History, context: unknown): Stream<Value<History>> {
    return new Stream(shorter(history, context as number));
  }
}

function* shorter(history: History, runMax: number): IterableIterator<Value<History>> {
  let run = Math.min(runMax, Math.ceil(history.length / 2));
  while (run >= 1 && history.length > 1) {
    // The last operations first: what follows a mistake rarely matters.
    for (let end = history.length; end > 0; end -= run) {
      const start = Math.max(0, end - run);
      yield new Value([...history.slice(0, start), ...history.slice(end)], run);
    }
    if (run === 1) return;
    run = Math.ceil(run / 2);
  }
}
