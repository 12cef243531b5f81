/**
 * Our own bug or our own corruption: the process must stop. Only `cli/main.ts` and thread entry
 * points catch it.
 */
export class InvariantError extends Error {
  override readonly name: string = 'InvariantError';
}

/**
 * States what must hold. On in production.
 *
 * Errors: InvariantError carrying `holds` when the condition is false.
 */
export function invariant(condition: unknown, holds: string): asserts condition {
  if (!condition) throw new InvariantError(`broken invariant: ${holds}`);
}
