/** Calls wait for a newer map that their caller has, and for one that a pause may have missed. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { MapGate } from '../../../src/wire/map-gate.ts';
import { nodeCalls } from '../../../src/wire/node-calls.ts';
import { ManualClock } from '../../support/manual-clock.ts';

let clock: ManualClock;
let gate: MapGate;
let asked: string[];
let answer: PromiseWithResolvers<void>;
let refusal: string | null;

beforeEach(() => {
  clock = new ManualClock();
  asked = [];
  answer = Promise.withResolvers();
  refusal = null;
  const ask = (what: string): Promise<void> => {
    asked.push(what);
    return answer.promise;
  };
  gate = new MapGate({
    epoch: () => 4,
    saw: (epoch) => ask(`epoch ${epoch}`),
    check: () => ask('check'),
    refusal: () => refusal,
    clock,
  });
});

afterEach(() => gate[Symbol.dispose]());

const waitOf = (method: string, epoch: number): Promise<void> | null => gate.waitOf(method, epoch, clock.monotonicMs());

it('a call of this epoch or an older one waits for nothing', () => {
  for (const epoch of [0, 3, 4]) expect(waitOf('read', epoch)).toBeNull();
  expect(asked).toEqual([]);
});

it('a call of a newer epoch waits until that is asked for, but for those that any map answers', async () => {
  const wait = waitOf('read', 5);
  expect(wait).not.toBeNull();
  expect(waitOf(nodeCalls.changeMap, 5)).toBeNull();
  answer.resolve();
  await wait;
  expect(asked).toEqual(['epoch 5', 'epoch 5']);
});

it('after this thread stood still, calls wait for one check', async () => {
  clock.advance(3_001);
  const waits = [waitOf('read', 4), waitOf('read', 3)];
  expect(waits).not.toContain(null);
  expect(waitOf(nodeCalls.status, 4)).toBeNull();
  expect(asked).toEqual(['check']);
  answer.resolve();
  await Promise.all(waits);
  await new Promise((resolve) => setImmediate(resolve));
  expect(waitOf('read', 4)).toBeNull();
});

it('a refusal is for all but what any map answers', () => {
  expect(gate.refusalOf('read')).toBeNull();
  refusal = 'a peer has a newer map';
  expect(gate.refusalOf('read')).toBe(refusal);
  for (const method of [nodeCalls.status, nodeCalls.map, nodeCalls.changeMap])
    expect(gate.refusalOf(method)).toBeNull();
});
