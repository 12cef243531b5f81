/** Verifications: pages of all of them, and in actors those of trusted verifiers. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RoutedNetwork } from '../support/routed-network.ts';
import { refusal } from '../support/router-plans.ts';
import { didOf, pagesOf, ReadsNetwork, type StrongRef } from './reads-network.ts';

const [alice, bob, carol] = [didOf('alice'), didOf('bob'), didOf('carol')];
const subjects = ['a', 'b', 'c', 'd', 'e'].map((name) => didOf(`subject${name}`));
const verification = 'app.bsky.graph.verification';

describe.each([{ slots: 2 }, { slots: 8 }])('verifications over $slots slots', ({ slots }) => {
  let network: ReadsNetwork;
  let routed: RoutedNetwork;
  beforeEach(() => {
    network = new ReadsNetwork({ slots });
    routed = new RoutedNetwork(network);
    for (const did of [alice, bob, carol, ...subjects]) network.identity(did, null);
  });
  afterEach(() => network[Symbol.asyncDispose]());

  const verify = (issuer: string, subject: string, more: object = {}, rkey?: string): StrongRef =>
    network.put(
      issuer,
      verification,
      { subject, handle: 'sub.example', displayName: 'Sub', createdAt: network.now, ...more },
      rkey,
    );
  const trust = (did: string, isTrusted = true) => network.write(did, { type: 'trusted-verifier', isTrusted });
  const actorOf = async (did: string) => (await routed.ask('GetActors', { dids: [did] })).actors[0]!;
  const verifiersOf = async (did: string) => [...(await actorOf(did)).verifiedBy.keys()];
  const rkeyOf = ({ uri }: StrongRef) => uri.split('/').at(-1)!;

  it.each([1, 2, 7])('lists what an actor issued, one per subject, with its times, in pages of %i', async (limit) => {
    const refs = subjects.map((subject) => verify(alice, subject));
    verify(alice, subjects[0]!);
    const pages = await pagesOf(async (cursor) => {
      const answer = await routed.ask('GetVerificationsIssued', { actorDid: alice, limit, cursor });
      return { items: answer.verifications, cursor: answer.cursor };
    });
    const found = pages.flat();
    expect(found.map(({ rkey, subjectDid }) => [rkey, subjectDid])).toEqual(
      refs.map((ref, index) => [rkeyOf(ref), subjects[index]]).reverse(),
    );
    for (const { actorDid, createdAt, indexedAt, sortedAt } of found) {
      expect(actorDid).toBe(alice);
      expect(createdAt).toBeDefined();
      expect([indexedAt, sortedAt]).toEqual([createdAt, createdAt]);
    }
  });

  it.each([1, 2, 7])('lists what an actor received, with the times of the records, in pages of %i', async (limit) => {
    const issuers = [alice, bob, carol, ...subjects];
    const early = { createdAt: '2024-01-01T00:00:00.000Z' };
    const refs = issuers.map((issuer, index) => verify(issuer, subjects[0]!, index === 0 ? early : {}));
    const gone = verify(didOf('gone'), subjects[0]!);
    network.delete(gone);
    const pages = await pagesOf(async (cursor) => {
      const answer = await routed.ask('GetVerificationsReceived', { subjectDid: subjects[0]!, limit, cursor });
      return { items: answer.verifications, cursor: answer.cursor };
    });
    const found = pages.flat();
    expect(found.map(({ actorDid, rkey }) => [actorDid, rkey])).toEqual(
      refs.map((ref, index) => [issuers[index], rkeyOf(ref)]).reverse(),
    );
    const { createdAt, indexedAt, sortedAt } = found.at(-1)!;
    expect([createdAt, sortedAt]).toEqual([Date.parse(early.createdAt), Date.parse(early.createdAt)]);
    expect(indexedAt).toBeGreaterThan(createdAt!);
  });

  it('answers unknown and malformed actors with nothing, and a bad token with an error', async () => {
    verify(alice, bob);
    for (const did of [didOf('nobody'), '', 'nonsense']) {
      const issued = await routed.ask('GetVerificationsIssued', { actorDid: did, limit: 5 });
      const received = await routed.ask('GetVerificationsReceived', { subjectDid: did, limit: 5 });
      expect([issued, received]).toMatchObject(Array(2).fill({ verifications: [], cursor: '' }));
    }
    expect(await routed.ask('GetVerificationsReceived', { subjectDid: bob, limit: 0 })).toMatchObject({ cursor: '' });
    const error = await refusal(routed.ask('GetVerificationsReceived', { subjectDid: bob, limit: 5, cursor: 'x' }));
    expect(error.code).toBe('InvalidArgument');
  });

  it('shows in an actor the verifications of those who are trusted, oldest first, before and after', async () => {
    trust(alice);
    const byAlice = verify(alice, carol, { createdAt: '2024-02-01T00:00:00.000Z' });
    verify(bob, carol, { createdAt: '2024-01-01T00:00:00.000Z', handle: 'old.example', displayName: '' });
    expect(await verifiersOf(carol)).toEqual([alice]);
    expect((await actorOf(carol)).verifiedBy.get(alice)).toEqual({
      rkey: rkeyOf(byAlice),
      handle: 'sub.example',
      displayName: 'Sub',
      sortedAt: Date.parse('2024-02-01T00:00:00.000Z'),
    });
    trust(bob);
    expect(await verifiersOf(carol)).toEqual([bob, alice]);
    expect((await actorOf(carol)).verifiedBy.get(bob)).toMatchObject({ handle: 'old.example', displayName: '' });
    expect((await actorOf(bob)).trustedVerifier).toBe(true);
    expect((await actorOf(carol)).trustedVerifier).toBe(false);
  });

  it('shows none any more once a verifier is not trusted, and all again once it is', async () => {
    trust(alice);
    for (const subject of subjects) verify(alice, subject);
    trust(alice, false);
    for (const subject of subjects) expect(await verifiersOf(subject)).toEqual([]);
    expect((await actorOf(alice)).trustedVerifier).toBe(false);
    const { verifications } = await routed.ask('GetVerificationsIssued', { actorDid: alice, limit: 50 });
    expect(verifications).toHaveLength(subjects.length);
    trust(alice);
    for (const subject of subjects) expect(await verifiersOf(subject)).toEqual([alice]);
  });

  it('follows deletes, updates and duplicates of a verification', async () => {
    trust(alice);
    const first = verify(alice, carol);
    const second = verify(alice, carol, { handle: 'second.example' });
    expect((await actorOf(carol)).verifiedBy.get(alice)).toMatchObject({ rkey: rkeyOf(first), handle: 'sub.example' });
    network.delete(first);
    expect((await actorOf(carol)).verifiedBy.get(alice)).toMatchObject({ rkey: rkeyOf(second) });
    verify(alice, bob, {}, rkeyOf(second));
    expect([await verifiersOf(carol), await verifiersOf(bob)]).toEqual([[], [alice]]);
    network.delete(second);
    expect(await verifiersOf(bob)).toEqual([]);
  });

  it('ends trust and verifications with the account of the verifier', async () => {
    trust(alice);
    verify(alice, carol);
    network.account(alice, false, 'deleted');
    expect([await verifiersOf(carol), (await actorOf(alice)).exists]).toEqual([[], false]);
    network.identity(alice, null);
    verify(alice, carol);
    expect([await verifiersOf(carol), (await actorOf(alice)).trustedVerifier]).toEqual([[], false]);
  });

  it('leaves out a verification whose name is longer than any profile has', async () => {
    trust(alice);
    verify(alice, carol, { displayName: 'x'.repeat(3_000) });
    expect(await verifiersOf(carol)).toEqual([]);
  });

  it('changes nothing when an actor is trusted that nobody knows', async () => {
    trust(didOf('nobody'));
    verify(didOf('nobody'), carol);
    expect(await verifiersOf(carol)).toEqual([]);
  });
});
