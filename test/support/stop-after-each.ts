/** Stops what the tests of a file start. */
import { afterEach } from 'vitest';
import { ResourceStack } from './resource-stack.ts';

/** Returns a stack that is stopped after each test of the file that calls this. */
export function stopAfterEach(): ResourceStack {
  const started = new ResourceStack();
  afterEach(() => started[Symbol.asyncDispose](), 60_000);
  return started;
}
