/** A node that is not told serves on every core of the machine that does not write. */
import { expect, it } from 'vitest';
import { serveThreadCount } from '../../../src/cli/process/serve-thread-count.ts';

it.each([
  [2, 1, 1, 1],
  [1, 1, 1, 1],
  [64, 4, 1, 60],
  [64, 4, 2, 28],
  [4, 8, 1, 1],
])('of %i cores, %i apply threads and %i nodes it takes %i', (cores, applyThreads, nodes, threads) => {
  expect(serveThreadCount({ serveThreads: null, applyThreads }, nodes, cores)).toBe(threads);
  expect(serveThreadCount({ serveThreads: 3, applyThreads }, nodes, cores)).toBe(3);
});
