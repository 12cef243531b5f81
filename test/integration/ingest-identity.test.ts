/** Identities are proven in both directions, in time order, and never block the cursor. */
import { bytesToMultibase, parseMultikey } from '@atproto/crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { IdentityResolver } from '../../src/identity/identity-resolver.ts';
import { publishLike } from '../support/author-harness.ts';
import { IngestHarness } from '../support/ingest-harness.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { didDocument, json } from '../support/scripted-network.ts';
import { until } from '../support/until.ts';
import { authorDid, frameOf, otherDid, SignedRepo } from '../unit/atproto/signed-repo.ts';

const time = '2024-05-06T07:08:10.000Z';

let harness: IngestHarness;
let seq: number;
beforeEach(async () => {
  seq = 0;
  harness = await IngestHarness.create();
});
afterEach(() => harness.close());

function publishIdentity(did: string): void {
  seq++;
  harness.network.publish(seq, frameOf({ op: 1, t: '#identity' }, { seq, did, time }));
}

function publishAccount(did: string, active: boolean, status?: string): void {
  seq++;
  harness.network.publish(
    seq,
    frameOf({ op: 1, t: '#account' }, { seq, did, time, active, ...(status === undefined ? {} : { status }) }),
  );
}

describe('identities', () => {
  it('are proven in both directions, in lower case, with the time of the proof', async () => {
    harness.network.documents.set(authorDid, didDocument(authorDid, 'Author.TEST', harness.network.url));
    harness.network.didByHandle.set('author.test', authorDid);
    // Claims a handle that points to another DID.
    harness.network.documents.set(otherDid, didDocument(otherDid, 'author.test', harness.network.url));
    const before = Date.now();
    await harness.start();
    publishIdentity(authorDid);
    publishIdentity(otherDid);
    await harness.settle();
    const [author] = harness.log.of('identity', authorDid);
    expect(author).toMatchObject({ handle: 'author.test' });
    expect(author!.verifiedAtMs).toBeGreaterThanOrEqual(before);
    expect(JSON.parse(author!.keysJson)).toMatchObject({ atproto: { Type: 'Multikey' } });
    expect(harness.log.of('identity', otherDid)).toMatchObject([{ handle: null }]);
  });

  it('follow a handle from one DID to another; the later proof has the later time', async () => {
    harness.network.register(authorDid, 'shared.test');
    await harness.start();
    publishIdentity(authorDid);
    await harness.settle();
    harness.network.register(otherDid, 'shared.test');
    publishIdentity(otherDid);
    await harness.settle();
    const [first] = harness.log.of('identity', authorDid);
    const [second] = harness.log.of('identity', otherDid);
    expect([first!.handle, second!.handle]).toEqual(['shared.test', 'shared.test']);
    expect(second!.verifiedAtMs).toBeGreaterThanOrEqual(first!.verifiedAtMs);
    publishIdentity(authorDid);
    await harness.settle();
    expect(harness.log.of('identity', authorDid).at(-1)).toMatchObject({ handle: null });
  });

  it('are resolved once, at the first commit of a DID, and not again after a restart', async () => {
    harness.network.register(authorDid, 'author.test');
    const repo = await SignedRepo.start();
    await harness.start();
    for (const rkey of ['a', 'b', 'c']) await publishLike(harness, repo, ++seq, rkey);
    await harness.settle();
    expect(harness.log.of('identity', authorDid)).toHaveLength(1);
    await publishLike(harness, repo, ++seq, 'd');
    await harness.settle();
    await harness.stop();
    harness.log = new MemoryLog();
    await harness.start();
    await publishLike(harness, repo, ++seq, 'e');
    await harness.settle();
    expect(harness.log.of('commit')).toHaveLength(1);
    expect(harness.log.of('identity', authorDid)).toHaveLength(0);
    expect(harness.network.requestCount(`/${encodeURIComponent(authorDid)}`)).toBe(1);
  });

  it('do not affect the commit when they cannot be resolved', async () => {
    const repo = await SignedRepo.start();
    await harness.start();
    await publishLike(harness, repo, ++seq, 'a');
    await harness.settle();
    expect(harness.log.of('commit', authorDid)).toHaveLength(1);
    expect(harness.log.of('identity', authorDid)).toEqual([]);
    await until(() => harness.status.durableSeq === 1);
  });

  it('are resolved again when they change during resolution', async () => {
    let asked = 0;
    let openGate = (): void => {};
    const gate = new Promise<void>((resolve) => {
      openGate = resolve;
    });
    harness.network.didByHandle.set('old.test', authorDid);
    harness.network.didByHandle.set('new.test', authorDid);
    harness.network.responders.set(`/${encodeURIComponent(authorDid)}`, async () => {
      asked++;
      if (asked > 1) return json(didDocument(authorDid, 'new.test', harness.network.url));
      await gate;
      return json(didDocument(authorDid, 'old.test', harness.network.url));
    });
    await harness.start();
    publishIdentity(authorDid);
    await until(() => asked === 1);
    publishIdentity(authorDid);
    // The cursor waits for the durable requests alone.
    await until(() => harness.status.durableSeq === 2);
    expect(asked).toBe(1);
    openGate();
    await harness.settle();
    expect(harness.log.of('identity', authorDid).map(({ handle }) => handle)).toEqual(['old.test', 'new.test']);
    expect(asked).toBe(2);
  });

  it('are postponed durably while the directory is down, so that the cursor advances', async () => {
    harness.network.responders.set(`/${encodeURIComponent(authorDid)}`, () => ({ status: 500, body: '' }));
    await harness.start();
    publishIdentity(authorDid);
    publishAccount(otherDid, true);
    await until(() => harness.status.durableSeq === 2);
    expect(harness.log.of('identity', authorDid)).toEqual([]);
    expect(harness.log.of('account', otherDid)).toHaveLength(1);
  });

  it.each([501, 429])('are settled though the directory or the resolver has answered %d', async (status) => {
    harness.network.register(authorDid, 'author.test');
    const asked = `/${encodeURIComponent(otherDid)}`;
    harness.network.responders.set(asked, () => ({ status, body: '' }));
    harness.network.responders.set('/xrpc/com.atproto.identity.resolveHandle', () => ({ status, body: '' }));
    await harness.start();
    publishIdentity(authorDid);
    publishIdentity(otherDid);
    expect((await harness.settle()).status).toBe(200);
    // Neither is tried again before that, and both are later.
    expect(harness.network.requestCount(asked)).toBe(1);
    expect(harness.network.requestCount('/xrpc/com.atproto.identity.resolveHandle')).toBe(1);
    const { body } = await harness.get('/v1/status');
    expect(body).toMatchObject({ lookups: { identities: { directory: 2 } } });
  });

  it('keep their handle while the handle resolver is down', async () => {
    harness.network.register(authorDid, 'author.test');
    harness.network.responders.set('/xrpc/com.atproto.identity.resolveHandle', () => ({ status: 502, body: '' }));
    await harness.start();
    publishIdentity(authorDid);
    await harness.settle();
    expect(harness.log.of('identity', authorDid)).toMatchObject([{ handle: null, verifiedAtMs: 0 }]);
  });
});

describe('account events', () => {
  it('keep no status of another meaning, but know the account, and distinguish active from inactive', async () => {
    await harness.start();
    publishAccount(authorDid, false, 'takendown');
    publishAccount(authorDid, false, 'throttled');
    publishAccount(authorDid, true);
    await harness.settle();
    expect(harness.log.of('account').map(({ active, status }) => [active, status])).toEqual([
      [false, 'takendown'],
      [false, ''],
      [true, ''],
    ]);
  });

  it('delete an account only when its host no longer has it', async () => {
    harness.network.register(authorDid, 'author.test');
    harness.network.register(otherDid, 'other.test');
    harness.network.responders.set('/xrpc/com.atproto.sync.getLatestCommit', (query) =>
      query.get('did') === authorDid
        ? json({ error: 'RepoNotFound', message: 'x' }, 400)
        : json({ cid: 'x', rev: 'x' }),
    );
    await harness.start();
    publishAccount(authorDid, false, 'deleted');
    publishAccount(otherDid, false, 'deleted');
    await harness.settle();
    expect(harness.log.of('account')).toMatchObject([{ did: authorDid, active: false, status: 'deleted' }]);
    expect((await harness.get('/metrics')).body['text']).toMatch(/deletions_checked_total\{outcome="still-hosted"\} 1/);
  });
});

describe('the identity endpoint', () => {
  it('answers by DID and by handle with the handle that the document claims', async () => {
    harness.network.register(authorDid, 'author.test');
    await harness.start();
    const byDid = await harness.get(`/v1/identity?did=${authorDid}`);
    expect(byDid).toMatchObject({ status: 200, body: { did: authorDid, handle: 'author.test' } });
    expect((await harness.get('/v1/identity?handle=author.test')).body).toMatchObject({ did: authorDid });
    expect(await harness.get('/v1/identity?handle=nobody.test')).toMatchObject({ status: 404 });
    expect(await harness.get(`/v1/identity?did=${otherDid}`)).toMatchObject({ status: 404 });
    expect(await harness.get('/v1/identity')).toMatchObject({ status: 400 });
  });
});

describe('the resolver', () => {
  it('reads DNS first, accepts exactly one claim, and falls back to https', async () => {
    const texts: Record<string, string[][]> = {
      '_atproto.dns.example': [['other text'], ['did=', authorDid]],
      '_atproto.twice.example': [[`did=${authorDid}`], [`did=${otherDid}`]],
    };
    const resolver = new IdentityResolver({
      plcUrl: harness.network.url,
      handleResolverUrl: null,
      allowPrivateHosts: false,
      timeoutMs: 500,
      txtLookup: async (name) => {
        if (name === '_atproto.broken.example') throw Object.assign(new Error('x'), { code: 'ESERVFAIL' });
        const found = texts[name];
        if (found === undefined) throw Object.assign(new Error('x'), { code: 'ENOTFOUND' });
        return found;
      },
      // Every handle has a private web host, which untrusted names must not reach.
      addressLookup: (_host, done) => done(null, [{ address: '127.0.0.1', family: 4 }]),
    });
    expect(await resolver.resolveHandle('dns.example')).toEqual({ ok: true, did: authorDid });
    expect(await resolver.resolveHandle('twice.example')).toEqual({ ok: false, reason: 'not-found' });
    expect(await resolver.resolveHandle('absent.example')).toEqual({ ok: false, reason: 'not-found' });
    expect(await resolver.resolveHandle('broken.example')).toEqual({ ok: false, reason: 'unreachable' });
    expect(await resolver.resolveHandle('not a handle')).toEqual({ ok: false, reason: 'handle-bad' });
    resolver[Symbol.dispose]();
  });

  it('resolves did:web only at public hosts, and at localhost only when allowed', async () => {
    const did = `did:web:localhost%3A${harness.network.port}`;
    harness.network.responders.set('/.well-known/did.json', () =>
      json(didDocument(did, 'web.test', harness.network.url)),
    );
    const options = { plcUrl: harness.network.url, handleResolverUrl: harness.network.url };
    const open = new IdentityResolver({ ...options, allowPrivateHosts: true });
    const guarded = new IdentityResolver({ ...options, allowPrivateHosts: false });
    expect(await open.resolveDid(did)).toMatchObject({ ok: true, document: { claimedHandle: 'web.test' } });
    const before = harness.network.requests.length;
    expect(await guarded.resolveDid(did)).toMatchObject({ ok: false });
    expect(harness.network.requests.length).toBe(before);
    for (const bad of ['did:web:host/path', 'did:web:host:path', 'did:web:user%40host', 'did:key:zabc', 'nonsense']) {
      expect((await open.resolveDid(bad)).ok, bad).toBe(false);
    }
    open[Symbol.dispose]();
    guarded[Symbol.dispose]();
  });

  it('reads the signing key of `#atproto` alone, old key types as a multikey', async () => {
    const resolver = new IdentityResolver({
      plcUrl: harness.network.url,
      handleResolverUrl: null,
      allowPrivateHosts: true,
    });
    const modern = 'zQ3shunBKsXixLxKtC5qeSG9E4J5RkGN57im31pcTzbNQnm5w';
    const old = bytesToMultibase(parseMultikey(modern).keyBytes, 'base58btc');
    const curve = 'EcdsaSecp256k1VerificationKey2019';
    for (const [fields, signingKey] of [
      [{ id: '#atproto', type: 'Multikey', publicKeyMultibase: modern }, modern],
      [{ id: `${authorDid}#atproto`, type: curve, publicKeyMultibase: old }, modern],
      [{ id: '#other', type: 'Multikey', publicKeyMultibase: modern }, null],
      [{ id: '#atproto', type: curve, publicKeyMultibase: 'z0' }, null],
      [{ id: '#atproto', type: 'Multikey', publicKeyMultibase: `z${'a'.repeat(500)}` }, null],
    ] as const) {
      const verificationMethod = [{ ...fields, controller: authorDid }];
      harness.network.documents.set(authorDid, { id: authorDid, verificationMethod });
      expect(await resolver.resolveDid(authorDid, { fresh: true })).toMatchObject({
        ok: true,
        document: { signingKey },
      });
    }
    resolver[Symbol.dispose]();
  });

  it('refuses documents that are malformed or of another DID', async () => {
    const resolver = new IdentityResolver({
      plcUrl: harness.network.url,
      handleResolverUrl: null,
      allowPrivateHosts: true,
    });
    const answers: [unknown, string][] = [
      [didDocument(otherDid, 'a.test', 'https://x.test'), 'document-of-another-did'],
      [[], 'document-malformed'],
      [{ id: authorDid, alsoKnownAs: 'at://a.test' }, 'document-malformed'],
      [{ id: authorDid, verificationMethod: [{ id: 5 }] }, 'document-malformed'],
    ];
    for (const [document, reason] of answers) {
      harness.network.documents.set(authorDid, document);
      expect(await resolver.resolveDid(authorDid, { fresh: true })).toEqual({ ok: false, reason });
    }
    resolver[Symbol.dispose]();
  });
});
