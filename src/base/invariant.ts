/** Our own bug or corruption: the process must stop. Only `cli/main.ts` and threads catch it. */
export class InvariantError extends Error {
  override readonly name: string = 'InvariantError';
}

/**
 * Asserts what must hold, in production too.
 *
 * Errors: InvariantError with the message `holds` when the condition is false.
 */
export function invariant(condition: unknown, holds: string): asserts condition {
  if (!condition) throw new InvariantError(`broken invariant: ${holds}`);
}
