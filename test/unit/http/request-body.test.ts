/** Bodies that are refused at their beginning. */
import { expect, test } from 'vitest';
import { ByteShares } from '../../../src/http/byte-shares.ts';
import { type BodyBound, RefusedBody } from '../../../src/http/request-body.ts';

const budget = new ByteShares(1_000, 'arrivingBytesMax' as const);

/** Returns a refused body, and the promise of what its client is told. */
function refused(bodyMsMax: number): { readonly body: RefusedBody; readonly told: Promise<BodyBound> } {
  const { promise, resolve } = Promise.withResolvers<BodyBound>();
  return { body: new RefusedBody({ bodyBytesMax: 10, bodyMsMax, budget }, resolve), told: promise };
}

test('a refused body that ends is answered then', async () => {
  const { body, told } = refused(60_000);
  body.read(1_000_000, false);
  body.read(1_000_000, true);
  expect(await told).toBe('bodyBytesMax');
  expect(budget.bytes).toBe(0);
});

test('a refused body that does not end is answered after sixteen mebibytes, or after its time', async () => {
  const { body, told } = refused(60_000);
  for (let read = 0; read <= 16; read++) body.read(2 ** 20, false);
  expect(await told).toBe('bodyBytesMax');
  expect(await refused(20).told).toBe('bodyMsMax');
});
