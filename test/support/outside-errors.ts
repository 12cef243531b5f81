/** A reporter of vitest for errors outside of tests, which its JSON report leaves out. */
import { writeFileSync } from 'node:fs';

/** The environment variable that names the file: a JSON array of texts. Set by `run-tests.ts`. */
export const outsideErrorsFileVariable = 'OUTSIDE_ERRORS_FILE';

/** The parts of vitest's types that we read; two packages here have vitest as their own. */
type ErrorOfRun = { readonly stack?: string | undefined; readonly message: string };
type SuiteOfRun = { readonly fullName: string; errors(): readonly ErrorOfRun[] };
type ModuleOfRun = { readonly moduleId: string; errors(): readonly ErrorOfRun[] };

/** Those of hooks, and those that nothing caught. */
export class OutsideErrors {
  readonly #path: string;
  readonly #ofHooks: string[] = [];

  constructor(path: string) {
    this.#path = path;
  }

  #add(where: string, errors: readonly ErrorOfRun[]): void {
    for (const { stack, message } of errors) this.#ofHooks.push(`${where}: ${stack ?? message}`);
  }

  onTestSuiteResult(suite: SuiteOfRun): void {
    this.#add(suite.fullName, suite.errors());
  }

  /** Of hooks outside of all suites. */
  onTestModuleEnd(module: ModuleOfRun): void {
    this.#add(module.moduleId, module.errors());
  }

  onTestRunEnd(_modules: unknown, errors: readonly ErrorOfRun[]): void {
    const uncaught = errors.map(({ stack, message }) => stack ?? message);
    writeFileSync(this.#path, JSON.stringify([...this.#ofHooks, ...uncaught]));
  }
}

/** Returns the reporters of a run: more of them under `run-tests.ts`, which names the file. */
export function reporters(): ('default' | 'json' | OutsideErrors)[] {
  const path = process.env[outsideErrorsFileVariable];
  return path === undefined ? ['default'] : ['default', 'json', new OutsideErrors(path)];
}
