/** How this program starts itself again: the same executable, or the same source file under the same Node. */
import { isSea } from 'node:sea';
import { fileURLToPath } from 'node:url';

/** Returns the program and its words that run skyshard with `words`. */
export function selfCommand(words: readonly string[]): string[] {
  if (isSea()) return [process.execPath, ...words];
  return [process.execPath, ...process.execArgv, fileURLToPath(new URL('../main.ts', import.meta.url)), ...words];
}
