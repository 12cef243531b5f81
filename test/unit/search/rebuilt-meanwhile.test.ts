/** A query whose rows are built anew, and removed, while it runs. */
import { expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { didOf } from '../../integration/reads-network.ts';
import { SearchHarness } from '../../support/search-harness.ts';

it.each(['latest', 'top'] as const)('sorted by %s finds all that there was when it began', async (sort) => {
  let looks = 0;
  let isRebuilt = false;
  let rebuildAt = Number.POSITIVE_INFINITY;
  const rebuild = (): void => {
    isRebuilt = true;
    search.writer.rebuild(null);
    while (search.writer.takeChanges() > 0 || search.writer.workOn());
  };
  const clock = {
    ...systemClock,
    monotonicMs: () => {
      if (++looks === rebuildAt) rebuild();
      return systemClock.monotonicMs();
    },
  };
  await using search = new SearchHarness(2, 1, { clock, rowsOfTerm: 3_000_000 });
  for (const name of ['alice', 'bob', 'carol']) search.network.post(didOf(name), `apples of ${name}`);
  search.settle();
  const find = (): string[] => search.posts('apples', { sort }).hits.map(({ key }) => key);
  const expected = find();
  expect(expected).toHaveLength(3);
  // At each moment at which the query looks at the clock.
  for (let look = 1; look === 1 || isRebuilt; look++) {
    [isRebuilt, looks, rebuildAt] = [false, 0, look];
    expect(find(), `rebuilt at look ${look}`).toEqual(expected);
  }
  expect(rebuildAt).toBeGreaterThan(2);
});
