/** When a router says that it is ready. */
import { expect, test } from 'vitest';
import { Readiness } from '../../../src/router/readiness.ts';

const isOwnReady = async (): Promise<boolean> => true;

function readinessOf(nodes: boolean[]): Readiness {
  return new Readiness(async () => nodes, isOwnReady);
}

test('a router is not ready before it has reached every node', async () => {
  const nodes = [true, true, false];
  const readiness = readinessOf(nodes);
  expect(await readiness.isReady()).toBe(false);
  nodes[2] = true;
  expect(await readiness.isReady()).toBe(true);
});

test('a router that has begun stays ready while half of the nodes answer', async () => {
  const nodes = [true, true, true, true];
  const readiness = readinessOf(nodes);
  await readiness.isReady();
  for (const [lost, isReady] of [true, true, false].entries()) {
    nodes[lost] = false;
    expect(await readiness.isReady()).toBe(isReady);
  }
});

test('the edge of a node is ready only while the node is', async () => {
  let isOwn = false;
  const readiness = new Readiness(
    async () => [true],
    async () => isOwn,
  );
  expect(await readiness.isReady()).toBe(false);
  isOwn = true;
  expect(await readiness.isReady()).toBe(true);
});

test('a router that drains is never ready again, even if it was asked before', async () => {
  const answer = Promise.withResolvers<boolean[]>();
  const readiness = new Readiness(() => answer.promise, isOwnReady);
  const asked = readiness.isReady();
  readiness.drain();
  answer.resolve([true]);
  expect(await asked).toBe(false);
  expect(await readiness.isReady()).toBe(false);
  expect(readiness.isDraining).toBe(true);
});
