/** Untrusted URLs lead only to public addresses; every fetch has bounds. */
import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AddressLookup } from '../../../src/identity/address-lookup.ts';
import { isPublicAddress } from '../../../src/identity/public-address.ts';
import { type FetchRequest, PublicFetch } from '../../../src/identity/public-fetch.ts';
import { ScriptedNetwork } from '../../support/scripted-network.ts';

let network: ScriptedNetwork;
beforeAll(async () => {
  network = await ScriptedNetwork.start();
});
afterAll(() => network.close());

function request(url: string, fields: Partial<FetchRequest> = {}): FetchRequest {
  return { url, isTrusted: false, accept: '*/*', timeoutMs: 5000, bytesMax: 1000, redirectsMax: 3, ...fields };
}

describe('an answer that falls below its pace', () => {
  const pace = { waitMs: 50, bytesPerSecMin: 1_000_000 };
  const slow = { pace, isTrusted: true, timeoutMs: 3_600_000, bytesMax: 1e9 };
  const dripping: NodeJS.Timeout[] = [];
  afterAll(() => {
    for (const timer of dripping) clearInterval(timer);
  });

  it('ends the fetch when its host says nothing', async () => {
    network.responders.set('/silent', () => new Promise(() => {}));
    using fetch = new PublicFetch({ allowPrivateHosts: true });
    expect(await fetch.get(request(`${network.url}/silent`, slow))).toMatchObject({ ok: false, reason: 'deadline' });
  });

  it('ends the fetch when a body drips without an end', async () => {
    const stream = (response: ServerResponse): void => {
      dripping.push(setInterval(() => response.write('x'), 5));
    };
    network.responders.set('/dripping', () => ({ body: '', stream }));
    using fetch = new PublicFetch({ allowPrivateHosts: true });
    expect(await fetch.get(request(`${network.url}/dripping`, slow))).toMatchObject({ ok: false, reason: 'deadline' });
  });

  it('is not one that flows', async () => {
    network.responders.set('/flowing', () => ({ body: Buffer.alloc(5_000_000) }));
    using fetch = new PublicFetch({ allowPrivateHosts: true });
    const flowing = { ...slow, pace: { waitMs: 30_000, bytesPerSecMin: 1 } };
    expect(await fetch.get(request(`${network.url}/flowing`, flowing))).toMatchObject({ ok: true });
  });
});

describe('public addresses', () => {
  it.each([
    '127.0.0.1',
    '10.1.2.3',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '0.0.0.0',
    '192.0.2.1',
    '198.18.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '::1',
    '::',
    'fe80::1',
    'fe80::1%eth0',
    'fc00::1',
    'fd12::1',
    '::ffff:127.0.0.1',
    '::ffff:8.8.8.8',
    '64:ff9b::7f00:1',
    '64:ff9b:1::1',
    '192.88.99.1',
    '240.0.0.1',
    '3fff::1',
    '4000::1',
    '127.1',
    '2001:db8::1',
    '2002:7f00:1::',
    '2001::1',
    'ff02::1',
    'localhost',
    '',
  ])('exclude %s', (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });

  it.each(['8.8.8.8', '1.1.1.1', '172.32.0.1', '100.128.0.1', '2606:4700::1111', '2a00:1450::1'])(
    'include %s',
    (address) => {
      expect(isPublicAddress(address)).toBe(true);
    },
  );
});

describe('a fetch of an untrusted URL', () => {
  const fetch = new PublicFetch({ allowPrivateHosts: false });
  afterAll(() => fetch[Symbol.dispose]());

  it.each([
    ['https://127.0.0.1/', 'address-not-public'],
    ['https://[::1]/', 'address-not-public'],
    ['https://[::ffff:10.0.0.1]/', 'address-not-public'],
    // Other spellings of loopback, which URL parsing normalizes.
    ['https://2130706433/', 'address-not-public'],
    ['https://0x7f.1/', 'address-not-public'],
    ['https://localhost/', 'address-not-public'],
    ['http://example.com/', 'scheme-not-allowed'],
    ['file:///etc/passwd', 'scheme-not-allowed'],
    ['https://user:secret@example.com/', 'url-bad'],
    ['not a url', 'url-bad'],
  ])('refuses %s', async (url, reason) => {
    expect(await fetch.get(request(url))).toMatchObject({ ok: false, reason });
  });

  it('refuses a name all of whose addresses are private', async () => {
    const lookup: AddressLookup = (_host, done) => done(null, [{ address: '10.0.0.1', family: 4 }]);
    const guarded = new PublicFetch({ allowPrivateHosts: false, lookup });
    expect(await guarded.get(request('https://inside.example/'))).toMatchObject({ reason: 'address-not-public' });
    guarded[Symbol.dispose]();
  });

  it('resolves the name once, so it cannot change between the check and the connection', async () => {
    // Public for the check, loopback afterwards: the loopback server must get no request.
    const answers = [
      { address: '192.0.0.9', family: 4 },
      { address: '8.8.8.8', family: 4 },
    ];
    let lookups = 0;
    const lookup: AddressLookup = (_host, done) => {
      lookups++;
      done(null, lookups === 1 ? answers : [{ address: '127.0.0.1', family: 4 }]);
    };
    const guarded = new PublicFetch({ allowPrivateHosts: false, lookup });
    const before = network.requests.length;
    const outcome = await guarded.get(request(`https://rebinding.example:${network.port}/`, { timeoutMs: 300 }));
    expect(outcome.ok).toBe(false);
    expect(lookups).toBe(1);
    expect(network.requests.length).toBe(before);
    guarded[Symbol.dispose]();
  });

  it('is refused when a trusted host redirects it to a private one', async () => {
    network.responders.set('/away', () => ({ status: 302, headers: { location: 'https://192.168.0.1/' }, body: '' }));
    network.responders.set('/plain', () => ({ status: 302, headers: { location: 'http://example.com/' }, body: '' }));
    const trusted = { isTrusted: true };
    expect(await fetch.get(request(`${network.url}/away`, trusted))).toMatchObject({ reason: 'address-not-public' });
    expect(await fetch.get(request(`${network.url}/plain`, trusted))).toMatchObject({ reason: 'scheme-not-allowed' });
  });
});

describe('a fetch of a trusted URL', () => {
  const fetch = new PublicFetch({ allowPrivateHosts: false });
  afterAll(() => fetch[Symbol.dispose]());
  const trusted = { isTrusted: true };

  it('follows a redirect on the same origin and returns status, headers and body', async () => {
    network.responders.set('/from', () => ({ status: 302, headers: { location: '/to' }, body: '' }));
    network.responders.set('/to', () => ({ status: 404, headers: { 'x-a': 'b' }, body: 'gone' }));
    const outcome = await fetch.get(request(`${network.url}/from`, trusted));
    expect(outcome).toMatchObject({ ok: true, status: 404, headers: { 'x-a': 'b' } });
    expect(outcome.ok && outcome.body.toString()).toBe('gone');
  });

  it('ends after too many redirects', async () => {
    network.responders.set('/loop', () => ({ status: 302, headers: { location: '/loop' }, body: '' }));
    expect(await fetch.get(request(`${network.url}/loop`, trusted))).toMatchObject({ reason: 'too-many-redirects' });
  });

  it('is cut at the byte limit, with or without a content-length', async () => {
    network.responders.set('/declared', () => ({ headers: { 'content-length': '5000' }, body: Buffer.alloc(5000) }));
    network.responders.set('/undeclared', () => ({
      headers: { 'transfer-encoding': 'chunked' },
      body: Buffer.alloc(5000),
    }));
    expect(await fetch.get(request(`${network.url}/declared`, trusted))).toMatchObject({ reason: 'too-large' });
    expect(await fetch.get(request(`${network.url}/undeclared`, trusted))).toMatchObject({ reason: 'too-large' });
  });

  it.each([
    ['with', { 'content-length': '3000000' }],
    ['without', { 'transfer-encoding': 'chunked' }],
  ])('comes whole in many parts, %s a content-length', async (_with, headers) => {
    const body = Buffer.from(Array.from({ length: 3_000_000 }, (_byte, index) => index % 251));
    network.responders.set('/parts', () => ({ headers, body }));
    const outcome = await fetch.get(request(`${network.url}/parts`, { isTrusted: true, bytesMax: 3_000_000 }));
    expect(outcome.ok && outcome.body.equals(body)).toBe(true);
  });

  it('ends at its deadline', async () => {
    network.responders.set('/silent', () => new Promise(() => {}));
    const outcome = await fetch.get(request(`${network.url}/silent`, { isTrusted: true, timeoutMs: 100 }));
    expect(outcome).toMatchObject({ ok: false, reason: 'deadline' });
  });

  it('says so when nobody listens', async () => {
    expect(await fetch.get(request('http://127.0.0.1:1/', trusted))).toMatchObject({
      ok: false,
      reason: 'unreachable',
    });
  });
});
