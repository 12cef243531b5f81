/** Identities come from slots first, then from live resolution. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { IdentitySource } from '../../../../src/router/plan/identity-source.ts';
import { didOf } from '../../../support/fake-nodes.ts';
import { RouterPlans, refusal } from '../../../support/router-plans.ts';

let plans: RouterPlans;
beforeEach(() => {
  plans = new RouterPlans();
});

describe('identity', () => {
  const live: IdentitySource = {
    byDid: async (did) =>
      did === didOf(9) ? { did, handle: 'live.test', keysJson: '{}', servicesJson: '{"a":1}', updatedMs: 5 } : null,
    fresher: async (did) =>
      did === didOf(3) ? { did, handle: 'newer.test', keysJson: '{}', servicesJson: '{}', updatedMs: 9 } : null,
    byHandle: async (handle) =>
      handle === 'live.test' ? { did: didOf(9), handle, keysJson: '{}', servicesJson: '{}', updatedMs: 5 } : null,
  };

  test('a stored document comes first, a live one next, NotFound last', async () => {
    const withLive = plans.routerOf({ identity: live });
    plans.nodes.network.identities.set(didOf(1), 'stored.test');
    plans.nodes.network.handles.set('stored.test', didOf(1));
    expect(await plans.ask('GetIdentityByDid', { did: didOf(1) }, withLive)).toMatchObject({
      did: didOf(1),
      handle: 'stored.test',
    });
    expect(await plans.ask('GetIdentityByHandle', { handle: 'Stored.test' }, withLive)).toMatchObject({
      did: didOf(1),
      handle: 'stored.test',
    });
    const found = await plans.ask('GetIdentityByDid', { did: didOf(9) }, withLive);
    expect(found).toMatchObject({ handle: 'live.test', updated: 5 });
    expect(Buffer.from(found.services).toString()).toBe('{"a":1}');
    expect((await plans.ask('GetIdentityByHandle', { handle: 'live.test' }, withLive)).did).toBe(didOf(9));
    for (const did of [didOf(2), 'nonsense', ''])
      expect((await refusal(plans.ask('GetIdentityByDid', { did }, withLive))).code).toBe('NotFound');
    expect((await refusal(plans.ask('GetIdentityByHandle', { handle: 'no one' }, withLive))).code).toBe('NotFound');
  });

  test('a document newer than the stored one is answered instead of it', async () => {
    const withLive = plans.routerOf({ identity: live });
    for (const number of [3, 4]) plans.nodes.network.identities.set(didOf(number), 'stored.test');
    const handleOf = async (number: number): Promise<string> =>
      (await plans.ask('GetIdentityByDid', { did: didOf(number) }, withLive)).handle;
    expect([await handleOf(3), await handleOf(4)]).toEqual(['newer.test', 'stored.test']);
  });

  test('while a node is missing, identities are resolved live', async () => {
    plans.nodes.down.add('n0').add('n1');
    expect((await plans.ask('GetIdentityByDid', { did: didOf(9) }, plans.routerOf({ identity: live }))).handle).toBe(
      'live.test',
    );
  });
});
