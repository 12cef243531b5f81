/** Private data keeps what was written last, and its indexes what they were made of. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { privateNamespace } from '../../../src/atproto/private-namespace.ts';
import type { PrivateMethod } from '../../../src/entry/entry.ts';
import { bookmarkOf, getPrivateRow, subscriptionOf, subscriptionTo } from '../../../src/slot/table/private-data.ts';
import { getRecordCount, recordCountsKey } from '../../../src/slot/table/record-counts.ts';
import { SlotCluster } from '../../support/slot-cluster.ts';

const alice = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa';
const bob = 'did:plc:bbbbbbbbbbbbbbbbbbbbbbbb';
const carol = 'did:plc:cccccccccccccccccccccccc';
const post = 'app.bsky.feed.post';
const key = '3l22222222222';

let cluster: SlotCluster;
beforeEach(() => {
  cluster = SlotCluster.open({ slots: 4 });
});
afterEach(() => cluster[Symbol.asyncDispose]());

function write(namespace: string, method: PrivateMethod, value: object | null): string {
  const payload = value === null ? '' : JSON.stringify(value);
  cluster.nowMs += 1000;
  cluster.append({ kind: 'private', did: alice, write: { type: 'private-data', method, namespace, key, payload } });
  cluster.settle();
  return payload;
}

function rowOf(namespace: string) {
  const state = cluster.stateOf(alice);
  return getPrivateRow(state, state.ownerOf(alice)!, { namespace, key });
}

const uriOf = (rkey: string) => `at://${bob}/${post}/${rkey}`;
const bookmark = (rkey: string) => ({ subject: { uri: uriOf(rkey), cid: 'c' } });

/** The posts of bob that alice's bookmark leads from, and that count it. */
function bookmarked(): string[] {
  const [own, bobs] = [cluster.stateOf(alice), cluster.stateOf(bob)];
  return ['one', 'two'].filter((rkey) => {
    const isFound = bookmarkOf(own, own.ownerOf(alice)!, uriOf(rkey)) === key;
    const owner = bobs.ownerOf(bob);
    const count = owner === undefined ? 0 : getRecordCount(bobs, recordCountsKey(owner, post, rkey), 'bookmarks');
    expect(count).toBe(isFound ? 1 : 0);
    return isFound;
  });
}

it.each(['create', 'update'] as const)('of a bookmark that is there already (%s)', (method) => {
  const { bookmark: namespace } = privateNamespace;
  write(namespace, 'create', bookmark('one'));
  const createdMs = rowOf(namespace)!.createdMs;
  const payload = write(namespace, method, bookmark('two'));
  expect(rowOf(namespace)).toMatchObject({ payload, createdMs });
  expect(bookmarked()).toEqual(['one']);
  write(namespace, 'delete', null);
  expect(rowOf(namespace)).toBeUndefined();
  expect(bookmarked()).toEqual([]);
});

it('of a draft that is there already: it stays as it is listed', () => {
  const { draft: namespace } = privateNamespace;
  const first = write(namespace, 'create', { text: 'first' });
  const { updatedMs } = rowOf(namespace)!;
  const second = write(namespace, 'create', { text: 'second' });
  expect(rowOf(namespace)).toMatchObject({ payload: second, indexedPayload: first, updatedMs });
  const third = write(namespace, 'update', { text: 'third' });
  const row = rowOf(namespace)!;
  expect(row).toMatchObject({ payload: third, indexedPayload: third });
  expect(row.updatedMs).toBeGreaterThan(updatedMs);
});

it('of a subscription, which changes its kinds and never its subject', () => {
  const { activitySubscription: namespace } = privateNamespace;
  const to = (subject: string, isReply: boolean) => ({ subject, activitySubscription: { post: true, reply: isReply } });
  write(namespace, 'create', to(bob, false));
  const payload = write(namespace, 'update', to(carol, true));
  const row = rowOf(namespace)!;
  expect(row.payload).toBe(payload);
  expect(subscriptionOf(row.indexedPayload!)).toEqual({ did: bob, post: true, reply: true });
  const state = cluster.stateOf(alice);
  const owner = state.ownerOf(alice)!;
  expect(subscriptionTo(state, owner, bob)).toBe(key);
  expect(subscriptionTo(state, owner, carol)).toBeUndefined();
});
