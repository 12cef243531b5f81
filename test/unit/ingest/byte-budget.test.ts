/** Shares never exceed their budget, and come in the order in which they were asked for. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteBudget, type ByteShare } from '../../../src/ingest/byte-budget.ts';

describe('a budget of bytes', () => {
  it('gives a large share once it is free, before small ones that came later', async () => {
    const budget = new ByteBudget(10, 5);
    const first = await budget.reserve(4)!;
    const order: string[] = [];
    const large = budget.reserve(8)!.then((share) => {
      order.push('large');
      return share;
    });
    const small = budget.reserve(1)!.then(() => order.push('small'));
    expect(budget.heldBytes).toBe(4);
    first.shrinkTo(3);
    first.release();
    const share = await large;
    await small;
    expect(order).toEqual(['large', 'small']);
    expect(budget.heldBytes).toBe(9);
    share.release();
    share.release();
    expect(budget.heldBytes).toBe(1);
  });

  it('refuses when too many wait', async () => {
    const budget = new ByteBudget(10, 1);
    const share = await budget.reserve(10)!;
    const waiting = budget.reserve(1);
    expect(waiting).not.toBeNull();
    expect(budget.reserve(1)).toBeNull();
    share.release();
    await waiting;
  });

  it('is never exceeded and never stuck', async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 16 }), { maxLength: 50 });
    await fc.assert(
      fc.asyncProperty(sizes, async (bytes) => {
        const budget = new ByteBudget(16, 50);
        const work = async (size: number): Promise<void> => {
          const share: ByteShare = await budget.reserve(size)!;
          expect(budget.heldBytes).toBeLessThanOrEqual(16);
          await Promise.resolve();
          share.shrinkTo(size >> 1);
          await Promise.resolve();
          share.release();
        };
        await Promise.all(bytes.map(work));
        expect(budget.heldBytes).toBe(0);
      }),
    );
  });
});
