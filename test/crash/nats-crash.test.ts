/** Nodes and their log server, killed at random moments, lose nothing and count nothing twice. */
import { expect, it } from 'vitest';
import { seededRandom } from '../../src/base/seeded-random.ts';
import { CrashCluster } from '../support/crash-cluster.ts';
import { appendAll, expectMeaning, storyOf } from '../support/crash-story.ts';
import { NatsServer } from '../support/nats-server.ts';

const testMsMax = 300_000;

it(
  'kill -9 before an acknowledgement is in the log loses nothing and counts nothing twice',
  async () => {
    await using server = await NatsServer.start();
    await using cluster = await CrashCluster.make(8, server.url);
    const entries = storyOf(17, 100);
    await cluster.start('b');
    await cluster.start('a', { point: 'delivered-before-append', nth: 3 });
    const appended = appendAll(cluster, entries);
    expect(await cluster.exitOf('a')).toEqual({ code: null, signal: 'SIGKILL' });
    await cluster.start('a');
    await appended;
    await expectMeaning(cluster, entries);
  },
  testMsMax,
);

it(
  'kill -9 of nodes and of the server at random moments loses nothing and counts nothing twice',
  async () => {
    const random = seededRandom(41);
    await using server = await NatsServer.start();
    await using cluster = await CrashCluster.make(8, server.url);
    const entries = storyOf(41, 100);
    await Promise.all([cluster.start('a'), cluster.start('b')]);
    const victims = ['a', 'server', 'b', 'server', 'b', 'a'];
    let at = 0;
    for (const [round, victim] of victims.entries()) {
      const left = victims.length - round;
      const count = left === 1 ? entries.length - at : 1 + random.below(Math.ceil((2 * (entries.length - at)) / left));
      const appended = appendAll(cluster, entries.slice(at, at + count));
      for (let turns = random.below(200); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
      if (victim === 'server') {
        await server.kill();
        await server.up();
      } else {
        await cluster.stop(victim, 'SIGKILL');
        await cluster.start(victim);
      }
      await appended;
      at += count;
    }
    await expectMeaning(cluster, entries);
  },
  testMsMax,
);
