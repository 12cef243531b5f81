/** Where a labeler is connected to, and which keys its labels may have. */
import { expect, it } from 'vitest';
import type { DidDocument } from '../../../src/identity/did-document.ts';
import type { DidResolution } from '../../../src/identity/identity-resolver.ts';
import { PublicFetch } from '../../../src/identity/public-fetch.ts';
import { Labeler } from '../../../src/ingest/labeler.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { signingKey } from '../../support/scripted-network.ts';

const did = 'did:web:labeler.example';

function documentOf(of: string, labeler: string | null, labelKey: string | null = signingKey): DidDocument {
  const rest = { claimedHandle: null, pds: null, signingKey: null, keysJson: '{}', servicesJson: '{}' };
  return { did: of, labeler, labelKey, ...rest };
}

function scripted(source: string, documents: Map<string, DidDocument>, addresses: readonly string[] = []) {
  const clock = new ManualClock();
  const asked: string[] = [];
  const resolveDid = async (of: string, { fresh = false } = {}): Promise<DidResolution> => {
    asked.push(`${of}${fresh ? ' afresh' : ''}`);
    const document = documents.get(of);
    return document === undefined ? { ok: false, reason: 'not-found' } : { ok: true, document };
  };
  const fetch = new PublicFetch({
    allowPrivateHosts: false,
    lookup: (_host, done) =>
      done(
        null,
        addresses.map((address) => ({ address, family: 4 })),
      ),
    isBlocked: ({ hostname }) => hostname === 'blocked.example',
  });
  return { clock, asked, labeler: new Labeler({ source, resolver: { resolveDid }, fetch, clock }) };
}

it.each([
  ['http://public.example', 'scheme-not-allowed'],
  ['https://127.0.0.1', 'address-not-public'],
  ['https://[::1]:1', 'address-not-public'],
  ['https://blocked.example', 'host-blocked'],
])('a service at %s, as a document names it, is not connected to: %s', async (labeler, reason) => {
  const location = await scripted(did, new Map([[did, documentOf(did, labeler)]])).labeler.locate();
  expect(location).toMatchObject({ ok: false, problem: expect.stringContaining(reason) });
});

it('a name that leads to a private address is refused when it is looked up for the connection', async () => {
  const documents = new Map([[did, documentOf(did, 'https://rebound.example')]]);
  for (const [addresses, outcome] of [
    [['10.0.0.1', '192.168.0.1'], 'has no public address'],
    [['10.0.0.1', '203.1.113.5'], '203.1.113.5'],
  ] as const) {
    const location = await scripted(did, documents, addresses).labeler.locate();
    if (!location.ok || location.lookup === undefined) throw new Error('no location');
    const found = new Promise<string>((resolve) => {
      location.lookup!('rebound.example', {}, (error, address) => resolve(error?.message ?? String(address)));
    });
    expect(await found).toContain(outcome);
  }
});

it('a service that an operator named by its URL may be anywhere', async () => {
  const { labeler } = scripted('http://127.0.0.1:2583', new Map());
  expect(await labeler.locate()).toEqual({ ok: true, url: 'http://127.0.0.1:2583' });
});

it('a document is looked up afresh at most once a minute, when what it says does not fit', async () => {
  const { labeler, asked, clock } = scripted(did, new Map([[did, documentOf(did, 'https://l.example')]]));
  expect(await labeler.keyOf(did)).toMatchObject({ ok: true, key: { curve: 'k256' } });
  await labeler.keyAgainOf(did);
  await labeler.keyAgainOf(did);
  clock.advance(60_000);
  await labeler.keyAgainOf(did);
  expect(asked).toEqual([did, `${did} afresh`, did, `${did} afresh`]);
  expect(await labeler.keyOf('did:web:other.example')).toEqual({ ok: false, reason: 'other-service' });
  expect(asked).toHaveLength(4);
});

it('a service that names ever new sources has few of them looked up a second', async () => {
  const service = 'https://service.example';
  const documents = new Map([[did, documentOf(did, service)]]);
  const { labeler, asked, clock } = scripted(service, documents);
  expect(await labeler.keyOf(did)).toMatchObject({ ok: true });
  const strange = (count: number) =>
    Promise.all(Array.from({ length: count }, (_key, index) => labeler.keyOf(`did:web:s${index}.example`)));
  const reasons = (await strange(50)).map((found) => (found.ok ? 'ok' : found.reason));
  expect(reasons.filter((reason) => reason === 'other-service')).toHaveLength(4);
  expect(reasons.filter((reason) => reason === 'unreachable')).toHaveLength(46);
  expect(asked).toHaveLength(5);
  clock.advance(1000);
  await strange(50);
  expect(asked).toHaveLength(10);
  expect(await labeler.keyOf(did)).toMatchObject({ ok: true });
});
