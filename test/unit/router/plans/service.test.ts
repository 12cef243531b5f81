/** Every method is answered or Unimplemented, whatever bytes it gets. */
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { DataPlaneError } from '../../../../src/base/data-plane-error.ts';
import { encodeMessage, methodByName } from '../../../../src/proto/codec.ts';
import { planByMethod } from '../../../../src/router/plans/service.ts';
import { RouterPlans, refusal } from '../../../support/router-plans.ts';

let plans: RouterPlans;
beforeEach(() => {
  plans = new RouterPlans();
});

async function handle(method: string, request: Buffer): Promise<Uint8Array> {
  return plans.router.handle(method, request, { caller: '', timeoutMs: null });
}

describe('every method', () => {
  test('is answered, or Unimplemented', async () => {
    for (const [method, { request }] of methodByName) {
      const running = handle(method, encodeMessage(request, {}));
      if (planByMethod.has(method))
        await running.catch((error) => expect(['InvalidArgument', 'NotFound']).toContain(error.code));
      else expect((await refusal(running)).code).toBe('Unimplemented');
    }
    expect((await refusal(handle('Nonsense', Buffer.alloc(0)))).code).toBe('Unimplemented');
  });

  test('answers random bytes or refuses them', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...planByMethod.keys()),
        fc.uint8Array({ maxLength: 120 }),
        async (method, bytes) => {
          await handle(method, Buffer.from(bytes)).catch((error) => {
            expect(error).toBeInstanceOf(DataPlaneError);
            expect(['InvalidArgument', 'NotFound', 'ResourceExhausted']).toContain(error.code);
          });
        },
      ),
      { numRuns: 3000 },
    );
  });

  test('refuses malformed bytes by the name of the request', async () => {
    for (const method of ['GetFollows', 'GetPostRecords', 'GetTimeline', 'GetBlockExistence'] as const) {
      const error = await refusal(handle(method, Buffer.from([10, 200])));
      expect(error).toMatchObject({ code: 'InvalidArgument', message: expect.stringContaining(`${method}Request`) });
    }
  });
});
