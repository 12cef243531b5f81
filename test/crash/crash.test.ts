/** Nodes killed at each crash point and at any moment lose nothing and count nothing twice. */
import { describe, expect, it } from 'vitest';
import { type CrashPoint, nodeCrashPoints } from '../../src/base/crash-point.ts';
import { seededRandom } from '../../src/base/seeded-random.ts';
import { CrashCluster } from '../support/crash-cluster.ts';
import { appendAll, expectMeaning, storyOf } from '../support/crash-story.ts';
import { plantFault } from '../support/planted-thread-fault.ts';

/** Appends a story while node a kills itself at a point, and again after its restart. */
async function crashTwice(point: CrashPoint, seed: number): Promise<void> {
  await using cluster = await CrashCluster.make();
  const entries = storyOf(seed, 400);
  await cluster.start('b');
  await cluster.start('a', { point, nth: 3 });
  const appended = appendAll(cluster, entries);
  expect(await cluster.exitOf('a')).toEqual({ code: null, signal: 'SIGKILL' });
  await cluster.start('a', { point, nth: 2 });
  expect(await cluster.exitOf('a')).toEqual({ code: null, signal: 'SIGKILL' });
  await cluster.start('a');
  await appended;
  await expectMeaning(cluster, entries);
}

describe('kill -9', () => {
  for (const point of nodeCrashPoints) {
    it(`at ${point} loses nothing and counts nothing twice`, async () => {
      await crashTwice(point, 11);
    }, 240_000);
  }

  // Other moments for each number of threads.
  it.each([
    [1, 24],
    [3, 29],
  ])(
    'at random moments of %i serving threads loses nothing and counts nothing twice',
    async (threads, seed) => {
      const random = seededRandom(seed);
      await using cluster = await CrashCluster.make();
      cluster.serveThreads = threads;
      const entries = storyOf(seed, 600);
      await Promise.all([cluster.start('a'), cluster.start('b')]);
      let kills = 0;
      for (let at = 0; at < entries.length; ) {
        const count = 1 + random.below(Math.ceil(entries.length / 3));
        const appended = appendAll(cluster, entries.slice(at, at + count));
        const name = random.below(2) === 0 ? 'a' : 'b';
        // After some turns of the event loop, so that appends and effects are in flight.
        for (let turns = random.below(200); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
        await cluster.stop(name, 'SIGKILL');
        kills++;
        await cluster.start(name);
        await appended;
        at += count;
      }
      expect(kills).toBeGreaterThan(5);
      await expectMeaning(cluster, entries);
    },
    300_000,
  );
});

describe('a serving thread', () => {
  it.each(['throw', 'exit'] as const)(
    'that dies by %s while entries come in loses none of them',
    async (fault) => {
      await using cluster = await CrashCluster.make();
      cluster.serveThreads = 3;
      const entries = storyOf(31, 400);
      await Promise.all([cluster.start('a'), cluster.start('b')]);
      const parts = 2;
      for (let part = 0; part < parts; part++) {
        const size = Math.ceil(entries.length / parts);
        const appended = appendAll(cluster, entries.slice(part * size, (part + 1) * size));
        plantFault(cluster.dataDirOf('a'), fault);
        expect(await cluster.exitOf('a')).toEqual({ code: 70, signal: null });
        await cluster.start('a');
        await appended;
      }
      await expectMeaning(cluster, entries);
    },
    300_000,
  );
});
