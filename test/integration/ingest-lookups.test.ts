/** Look-ups that hang, fail or never end hold up no commit and open few connections. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AddressLookup } from '../../src/identity/address-lookup.ts';
import type { IngestOptions } from '../../src/ingest/ingest-server.ts';
import { IngestHarness } from '../support/ingest-harness.ts';
import { didDocument, json } from '../support/scripted-network.ts';
import { ShiftedClock } from '../support/shifted-clock.ts';
import { SilentHost } from '../support/silent-host.ts';
import { until } from '../support/until.ts';
import { authorDid, commitFrame, create, frameOf, likeRecord, SignedRepo } from '../unit/atproto/signed-repo.ts';

const time = '2024-05-06T07:08:10.000Z';
const commits = 100;
const minuteMs = 60_000;
/** The events are many, and the machine may be busy. */
const withinMs = 110_000;
const testMsMax = 120_000;
/** A server hears of a close a little after the client's next connection. */
const lateCloses = 2;

let harness: IngestHarness;
let silent: SilentHost;
let seq: number;
beforeEach(async () => {
  seq = 0;
  [harness, silent] = await Promise.all([IngestHarness.create(), SilentHost.start()]);
});
afterEach(async () => {
  await harness.close();
  await silent.close();
});

const plcDid = (number: number): string =>
  `did:plc:${number
    .toString(8)
    .padStart(24, '0')
    .replaceAll(/[0-7]/g, (digit) => 'abcdefgh'[Number(digit)]!)}`;

function publish(kind: 'identity' | 'account', did: string, fields: object = {}): void {
  seq++;
  harness.network.publish(seq, frameOf({ op: 1, t: `#${kind}` }, { seq, did, time, ...fields }));
}

/** Publishes events of made-up accounts, with commits of one repo among them. */
async function publishAmongCommits(count: number, publishOne: (number: number) => void): Promise<void> {
  const repo = await SignedRepo.start();
  for (let number = 0; number < count; number++) {
    publishOne(number);
    if (number % (count / commits) !== 0) continue;
    seq++;
    const like = create('app.bsky.feed.like', `rkey${number}`, likeRecord());
    harness.network.publish(seq, commitFrame(await repo.commit(seq, like)));
  }
}

/** Every name leads to this machine. */
function identityOf(url: string): IngestOptions['identity'] {
  const addressLookup: AddressLookup = (_host, done) => done(null, [{ address: '127.0.0.1', family: 4 }]);
  return { plcUrl: url, handleResolverUrl: url, allowPrivateHosts: true, addressLookup };
}

const lookups = async (): Promise<Record<'identities' | 'deletions', { directory: number; otherHosts: number }>> =>
  (await harness.get('/v1/status')).body['lookups'] as never;
const countOf = async (metric: string): Promise<number> => {
  const text = (await harness.get('/metrics')).body['text'] as string;
  return Number(
    text
      .split('\n')
      .find((line) => line.startsWith(metric))
      ?.split(' ')
      .at(-1) ?? 0,
  );
};

describe('every commit comes through, and the cursor passes', { timeout: testMsMax }, () => {
  it('10,000 identity events while the directory hangs', async () => {
    await publishAmongCommits(10_000, (number) => publish('identity', plcDid(number)));
    const identity = { plcUrl: silent.url, handleResolverUrl: harness.network.url, allowPrivateHosts: true };
    await harness.start({ identity });
    await until(() => harness.status.durableSeq === seq, withinMs);
    expect(harness.log.of('commit', authorDid)).toHaveLength(commits);
    await until(() => silent.connectionCount > 0);
    expect((await lookups()).identities.directory).toBeGreaterThan(9000);
    expect(silent.openMax).toBeLessThanOrEqual(128 * lateCloses);
  });

  it('10,000 identity events of names whose host says nothing; other names are resolved', async () => {
    await publishAmongCommits(10_000, (number) =>
      publish('identity', `did:web:n${number}.silent.example%3A${silent.port}`),
    );
    harness.network.register(authorDid, 'author.test');
    publish('identity', authorDid);
    const other = `did:web:localhost%3A${harness.network.port}`;
    harness.network.responders.set('/.well-known/did.json', () =>
      json(didDocument(other, 'author.test', harness.network.url)),
    );
    publish('identity', other);
    await harness.start({ identity: identityOf(harness.network.url) });
    await until(() => harness.status.durableSeq === seq, withinMs);
    expect(harness.log.of('commit', authorDid)).toHaveLength(commits);
    await until(() => [authorDid, other].every((did) => harness.log.of('identity', did).length > 0), withinMs);
    // What one site may have waiting is bounded; what is refused is counted.
    expect((await lookups()).identities.otherHosts).toBeLessThanOrEqual(5001);
    expect(await countOf('skyshard_identities_resolved_total{outcome="queue-full"}')).toBeGreaterThanOrEqual(5000);
    expect(silent.openMax).toBeLessThanOrEqual(8 * lateCloses);
  });

  it('stalled names of many sites leave the directory its own look-ups', async () => {
    const count = 2000;
    await publishAmongCommits(count, (number) =>
      publish('identity', `did:web:n${number}.silent${number % 50}.example%3A${silent.port}`),
    );
    harness.network.register(authorDid, 'author.test');
    publish('identity', authorDid);
    await harness.start({ identity: identityOf(harness.network.url) });
    await until(() => harness.status.durableSeq === seq && silent.connectionCount >= 64, withinMs);
    await until(() => harness.log.of('identity', authorDid).length > 0, withinMs);
    expect(harness.log.of('commit', authorDid)).toHaveLength(commits);
    expect((await lookups()).identities.otherHosts).toBe(count);
    expect(silent.openMax).toBeLessThanOrEqual(64 * lateCloses);
  });
});

describe('deletions of accounts', { timeout: testMsMax }, () => {
  it('3,000 of hosts that are gone are put off; they are made when nobody hosts them', async () => {
    const clock = new ShiftedClock();
    const { network } = harness;
    const count = 3000;
    for (let number = 0; number < count; number++) {
      const [did, host] = [plcDid(number), number % 2 === 0 ? silent.url : `http://127.0.0.1:${network.port}`];
      network.documents.set(did, didDocument(did, 'x.test', host));
    }
    network.responders.set('/xrpc/com.atproto.sync.getLatestCommit', () => ({ status: 502, body: '' }));
    await publishAmongCommits(count, (number) =>
      publish('account', plcDid(number), { active: false, status: 'deleted' }),
    );
    await harness.start({ clock });
    await until(() => harness.status.durableSeq === seq, withinMs);
    expect(harness.log.of('commit', authorDid)).toHaveLength(commits);
    await until(async () => (await harness.settle()).status === 200, withinMs);
    expect(harness.log.of('account')).toEqual([]);
    expect((await lookups()).deletions.directory).toBe(count);
    expect(silent.openMax).toBeLessThanOrEqual(4 * lateCloses);
    // Their documents name no host any more.
    for (let number = 0; number < count; number++) network.documents.set(plcDid(number), { id: plcDid(number) });
    await until(async () => {
      clock.aheadMs += 2 * minuteMs;
      return (await lookups()).deletions.directory === 0;
    }, withinMs);
    expect(new Set(harness.log.of('account').map(({ did }) => did)).size).toBe(count);
  });
});
