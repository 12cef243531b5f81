/** The table that a run of the oracle prints: method, calls compared, differences. */
import { nameOf, type RowReport } from './compare.ts';
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

  readonly #filledByRow = new Map<string, number>();

  add(row: MethodRow, report: RowReport): void {
    const { method } = row;
    const name = nameOf(row);
    if (report.isBuilt) this.#filledByRow.set(name, (this.#filledByRow.get(name) ?? 0) + report.filledCount);
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

  /** Returns the rows of which no answer held data, which shows nothing. */
  neverFilled(): readonly string[] {
    return [...this.#filledByRow].filter(([, filled]) => filled === 0).map(([name]) => name);
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
