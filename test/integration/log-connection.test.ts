/** A connection to a log server that ends while it is being made. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { seededRandom } from '../../src/base/seeded-random.ts';
import { JetStreamConnection } from '../../src/log/jetstream-connection.ts';
import { parseShardMap } from '../../src/shardmap/shard-map.ts';
import { NatsServer } from '../support/nats-server.ts';

const nodes = { n0: { host: '127.0.0.1', port: 1 } };
const map = parseShardMap({ epoch: 1, slots: 1, nodes, shards: [{ name: 's0', primary: 'n0', slots: ['0'] }] });

let server: NatsServer;
beforeAll(async () => {
  server = await NatsServer.start();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

it.each([0, 1, 2, 4, 8, 16, 32, 64])(
  'ends %i ms after it began, however far it is',
  async (afterMs) => {
    let uses = 0;
    const connection = new JetStreamConnection({
      server: { urls: [server.url], credentialsFile: null, streams: { bytesMax: 2 ** 20, copies: 1 } },
      map: () => map,
      use: async () => void uses++,
      clock: systemClock,
      random: seededRandom(1),
      note: () => {},
    });
    await systemClock.sleep(afterMs);
    const usesBefore = uses;
    await connection[Symbol.asyncDispose]();
    expect([uses, connection.session]).toEqual([usesBefore, null]);
  },
  10_000,
);
