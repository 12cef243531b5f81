/** The table that a run of the oracle prints: method, calls compared, differences. */
import type { RowReport } from './compare.ts';
import type { MethodRow } from './method-row.ts';

interface Line {
  isBuilt: boolean;
  asked: number;
  filled: number;
  differing: number;
}

/** Adds up the reports of all rows of all rounds, by method. */
export class MethodTally {
  readonly #byMethod = new Map<string, Line>();

  add({ method }: MethodRow, report: RowReport): void {
    const line = this.#byMethod.get(method) ?? { isBuilt: true, asked: 0, filled: 0, differing: 0 };
    line.isBuilt &&= report.isBuilt;
    line.asked += report.askedCount;
    line.filled += report.filledCount;
    line.differing += report.mismatches.length;
    this.#byMethod.set(method, line);
  }

  /** Returns the methods that the plane under test does not serve. */
  notBuilt(): readonly string[] {
    return [...this.#byMethod].filter(([, { isBuilt }]) => !isBuilt).map(([method]) => method);
  }

  /** Returns the methods of which no answer held data. */
  neverFilled(): readonly string[] {
    return [...this.#byMethod].filter(([, { isBuilt, filled }]) => isBuilt && filled === 0).map(([method]) => method);
  }

  toString(): string {
    const lines = [...this.#byMethod]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([method, { isBuilt, asked, filled, differing }]) =>
        isBuilt
          ? `${method.padEnd(46)} ${String(asked).padStart(8)} ${String(filled).padStart(9)} ${String(differing).padStart(11)}`
          : `${method.padEnd(46)} not built`,
      );
    return [`${'method'.padEnd(46)} compared with data differences`, ...lines].join('\n');
  }
}
