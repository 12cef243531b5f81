/** A repo that is indexed again changes nothing that was right, and brings back what was lost. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deleteOp, type RepoOp } from '../../../src/atproto/repo-op.ts';
import { seededRandom } from '../../../src/base/seeded-random.ts';
import { getHistory } from '../../../src/slot/table/gate-policy.ts';
import { incomingActorPrefix, incomingRecordPrefix } from '../../../src/slot/table/incoming-edge.ts';
import { getRecordRow, hasRecord, postFlag } from '../../../src/slot/table/record-row.ts';
import type { SlotState } from '../../../src/slot/table/slot-state.ts';
import { prefixEnd } from '../../../src/storage/environment.ts';
import { makeHistory } from '../../simulation/history.ts';
import { tidOf } from '../../simulation/history-record.ts';
import { Model } from '../../simulation/model.ts';
import { comparableOf } from '../../simulation/model-gates.ts';
import { differencesOf, factsOfSlots } from '../../simulation/slot-facts.ts';
import { recordOp } from '../../support/record-op.ts';
import { SlotCluster } from '../../support/slot-cluster.ts';

const alice = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa';
const bob = 'did:plc:bbbbbbbbbbbbbbbbbbbbbbbb';
const like = 'app.bsky.feed.like';
const post = 'app.bsky.feed.post';
const postCid = 'bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm';
const createdAt = '2024-05-06T07:08:09.123Z';

let cluster: SlotCluster;
beforeEach(() => {
  cluster = SlotCluster.open({ slots: 4 });
});
afterEach(() => cluster[Symbol.asyncDispose]());

function commit(did: string, index: number, ops: ReturnType<typeof recordOp>[]): void {
  cluster.append({ kind: 'commit', did, rev: tidOf(index), since: null, eventMs: Date.parse(createdAt), ops }).settle();
}

const likeOp = (rkey: string) =>
  recordOp(
    { collection: like, rkey },
    { $type: like, subject: { uri: `at://${bob}/${post}/p`, cid: postCid }, createdAt },
  );

function countOf(state: SlotState, prefix: Buffer): number {
  return [...state.rows.scanKeys({ start: prefix, end: prefixEnd(prefix) })].length;
}

function likesOfBob(): number {
  const state = cluster.stateOf(bob);
  return countOf(state, incomingRecordPrefix(state.ownerOf(bob)!, post, 'p', 'like'));
}

function followersOfBob(): number {
  const state = cluster.stateOf(bob);
  return countOf(state, incomingActorPrefix(state.ownerOf(bob)!, 'follow'));
}

describe('a repo that is indexed again', () => {
  it.each([1, 2, 3, 4, 5, 6])('leaves what a history made as it is (seed %i)', (seed) => {
    const history = makeHistory({ random: seededRandom(seed), name: `r${seed}`, steps: 150 });
    const model = new Model(Date.UTC(2030, 0, 1));
    for (const entry of history.entries) model.apply(entry);
    cluster.nowMs = Date.UTC(2030, 0, 1);
    cluster.append(...history.entries).settle();
    const facts = () => factsOfSlots((key) => cluster.stateOf(key), history.dids, history.handles, comparableOf(model));
    const before = facts();
    expect(before.size).toBeGreaterThan(50);
    for (const did of history.dids) cluster.append({ kind: 'private', did, write: { type: 'reindex' } });
    cluster.settle();
    expect(differencesOf(before, facts())).toEqual([]);
  });

  it('sends again what others have lost, in steps of a long repo', () => {
    commit(bob, 1, [recordOp({ collection: post, rkey: 'p' }, { $type: post, text: 'x', createdAt })]);
    const rkeys = Array.from({ length: 400 }, (_unused, index) => tidOf(1000 + index));
    const follow = 'app.bsky.graph.follow';
    commit(alice, 2, [
      ...rkeys.map((rkey, index) => recordOp({ collection: post, rkey }, { $type: post, text: `${index}`, createdAt })),
      recordOp({ collection: follow, rkey: tidOf(2000) }, { $type: follow, subject: bob, createdAt }),
    ]);
    expect(followersOfBob()).toBe(1);
    const source = { did: alice, collection: follow, rkey: tidOf(2000) };
    const sortMs = Date.parse(createdAt);
    const gone = {
      type: 'edge',
      edge: 'follow',
      present: false,
      source,
      subjectDid: bob,
      subject: null,
      sortMs,
    } as const;
    cluster.append({ kind: 'effect', effect: gone }).settle();
    expect(followersOfBob()).toBe(0);
    cluster.append({ kind: 'private', did: alice, write: { type: 'reindex' } }).settle();
    expect(followersOfBob()).toBe(1);
  });

  it('may be one that nobody knows', () => {
    cluster.append({ kind: 'private', did: alice, write: { type: 'reindex' } }).settle();
    expect(cluster.stateOf(alice).ownerOf(alice)).toBeUndefined();
  });
});

describe('the gates of a repo that is indexed again', () => {
  const threadGate = 'app.bsky.feed.threadgate';
  const startMs = Date.parse(createdAt);
  const root = { uri: `at://${alice}/${post}/p`, cid: postCid };
  let events = 0;
  beforeEach(() => {
    events = 0;
  });

  function next(did: string, op: RepoOp): void {
    events++;
    const eventMs = startMs + events * 1000;
    cluster.append({ kind: 'commit', did, rev: tidOf(events), since: null, eventMs, ops: [op] }).settle();
  }

  function act(did: string, collection: string, rkey: string, record: object, action?: 'update'): void {
    next(did, recordOp({ collection, rkey }, { $type: collection, createdAt, ...record }, action));
  }

  function remove(did: string, collection: string, rkey: string): void {
    next(did, deleteOp(collection, rkey));
  }

  const rootOf = (facets: readonly object[] = []) => ({ text: `root with ${facets.length} facets`, facets });
  const mention = {
    index: { byteStart: 0, byteEnd: 4 },
    features: [{ $type: 'app.bsky.richtext.facet#mention', did: bob }],
  };
  const gateOf = (allow: readonly object[] | undefined, hiddenReplies: readonly string[] = []) => ({
    post: root.uri,
    ...(allow === undefined ? {} : { allow }),
    hiddenReplies,
  });
  const reply = (rkey: string) => act(bob, post, rkey, { text: rkey, reply: { root, parent: root } });

  /** Of each reply of bob, what its post says of gates and for them. */
  function flags(): Record<string, number> {
    const state = cluster.stateOf(bob);
    const owner = state.ownerOf(bob)!;
    const rows = ['a', 'b', 'c'].map((rkey) => [rkey, getRecordRow(state, owner, post, rkey)?.postFlags]);
    return Object.fromEntries(rows.filter(([, postFlags]) => postFlags !== undefined)) as Record<string, number>;
  }

  function verdicts(): Record<string, string> {
    const isViolating = (postFlags: number): boolean => (postFlags & postFlag.violatesThreadGate) !== 0;
    const said = Object.entries(flags()).map(([rkey, each]) => [rkey, isViolating(each) ? 'violating' : 'clear']);
    return Object.fromEntries(said) as Record<string, string>;
  }

  /** What the gates of the root have said when. */
  function policy() {
    const state = cluster.stateOf(alice);
    return getHistory(state, state.ownerOf(alice)!, 'thread', 'p');
  }

  function reindexed(): void {
    const before = policy();
    cluster.append({ kind: 'private', did: alice, write: { type: 'reindex' } }).settle();
    expect(policy()).toEqual(before);
  }

  it('forbid no reply that came before them', () => {
    act(alice, post, 'p', rootOf());
    reply('a');
    act(alice, threadGate, 'p', gateOf([]));
    reply('b');
    reindexed();
    expect(verdicts()).toEqual({ a: 'clear', b: 'violating' });
  });

  it('allow no reply that came before they were opened', () => {
    act(alice, post, 'p', rootOf());
    act(alice, threadGate, 'p', gateOf([]));
    reply('a');
    act(alice, threadGate, 'p', gateOf(undefined), 'update');
    reply('b');
    reindexed();
    expect(verdicts()).toEqual({ a: 'violating', b: 'clear' });
  });

  it('know whom the root mentioned when, also once it is gone', () => {
    const mentioned = [{ $type: `${threadGate}#mentionRule` }];
    act(alice, post, 'p', rootOf());
    act(alice, threadGate, 'p', gateOf(mentioned));
    reply('a');
    act(alice, post, 'p', rootOf([mention]), 'update');
    reply('b');
    reindexed();
    expect(verdicts()).toEqual({ a: 'violating', b: 'clear' });
    remove(alice, post, 'p');
    reply('c');
    reindexed();
    expect(verdicts()).toEqual({ a: 'violating', b: 'clear', c: 'violating' });
  });

  it('still let in who followed when he replied, once the repo of the reply is indexed again', () => {
    const follow = 'app.bsky.graph.follow';
    act(alice, post, 'p', rootOf());
    act(alice, threadGate, 'p', gateOf([{ $type: `${threadGate}#followerRule` }]));
    act(bob, follow, 'f', { subject: alice });
    reply('a');
    remove(bob, follow, 'f');
    reply('b');
    const before = flags();
    expect(before['a']).not.toBe(before['b']);
    cluster.append({ kind: 'private', did: bob, write: { type: 'reindex' } }).settle();
    expect(flags()).toEqual(before);
    expect(verdicts()).toEqual({ a: 'clear', b: 'violating' });
  });

  it('keep when they hid and showed a reply', () => {
    act(alice, post, 'p', rootOf());
    reply('a');
    act(alice, threadGate, 'p', gateOf(undefined, [`at://${bob}/${post}/a`]));
    act(alice, threadGate, 'p', gateOf(undefined), 'update');
    expect(policy()?.hidden).toHaveLength(1);
    reindexed();
  });
});

describe('a record without its repo', () => {
  it('is stored and deleted with all that follows, and its repo stays at its rev', () => {
    commit(bob, 1, [recordOp({ collection: post, rkey: 'p' }, { $type: post, text: 'x', createdAt })]);
    const { collection, rkey, cid, block } = likeOp('l');
    cluster
      .append({ kind: 'private', did: alice, write: { type: 'record-put', collection, rkey, cid, block } })
      .settle();
    expect(likesOfBob()).toBe(1);
    const state = cluster.stateOf(alice);
    expect(hasRecord(state, state.ownerOf(alice)!, like, 'l')).toBe(true);
    cluster.append({ kind: 'private', did: alice, write: { type: 'record-delete', collection, rkey } }).settle();
    expect(likesOfBob()).toBe(0);
    // The first commit is taken: there is no rev yet.
    commit(alice, 3, [likeOp('m')]);
    expect(likesOfBob()).toBe(1);
  });

  it('of an account that nobody knows is deleted without a trace', () => {
    cluster
      .append({ kind: 'private', did: alice, write: { type: 'record-delete', collection: post, rkey: 'x' } })
      .settle();
    expect(cluster.stateOf(alice).ownerOf(alice)).toBeUndefined();
  });
});
