/**
 * What a fuzz target is: values drawn from a seed, and a property that must hold for each.
 *
 * A property throws for a value that breaks it. What a run meets on its way (reasons of refusals,
 * kinds of events) is counted, so that a generator that no longer gets past the first check shows.
 */
import fc from 'fast-check';
import { MalformedBytes, tryDecode } from '../../src/base/bytes.ts';
import { DataPlaneError } from '../../src/base/data-plane-error.ts';

/** What was met, and how often. */
export class Sightings {
  readonly counts = new Map<string, number>();

  add(name: string): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }
}

/** Resources of a run, opened once; a target that is broken by a value is opened again. */
export type OpenTarget<Value> = AsyncDisposable & {
  readonly values: fc.Arbitrary<Value>;
  /** Throws, or rejects, for a value that breaks the property. */
  check(value: Value): void | Promise<void>;
  /** Checked once after the last value. */
  finish?(): void | Promise<void>;
  /** Shows a failing value in a form that a test can paste. */
  show(value: Value): string;
};

export type TargetOptions = { readonly seed: number; readonly seen: Sightings };

export type FuzzTarget = {
  readonly name: string;
  /** Targets of one lane run one after the other; the lanes run beside each other. */
  readonly lane: 'in process' | 'children';
  /** Of its lane's time. */
  readonly share: number;
  /** What must have been met within this many values, else the generator is broken. */
  readonly expectedRuns: number;
  readonly expected: readonly string[];
  readonly run: (options: TargetOptions, limits: RunLimits) => Promise<RunResult>;
};

export type RunLimits = {
  readonly seed: number;
  readonly runMs: number;
  /** Replays one value: the path that a failure printed. */
  readonly path: string | null;
  /** Called before each value with its number. */
  readonly onRun: (index: number) => void;
};

export type RunResult = {
  readonly runs: number;
  readonly failure: { readonly path: string; readonly error: string; readonly shown: string } | null;
};

/** Shrinking a failure may take this long. */
const shrinkMsMax = 30_000;
const runsMax = 2 ** 30;
const shownLengthMax = 4_000;

/** Makes a target of values and a property over them. */
export function fuzzTarget<Value>(
  facts: Omit<FuzzTarget, 'run'>,
  open: (options: TargetOptions) => OpenTarget<Value> | Promise<OpenTarget<Value>>,
): FuzzTarget {
  return { ...facts, run: (options, limits) => runTarget(() => open(options), limits) };
}

async function runTarget<Value>(
  open: () => OpenTarget<Value> | Promise<OpenTarget<Value>>,
  limits: RunLimits,
): Promise<RunResult> {
  let target = await open();
  let isBroken = false;
  let runs = 0;
  const property = fc
    .asyncProperty(target.values, async (value) => {
      limits.onRun(runs++);
      try {
        await target.check(value);
      } catch (thrown) {
        isBroken = true;
        throw thrown;
      }
    })
    .beforeEach(async () => {
      if (!isBroken) return;
      await target[Symbol.asyncDispose]();
      target = await open();
      isBroken = false;
    });
  try {
    const { seed, path, runMs } = limits;
    const common = { seed, numRuns: runsMax, markInterruptAsFailure: false };
    const first = await fc.check(property, {
      ...common,
      ...(path === null ? { interruptAfterTimeLimit: runMs } : { path, numRuns: 1 }),
      endOnFailure: true,
    });
    const runsDone = runs;
    if (!first.failed) {
      await target.finish?.();
      return { runs: runsDone, failure: null };
    }
    // The time limit of a run would end its shrinking too, so that has a run of its own.
    const shrunk = await fc.check(property, {
      ...common,
      path: first.counterexamplePath!,
      interruptAfterTimeLimit: shrinkMsMax,
    });
    const found = shrunk.failed && shrunk.counterexample !== null ? shrunk : first;
    const error = found.errorInstance;
    return {
      runs: runsDone,
      failure: {
        path: found.counterexamplePath!,
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
        shown: target.show(found.counterexample![0] as Value).slice(0, shownLengthMax),
      },
    };
  } finally {
    await target[Symbol.asyncDispose]();
  }
}

/** A target in this process, without resources. */
export function pureTarget<Value>(
  facts: {
    readonly name: string;
    readonly share: number;
    readonly expectedRuns: number;
    readonly expected: readonly string[];
  },
  values: fc.Arbitrary<Value>,
  check: (value: Value, seen: Sightings) => void,
  show: (value: Value) => string = fc.stringify,
): FuzzTarget {
  return fuzzTarget<Value>({ ...facts, lane: 'in process' }, ({ seen }) => ({
    values,
    check: (value) => check(value, seen),
    show,
    [Symbol.asyncDispose]: async () => {},
  }));
}

/** Throws an error that says what does not hold. */
export function mustHold(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`does not hold: ${what}`);
}

/** Runs a decoder of peers' bytes. Errors other than those that refuse the bytes are defects. */
export function refusedOr<Value>(seen: Sightings, name: string, decode: () => Value): Value | undefined {
  try {
    const value = tryDecode(decode);
    seen.add(value instanceof MalformedBytes ? `${name} refused` : `${name} read`);
    return value instanceof MalformedBytes ? undefined : value;
  } catch (thrown) {
    if (!(thrown instanceof DataPlaneError)) throw thrown;
    seen.add(`${name} refused`);
    return undefined;
  }
}
