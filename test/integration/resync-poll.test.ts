/** Repos that need a resync are all asked for, however many of them can never be fetched. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { pollResyncs } from '../../src/ingest/resync-poll.ts';
import { RemoteLog } from '../../src/log/remote-log.ts';
import { reposToResync } from '../../src/slot/apply/repo-apply.ts';
import { type LoneNode, startLoneNode } from '../support/lone-node.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { SlotCluster } from '../support/slot-cluster.ts';
import { until } from '../support/until.ts';

const rev = (number: number): string => `3k${String(number).padStart(11, '2')}`;

describe('over a node', () => {
  const repos = 12_000;
  let node: LoneNode;
  beforeEach(async () => {
    node = await startLoneNode({ slots: 4, applyThreads: 1 });
  });
  afterEach(() => node[Symbol.asyncDispose]());

  it('12,000 repos that are never fetched are each asked for', async () => {
    await using log = new RemoteLog({ caller: node.client, map: () => node.map });
    const dids = Array.from({ length: repos }, (_unused, index) => `did:web:repo-${index}.test`);
    // A #sync of a repo that the slot has never seen.
    await Promise.all(dids.map((did) => log.append(did, { kind: 'sync', did, rev: rev(1), eventMs: 0 })));
    const clock = new ManualClock();
    const stop = new AbortController();
    const requested = new Set<string>();
    let polls = 0;
    const polling = pollResyncs({
      caller: node.client,
      map: () => node.map,
      clock,
      requestResyncs: async (asked) => {
        polls++;
        for (const { did } of asked) requested.add(did);
      },
      note: (message, fields) => expect.fail(`${message} ${JSON.stringify(fields)}`),
      signal: stop.signal,
    });
    await until(() => {
      clock.advance(5000);
      return requested.size === repos;
    });
    // After the last page it begins again.
    const before = polls;
    requested.clear();
    await until(() => {
      clock.advance(61_000);
      return requested.size === repos;
    });
    expect(polls).toBeGreaterThan(before);
    stop.abort();
    await polling;
  });
});

it('one that is given up is asked for no more, until a commit shows that it is alive', async () => {
  await using cluster = SlotCluster.open({ slots: 1 });
  const did = 'did:web:lost.test';
  const commit = (number: number, since: number | null): SlotCluster =>
    cluster.append({
      kind: 'commit',
      did,
      rev: rev(number),
      since: since === null ? null : rev(since),
      eventMs: 0,
      ops: [],
    });
  const asked = (): string[] => {
    cluster.settle();
    return reposToResync(cluster.slots[0]!.state, '', 10);
  };
  commit(1, null);
  expect(asked()).toEqual([]);
  commit(3, 2);
  expect(asked()).toEqual([did]);
  cluster.append({ kind: 'resync-given-up', did, eventMs: 1 });
  expect(asked()).toEqual([]);
  // It follows what the slot has, which is still incomplete.
  commit(4, 3);
  expect(asked()).toEqual([did]);
  cluster.append({ kind: 'resync-begin', did, rev: rev(5), eventMs: 2 });
  cluster.append({ kind: 'resync-end', did, rev: rev(5), eventMs: 2 });
  expect(asked()).toEqual([]);
  commit(6, 5);
  expect(asked()).toEqual([]);
  // Nothing is known of this one, and nothing is made up.
  cluster.append({ kind: 'resync-given-up', did: 'did:web:unknown.test', eventMs: 3 });
  expect(asked()).toEqual([]);
});
