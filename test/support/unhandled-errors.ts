/** A reporter of vitest for errors that no test caught, which its JSON report leaves out. */
import { writeFileSync } from 'node:fs';
import type { Reporter } from 'vitest/node';

/** The environment variable that names the file: a JSON array of texts. Set by `run-tests.ts`. */
export const unhandledErrorsFileVariable = 'UNHANDLED_ERRORS_FILE';

export class UnhandledErrors implements Reporter {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  onTestRunEnd(...[, errors]: Parameters<NonNullable<Reporter['onTestRunEnd']>>): void {
    writeFileSync(this.#path, JSON.stringify(errors.map(({ stack, message }) => stack ?? message)));
  }
}

/** Returns the reporters of a run: more of them under `run-tests.ts`, which names the file. */
export function reporters(): ('default' | 'json' | UnhandledErrors)[] {
  const path = process.env[unhandledErrorsFileVariable];
  return path === undefined ? ['default'] : ['default', 'json', new UnhandledErrors(path)];
}
