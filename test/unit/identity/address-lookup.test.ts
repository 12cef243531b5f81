/** Names whose servers say nothing hold up no others. */
import type { LookupAddress } from 'node:dns';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NameLookup } from '../../../src/identity/address-lookup.ts';
import { PublicFetch } from '../../../src/identity/public-fetch.ts';
import { ScriptedDns } from '../../support/scripted-dns.ts';
import { json, ScriptedNetwork } from '../../support/scripted-network.ts';
import { until } from '../../support/until.ts';

let dns: ScriptedDns;
let names: NameLookup;
beforeEach(async () => {
  dns = await ScriptedDns.start();
  names = new NameLookup({ servers: [dns.server] });
});
afterEach(() => dns.close());

const find = (host: string): Promise<readonly LookupAddress[]> =>
  new Promise((resolve, reject) => {
    names.lookup(host, (error, addresses) => (error === null ? resolve(addresses) : reject(error)));
  });

/** Asks for names that get no answer. Returns: how many look-ups have ended. */
function askSilent(count: number, nameOf: (number: number) => string): { ended: number; all: Promise<unknown> } {
  const silent = { ended: 0, all: Promise.resolve() as Promise<unknown> };
  const asked = Array.from({ length: count }, (_, number) => find(nameOf(number)).catch(() => silent.ended++));
  silent.all = Promise.all(asked);
  return silent;
}

const v4 = (address: string): LookupAddress[] => [{ address, family: 4 }];

describe('a look-up of a name', () => {
  it('waits for none of 1,000 silent names of as many sites', async () => {
    const silent = askSilent(1000, (number) => `www.silent${number}.test`);
    await until(() => dns.asked.size >= 500);
    dns.addresses.set('good.test', '192.0.2.7');
    dns.complete.add('good.test');
    expect(await find('good.test')).toEqual(v4('192.0.2.7'));
    expect(silent.ended).toBeLessThan(1000);
    await silent.all;
    expect(silent.ended).toBe(1000);
  });

  it('waits for none of 1,000 silent names of one site, of which few are asked for at once', async () => {
    const silent = askSilent(1000, (number) => `www${number}.silent.test`);
    await until(() => dns.asked.size > 0);
    dns.addresses.set('good.other.test', '192.0.2.7');
    dns.complete.add('good.other.test');
    dns.asked.clear();
    expect(await find('good.other.test')).toEqual(v4('192.0.2.7'));
    expect(silent.ended).toBeLessThan(1000);
    await silent.all;
    expect(dns.asked.size).toBeLessThan(200);
  });

  it('ends although its servers never answer for the other family', async () => {
    dns.addresses.set('half.test', '192.0.2.8');
    expect(await find('half.test')).toEqual(v4('192.0.2.8'));
  });

  it.each(['localhost', 'app.localhost', 'LOCALHOST'])('asks no server for %s', async (host) => {
    expect((await find(host)).map(({ address }) => address)).toEqual(['127.0.0.1', '::1']);
    expect(dns.asked.size).toBe(0);
  });
});

describe('a fetch', () => {
  it('goes to the address that DNS names, past many silent names', async () => {
    const network = await ScriptedNetwork.start();
    using fetch = new PublicFetch({ allowPrivateHosts: true, lookup: names.lookup });
    network.responders.set('/page', () => json({}));
    dns.addresses.set('good.test', '127.0.0.1');
    const get = (host: string) =>
      fetch.get({
        url: `http://${host}:${network.port}/page`,
        isTrusted: false,
        accept: '*/*',
        timeoutMs: 60_000,
        bytesMax: 1000,
        redirectsMax: 0,
      });
    const silent = Array.from({ length: 200 }, (_, number) => get(`silent${number}.test${number}`));
    expect(await get('good.test')).toMatchObject({ ok: true, status: 200 });
    for (const outcome of await Promise.all(silent)) expect(outcome).toMatchObject({ reason: 'unreachable' });
    await network.close();
  });
});
