/** What gates ask about the authors of replies is answered once it is known, and leaves no rows. */
import { expect, it } from 'vitest';
import { deleteOp, type RepoOp } from '../../../src/atproto/repo-op.ts';
import { encodeEntry } from '../../../src/entry/entry-codec.ts';
import type { LifecycleEntry } from '../../../src/entry/lifecycle-entry.ts';
import { gateFactPrefix } from '../../../src/slot/table/gate-fact.ts';
import { getRecordRow, postFlag } from '../../../src/slot/table/record-row.ts';
import { getThreadReply } from '../../../src/slot/table/thread-reply.ts';
import { prefixEnd } from '../../../src/storage/environment.ts';
import { tidOf } from '../../simulation/history-record.ts';
import { recordOp } from '../../support/record-op.ts';
import { bytesOfChunk, SlotCluster } from '../../support/slot-cluster.ts';

const startMs = Date.UTC(2024, 0, 1);
const createdAt = new Date(startMs).toISOString();
const post = 'app.bsky.feed.post';
const gate = 'app.bsky.feed.threadgate';
const item = 'app.bsky.graph.listitem';
const [starter, lister] = ['did:web:starter.example', 'did:web:lister.example'];
const [listed, stranger] = ['did:web:listed.example', 'did:web:stranger.example'];
const root = { uri: `at://${starter}/${post}/${tidOf(1)}`, cid: 'c' };
const list = `at://${lister}/app.bsky.graph.list/${tidOf(2)}`;
let clock = 0;

function commit(cluster: SlotCluster, did: string, ...ops: readonly RepoOp[]): void {
  clock++;
  cluster.append({ kind: 'commit', did, rev: tidOf(clock), since: null, eventMs: startMs + clock, ops: [...ops] });
}

function startThread(cluster: SlotCluster, allow: readonly object[]): void {
  commit(
    cluster,
    starter,
    recordOp({ collection: post, rkey: tidOf(1) }, { text: '', createdAt }),
    recordOp({ collection: gate, rkey: tidOf(1) }, { post: root.uri, allow, createdAt }),
  );
}

const listRule = { $type: `${gate}#listRule`, list };
const itemOp = recordOp({ collection: item, rkey: tidOf(3) }, { list, subject: listed, createdAt });
const replyOp = (text = ''): RepoOp =>
  recordOp({ collection: post, rkey: tidOf(4) }, { text, reply: { root, parent: root }, createdAt });

function runEntry(cluster: SlotCluster, index: number, entry: LifecycleEntry): void {
  const items = [encodeEntry(entry)];
  cluster.runChunks(index, [bytesOfChunk({ slot: index, origin: null, items, marks: [] })]);
}

function verdictOf(cluster: SlotCluster, did: string): string {
  const state = cluster.stateOf(did);
  const { postFlags } = getRecordRow(state, state.ownerOf(did)!, post, tidOf(4))!;
  const rootState = cluster.stateOf(starter);
  const reply = { did, rkey: tidOf(4) };
  const { verdict } = getThreadReply(rootState, rootState.ownerOf(starter)!, tidOf(1), reply)!.judgement;
  const isViolating = (postFlags & postFlag.violatesThreadGate) !== 0;
  return isViolating === (verdict === 'violating') ? verdict : `${verdict}, but marked ${isViolating}`;
}

function factRowsOf(cluster: SlotCluster, did: string): number {
  const state = cluster.stateOf(did);
  const start = gateFactPrefix(state.ownerOf(did)!);
  return [...state.rows.scanKeys({ start, end: prefixEnd(start) })].length;
}

it.each([1, 4])('a slot that has lost some does not deny what it may have lost, with %i slots', async (slots) => {
  await using cluster = SlotCluster.open({ slots });
  startThread(cluster, [listRule]);
  cluster.settle();
  for (const did of new Set([listed, stranger])) {
    const index = cluster.slotOf(did);
    const { generation, condition } = cluster.slots[index]!;
    if (condition === 'incomplete') continue;
    runEntry(cluster, index, { kind: 'tail-lost', lostIn: generation, generation: generation + 1 });
  }
  commit(cluster, listed, replyOp());
  commit(cluster, stranger, replyOp());
  cluster.settle();
  expect([verdictOf(cluster, listed), verdictOf(cluster, stranger)]).toEqual(['pending', 'pending']);
  // Dated before the replies, but it comes later.
  clock -= 3;
  commit(cluster, lister, itemOp);
  clock += 2;
  cluster.settle();
  expect([verdictOf(cluster, listed), verdictOf(cluster, stranger)]).toEqual(['clear', 'pending']);
  for (const index of new Set([cluster.slotOf(listed), cluster.slotOf(stranger)]))
    runEntry(cluster, index, { kind: 'completed' });
  cluster.settle();
  expect([verdictOf(cluster, listed), verdictOf(cluster, stranger)]).toEqual(['clear', 'violating']);
});

it.each([1, 4])('versions of a reply that are gone leave no rows, with %i slots', async (slots) => {
  await using cluster = SlotCluster.open({ slots });
  startThread(cluster, [listRule, { $type: `${gate}#followingRule` }, { $type: `${gate}#followerRule` }]);
  commit(cluster, stranger, replyOp());
  cluster.settle();
  const rows = () => [factRowsOf(cluster, starter), factRowsOf(cluster, stranger)];
  const [atStarter, atStranger] = rows();
  expect(atStarter).toBe(1);
  expect(atStranger).toBe(3);
  for (let version = 0; version < 10; version++) {
    commit(cluster, stranger, replyOp(`version ${version}`));
    cluster.settle();
    expect(rows()).toEqual([atStarter, atStranger]);
    commit(cluster, stranger, deleteOp(post, tidOf(4)));
    cluster.settle();
    expect(rows()).toEqual([0, 0]);
  }
});
