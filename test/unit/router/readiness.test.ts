/** When a router says that it is ready. */
import { expect, test } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { DataPlaneError } from '../../../src/base/data-plane-error.ts';
import { FanOut } from '../../../src/router/plan/fan-out.ts';
import { Readiness, reachedNodes } from '../../../src/router/readiness.ts';
import type { NodeCaller } from '../../../src/wire/node-caller.ts';
import { twoNodeMap } from '../../support/fake-nodes.ts';

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

test('a node is reached if it answers at all, and is asked for nothing more', async () => {
  const asked: string[] = [];
  const codeOf = { n0: 'Unimplemented', n1: 'Unavailable' } as const;
  const caller: NodeCaller = {
    call: async ({ node, method, payload }) => {
      asked.push(`${node} ${method} ${payload.length}`);
      throw new DataPlaneError(codeOf[node as 'n0' | 'n1'], 'a test');
    },
  };
  const fanOut = FanOut.of({ map: twoNodeMap(), caller, clock: systemClock });
  expect(await reachedNodes(fanOut, systemClock.monotonicMs() + 60_000)).toEqual([true, false]);
  expect(asked).toEqual(['n0 node.ping 0', 'n1 node.ping 0']);
});
