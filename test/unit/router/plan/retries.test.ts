/** Requests that run again when a node refuses them. */
import { expect, it } from 'vitest';
import { DataPlaneError } from '../../../../src/base/data-plane-error.ts';
import type { FanOut } from '../../../../src/router/plan/fan-out.ts';
import type { Plan } from '../../../../src/router/plan/plan.ts';
import { Retries } from '../../../../src/router/plan/retries.ts';

const answer = new Uint8Array([1]);
const request = { plan: { isShared: true } as Plan, epoch: 1 };

function retriesOf(hasCopies: boolean): Retries {
  const fanOut = { hasCopies, map: { epoch: 1 } } as unknown as FanOut;
  return new Retries({ fanOut: () => fanOut, reloadMap: undefined, useMap: () => {} });
}

it.each(['Unavailable', 'WrongEpoch'] as const)(
  'a read that one copy answers with %s asks another one, though no map can be read again',
  async (code) => {
    const retries = retriesOf(true);
    expect(await retries.again(new DataPlaneError(code, 'not here'), request, () => answer)).toBe(answer);
    expect(retries.counts).toEqual({ repeated: 0, rerouted: 1 });
  },
);

it.each(['Unavailable', 'WrongEpoch'] as const)(
  'a read that the only copy answers with %s fails, where no map can be read again',
  async (code) => {
    const failure = new DataPlaneError(code, 'not here');
    await expect(retriesOf(false).again(failure, request, () => answer)).rejects.toBe(failure);
  },
);
