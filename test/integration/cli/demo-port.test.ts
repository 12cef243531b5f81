/**
 * The simulated network keeps its port from run to run, and takes another when that one is taken.
 */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { startOnSamePort } from '../../../src/cli/command/demo.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';

it('takes a free port when another process has the last one, and the last one when it is free', async () => {
  const folder = makeMemoryFolder('skyshard-demo-port-');
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const takenPort = (taken.address() as AddressInfo).port;
  writeFileSync(join(folder, 'port'), `${takenPort}\n`);
  const options = {
    dataDir: folder,
    seed: 1,
    actors: 5,
    initialRecords: 5,
    recordsPerSecond: 0,
    host: '127.0.0.1',
    port: 0,
    clock: systemClock,
  };
  const first = await startOnSamePort(options);
  expect(first.port).not.toBe(takenPort);
  await first.close();
  taken.close();
  const second = await startOnSamePort(options);
  expect(second.port).toBe(first.port);
  await second.close();
});
