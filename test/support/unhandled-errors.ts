/** A reporter of vitest: writes the errors that no test caught, which its JSON report leaves out. */
import { writeFileSync } from 'node:fs';
import type { Reporter } from 'vitest/node';

/** The environment variable that names the file: a JSON array of texts. */
export const unhandledErrorsFileVariable = 'SKYSHARD_UNHANDLED_ERRORS_FILE';

// biome-ignore lint/style/noDefaultExport: vitest loads a reporter by its default export
export default class UnhandledErrors implements Reporter {
  onTestRunEnd(...[, errors]: Parameters<NonNullable<Reporter['onTestRunEnd']>>): void {
    const path = process.env[unhandledErrorsFileVariable];
    if (path === undefined || errors.length === 0) return;
    writeFileSync(path, JSON.stringify(errors.map(({ stack, message }) => stack ?? message)));
  }
}
