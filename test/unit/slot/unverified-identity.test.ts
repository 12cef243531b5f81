/** An identity whose handle was not checked brings keys, and leaves the handle as it is. */
import { expect, it } from 'vitest';
import { getActor, getIdentity } from '../../../src/slot/table/actor-row.ts';
import { SlotCluster } from '../../support/slot-cluster.ts';

const did = 'did:web:a.example';

it('keeps a verified handle, shows none before, and is dropped when it is older', async () => {
  await using cluster = SlotCluster.open({ slots: 1 });
  const { state } = cluster.slots[0]!;
  const identity = (eventMs: number, keysJson: string, handle: string | null, verifiedAtMs: number): void => {
    const times = { verifiedAtMs, eventMs };
    cluster.append({ kind: 'identity', did, handle, keysJson, servicesJson: '{}', ...times });
    cluster.settle();
  };
  const shown = (): unknown[] => {
    const owner = state.ownerOf(did)!;
    return [getActor(state, owner)?.handle, getIdentity(state, owner)?.keysJson, getIdentity(state, owner)?.resolvedMs];
  };
  identity(10, 'first', null, 0);
  expect(shown()).toEqual([null, 'first', 10]);
  // The handle alone was verified: the document stays.
  identity(20, '', 'a.example', 20);
  expect(shown()).toEqual(['a.example', 'first', 10]);
  identity(30, 'second', null, 0);
  expect(shown()).toEqual(['a.example', 'second', 30]);
  identity(25, 'between', null, 0);
  expect(shown()).toEqual(['a.example', 'second', 30]);
  identity(40, 'third', null, 40);
  expect(shown()).toEqual([null, 'third', 40]);
});
