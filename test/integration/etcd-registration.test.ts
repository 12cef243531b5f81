/** Edges register in a real etcd for as long as they live, whatever becomes of the etcd. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { seededRandom } from '../../src/base/seeded-random.ts';
import { EtcdRegistration } from '../../src/router/etcd-registration.ts';
import { EtcdServer } from '../support/etcd-server.ts';
import { until } from '../support/until.ts';

const keyPrefix = '/test/edges/';

let etcd: EtcdServer;
let notes: string[];
const open: EtcdRegistration[] = [];

beforeEach(async () => {
  etcd = await EtcdServer.make();
  notes = [];
});

afterEach(async () => {
  for (const registration of open.splice(0)) await registration[Symbol.asyncDispose]();
  await etcd[Symbol.asyncDispose]();
});

function register(port: number): EtcdRegistration {
  const registration = new EtcdRegistration({
    etcdUrl: etcd.url,
    keyPrefix,
    edgeUrl: `http://127.0.0.1:${port}`,
    clock: systemClock,
    random: seededRandom(1),
    note: (message) => notes.push(message),
    leaseS: 3,
  });
  open.push(registration);
  return registration;
}

async function urls(): Promise<string[]> {
  return (await etcd.values(keyPrefix)).map(({ value }) => value);
}

it('each edge has a key under a lease of its own, until it closes', async () => {
  await etcd.start();
  const [first] = [register(1), register(2)];
  await until(async () => (await urls()).length === 2);
  expect((await urls()).sort()).toEqual(['http://127.0.0.1:1', 'http://127.0.0.1:2']);
  const leases = (await etcd.values(keyPrefix)).map(({ lease }) => lease);
  expect(new Set(leases).size).toBe(2);
  expect(leases).not.toContain('0');
  await first![Symbol.asyncDispose]();
  expect(await urls()).toEqual(['http://127.0.0.1:2']);
}, 120_000);

it('an etcd that comes later, or loses its data, gets the key again', async () => {
  register(1);
  await until(() => notes.length > 0);
  expect(notes[0]).toContain('does not take the key of this edge');
  for (let round = 0; round < 2; round++) {
    await etcd.start();
    await until(async () => (await urls()).includes('http://127.0.0.1:1'), 60_000);
    if (round === 0) await etcd.stop();
  }
}, 180_000);
