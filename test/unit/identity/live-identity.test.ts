/** A repeated request gets a fresh look-up, bounded for each DID and in all. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { IdentityResolver } from '../../../src/identity/identity-resolver.ts';
import { LiveIdentitySource } from '../../../src/identity/live-identity.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { didDocument, json, ScriptedNetwork } from '../../support/scripted-network.ts';
import { until } from '../../support/until.ts';

const minuteMs = 60_000;
const did = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa';
const keys = ['zQ3shunBKsXixLxKtC5qeSG9E4J5RkGN57im31pcTzbNQnm5w', 'zQ3shXjHeiBuRCKmM36cuYnm7YEMzhGnCmCyW92sRJ9pribSF'];

let network: ScriptedNetwork;
let clock: ManualClock;
let resolver: IdentityResolver;
let source: LiveIdentitySource;
/** When the slot's document was resolved. */
let storedMs: number;
beforeEach(async () => {
  network = await ScriptedNetwork.start();
  clock = new ManualClock();
  resolver = new IdentityResolver({
    plcUrl: network.url,
    handleResolverUrl: network.url,
    allowPrivateHosts: true,
    clock,
  });
  source = new LiveIdentitySource(resolver, clock);
  storedMs = clock.nowMs() - minuteMs;
});
afterEach(async () => {
  resolver[Symbol.dispose]();
  await network.close();
});

function publishKey(key: string, of = did): void {
  const document = didDocument(of, 'a.test', network.url);
  const [method] = document['verificationMethod'] as object[];
  network.documents.set(of, { ...document, verificationMethod: [{ ...method, publicKeyMultibase: key }] });
}

const lookups = (): number => network.requestCount('/did');

describe('after an answer from the store', () => {
  it('the same request within a second gets the new key, and so does every later one', async () => {
    publishKey(keys[1]!);
    expect(await source.fresher(did, storedMs)).toBeNull();
    clock.advance(20);
    expect((await source.fresher(did, storedMs))?.keysJson).toContain(keys[1]);
    clock.advance(minuteMs);
    expect((await source.fresher(did, storedMs))?.keysJson).toContain(keys[1]);
    expect(lookups()).toBe(1);
    // Until the store has heard of it.
    expect(await source.fresher(did, clock.nowMs())).toBeNull();
  });

  it('requests apart cause no look-up, nor do repeats of what is fresh', async () => {
    publishKey(keys[0]!);
    for (let count = 0; count < 5; count++) {
      await source.fresher(did, storedMs);
      clock.advance(1000);
    }
    for (let count = 0; count < 5; count++) await source.fresher(did, clock.nowMs() - 1000);
    expect(lookups()).toBe(0);
  });

  it('a caller that repeats for ever causes few look-ups, ever farther apart', async () => {
    publishKey(keys[0]!);
    for (let count = 0; count < 12_000; count++) {
      await source.fresher(did, storedMs);
      clock.advance(100);
    }
    // In 20 minutes: after 10, 10, 20, 40 … seconds.
    expect(lookups()).toBeGreaterThan(3);
    expect(lookups()).toBeLessThan(12);
  });

  it('repeats for many accounts cause at most fifty look-ups in a second', async () => {
    network.responders.clear();
    const dids = Array.from({ length: 200 }, (_unused, index) => `did:web:localhost%3A${10_000 + index}`);
    let started = 0;
    const counted = new LiveIdentitySource(
      Object.assign(Object.create(IdentityResolver.prototype) as IdentityResolver, {
        resolveDid: async () => {
          started++;
          return { ok: false, reason: 'not-found' } as const;
        },
      }),
      clock,
    );
    for (const one of [...dids, ...dids]) await counted.fresher(one, storedMs);
    expect(started).toBe(50);
  });

  it('a directory that hangs leaves the stored document as the answer', async () => {
    network.responders.set(`/${encodeURIComponent(did)}`, () => new Promise(() => {}));
    await source.fresher(did, storedMs);
    const deadline = new AbortController();
    const answered = source.fresher(did, storedMs, deadline.signal);
    await until(() => lookups() === 1);
    deadline.abort();
    expect(await answered).toBeNull();
  });
});

describe('a live identity', () => {
  it('is cached, and looked up afresh when its request is repeated', async () => {
    publishKey(keys[0]!);
    expect((await source.byDid(did))?.keysJson).toContain(keys[0]);
    publishKey(keys[1]!);
    clock.advance(2000);
    expect((await source.byDid(did))?.keysJson).toContain(keys[0]);
    clock.advance(20);
    expect((await source.byDid(did))?.keysJson).toContain(keys[1]);
    expect(lookups()).toBe(2);
  });

  it('is given up when the caller’s signal aborts', async () => {
    network.responders.set(`/${encodeURIComponent(did)}`, () => new Promise(() => {}));
    const deadline = new AbortController();
    const answered = source.byDid(did, deadline.signal);
    await until(() => lookups() === 1);
    deadline.abort();
    await expect(answered).rejects.toMatchObject({ code: 'Unavailable' });
    await expect(source.byHandle('a.test', AbortSignal.abort())).rejects.toMatchObject({ code: 'Unavailable' });
  });

  it('that its directory calls gone is null', async () => {
    network.responders.set(`/${encodeURIComponent(did)}`, () => json({ message: 'gone' }, 410));
    expect(await source.byDid(did)).toBeNull();
  });
});
