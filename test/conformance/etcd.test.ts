/** The AppView's own list of data planes has the edges that registered in etcd, while they live. */
import { EtcdHostList } from '@atproto/bsky';
import { Etcd3 } from 'etcd3';
import { expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { seededRandom } from '../../src/base/seeded-random.ts';
import { EtcdRegistration } from '../../src/router/etcd-registration.ts';
import { EtcdServer } from '../support/etcd-server.ts';
import { until } from '../support/until.ts';

const keyPrefix = '/skyshard/edges/';

it('follows edges that come and go', async () => {
  await using etcd = await EtcdServer.make();
  await etcd.start();
  const client = new Etcd3({ hosts: [etcd.url] });
  const list = new EtcdHostList(client, keyPrefix);
  await list.connect();
  const register = (edgeUrl: string): EtcdRegistration =>
    new EtcdRegistration({
      etcdUrl: etcd.url,
      keyPrefix,
      edgeUrl,
      clock: systemClock,
      random: seededRandom(1),
      note: () => {},
    });
  const urls = (): string[] => [...list.get()].sort();
  const first = register('http://127.0.0.1:7401');
  await using _second = register('http://127.0.0.1:7501');
  await until(() => urls().length === 2);
  expect(urls()).toEqual(['http://127.0.0.1:7401', 'http://127.0.0.1:7501']);
  await first[Symbol.asyncDispose]();
  await until(() => urls().length === 1);
  expect(urls()).toEqual(['http://127.0.0.1:7501']);
  client.close();
});
