/** One entry causes a bounded number of effects, whatever hangs on the records that it changes. */
import { describe, expect, it } from 'vitest';
import { recordUri } from '../../../src/atproto/compact-key.ts';
import { deleteOp, type RepoOp } from '../../../src/atproto/repo-op.ts';
import type { Entry } from '../../../src/entry/entry.ts';
import { encodeEntry } from '../../../src/entry/entry-codec.ts';
import { effectsPerEntryMax } from '../../../src/log/chunk.ts';
import { slotOf } from '../../../src/shardmap/slot-of.ts';
import {
  effectsOfEntryMax,
  entriesPerStep,
  entryStepUs,
  idleStepUs,
  inlineWorkUs,
  workCostUs,
} from '../../../src/slot/apply/apply-context.ts';
import { getRecordRow, postFlag, readRecordRefOfKey, recordPrefix } from '../../../src/slot/table/record-row.ts';
import { prefixEnd } from '../../../src/storage/environment.ts';
import type { OutsideEntry } from '../../simulation/history.ts';
import { tidOf } from '../../simulation/history-record.ts';
import { Model } from '../../simulation/model.ts';
import { factsOfModel } from '../../simulation/model-facts.ts';
import { comparableOf } from '../../simulation/model-gates.ts';
import { differencesOf, factsOfSlots } from '../../simulation/slot-facts.ts';
import { recordOp } from '../../support/record-op.ts';
import { bytesOfChunk, SlotCluster } from '../../support/slot-cluster.ts';

const startMs = Date.UTC(2024, 0, 1);
const createdAt = new Date(startMs).toISOString();
const post = 'app.bsky.feed.post';
let clock = 0;

type CommitEntry = Extract<OutsideEntry, { kind: 'commit' }>;

function commit(did: string, ops: readonly RepoOp[]): CommitEntry {
  clock++;
  return { kind: 'commit', did, rev: tidOf(clock), since: null, eventMs: startMs + clock, ops: [...ops] };
}

function uriOf(did: string, rkey: string): string {
  return `at://${did}/${post}/${rkey}`;
}

function replyOp(rkey: string, root: string, parent: string, text = ''): RepoOp {
  const reply = { root: { uri: root, cid: 'c' }, parent: { uri: parent, cid: 'c' } };
  return recordOp({ collection: post, rkey }, { text, reply, createdAt });
}

function postOp(rkey: string): RepoOp {
  return recordOp({ collection: post, rkey }, { text: rkey, createdAt });
}

/** DIDs of the slot of the thread and of others, with which effects leave the slot. */
function didsOf(name: string, count: number, slots: number, isHome: boolean): string[] {
  const dids: string[] = [];
  for (let number = 0; dids.length < count; number++) {
    const did = `did:web:${name}-${number}.example`;
    if (slots === 1 || (slotOf(did, slots) === 0) === isHome) dids.push(did);
  }
  return dids;
}

/** A thread whose reply `moved` has many replies of others below. */
function crowdedThread(slots: number, below: number) {
  const [starter, mover] = didsOf('home', 2, slots, true) as [string, string];
  const others = didsOf('other', 3, slots, false);
  const root = uriOf(starter, tidOf(1));
  const parents = others.map((did, index) => uriOf(did, tidOf(10 + index)));
  const moved = uriOf(mover, tidOf(20));
  return {
    root,
    parents,
    mover,
    entries: [
      commit(starter, [postOp(tidOf(1))]),
      ...others.map((did, index) => commit(did, [replyOp(tidOf(10 + index), root, root)])),
      ...Array.from({ length: Math.ceil(below / 200) }, (_unused, part) =>
        commit(
          others[part % others.length]!,
          Array.from({ length: Math.min(200, below - part * 200) }, (_none, index) =>
            replyOp(tidOf(1_000 + part * 200 + index), root, moved),
          ),
        ),
      ),
    ],
    move: (times: number): OutsideEntry =>
      commit(
        mover,
        Array.from({ length: times }, (_unused, time) =>
          replyOp(tidOf(20), root, parents[time % parents.length]!, `${time}`),
        ),
      ),
  };
}

function gateOp(rkey: string, post: string, rule: string, list?: string): RepoOp {
  const allow = [{ $type: `app.bsky.feed.threadgate#${rule}`, ...(list === undefined ? {} : { list }) }];
  return recordOp({ collection: 'app.bsky.feed.threadgate', rkey }, { post, allow, createdAt });
}

function repliesOf(did: string, root: string, count: number) {
  return Array.from({ length: count / 200 }, (_unused, part) =>
    commit(
      did,
      Array.from({ length: 200 }, (_none, index) => replyOp(tidOf(1_000 + part * 200 + index), root, root)),
    ),
  );
}

function violatingOf(cluster: SlotCluster, did: string): number {
  const state = cluster.stateOf(did);
  const prefix = recordPrefix(state.ownerOf(did)!);
  let count = 0;
  for (const { key } of state.rows.scan({ start: prefix, end: prefixEnd(prefix) })) {
    const { collection, rkey } = readRecordRefOfKey(did, key);
    const row = getRecordRow(state, state.ownerOf(did)!, collection, rkey);
    if (row !== undefined && (row.postFlags & postFlag.violatesThreadGate) !== 0) count++;
  }
  return count;
}

/** Effects of long work in the entry that begins it, and in a step of an idle slot. */
const inlineEffectsMax = Math.ceil(inlineWorkUs / workCostUs.effect);
const stepEffectsMax = Math.ceil(idleStepUs / workCostUs.effect) + 8;

/** Applies entries in one transaction, and steps until nothing waits; counts effects for others. */
function costOf(cluster: SlotCluster, index: number, ...entries: readonly Entry[]) {
  const slot = cluster.slots[index]!;
  const run = (items: readonly Entry[]): number => {
    const before = slot.sentCount;
    const chunk = { slot: index, origin: null, items: items.map((entry) => encodeEntry(entry)), marks: [] };
    cluster.runChunks(index, items.length === 0 ? [] : [bytesOfChunk(chunk)]);
    return slot.sentCount - before;
  };
  const sent = run(entries);
  const stepsSent: number[] = [];
  while (slot.hasUnapplied) stepsSent.push(run([]));
  return { sent, stepsSent };
}

describe('an entry', () => {
  it('cannot cause more effects than its marks can number, by arithmetic', () => {
    expect(effectsOfEntryMax).toBeLessThan(effectsPerEntryMax);
  });

  it('that moves a reply with 1,000 replies below it 200 times causes a bounded number', async () => {
    const { entries, move } = crowdedThread(4, 1_000);
    await using cluster = SlotCluster.open({ slots: 4 })
      .append(...entries)
      .settle();
    const slot = cluster.slots[0]!;
    /** Returns how many effects for other slots the transaction made. */
    const run = (...own: readonly OutsideEntry[]): number => {
      const before = slot.sentCount;
      const items = own.map((entry) => encodeEntry(entry));
      slot.run(own.length === 0 ? [] : [bytesOfChunk({ slot: 0, origin: null, items, marks: [] })], cluster.nowMs);
      return slot.sentCount - before;
    };
    const sent = run(move(200));
    expect(sent).toBeGreaterThan(200);
    expect(sent).toBeLessThan(5_000);
    let steps = 0;
    for (; slot.hasUnapplied; steps++) {
      expect(run()).toBeLessThanOrEqual(Math.ceil(idleStepUs / workCostUs.effect) + 8);
    }
    expect(steps).toBeGreaterThan(2);
  });

  it('that changes 200 follows by which 1,200 replies are judged causes a bounded number', async () => {
    const [starter] = didsOf('home', 1, 4, true) as [string];
    const [replier] = didsOf('other', 1, 4, false) as [string];
    await using cluster = SlotCluster.open({ slots: 4 });
    const follow = (number: number) => ({ collection: 'app.bsky.graph.follow', rkey: tidOf(100 + number) });
    const numbers = Array.from({ length: 201 }, (_unused, number) => number);
    cluster.append(commit(starter, [postOp(tidOf(1)), gateOp(tidOf(1), uriOf(starter, tidOf(1)), 'followingRule')]));
    const followed = commit(
      starter,
      numbers.map((number) => recordOp(follow(number), { subject: replier, createdAt })),
    );
    cluster.append(followed, ...repliesOf(replier, uriOf(starter, tidOf(1)), 1_200)).settle();
    expect(violatingOf(cluster, replier)).toBe(0);
    const unfollowed = commit(
      starter,
      numbers.map((number) => deleteOp(follow(number).collection, follow(number).rkey)),
    );
    // Dated back, each deletion ends what allowed the replies; a duplicate then allows them again.
    const { sent, stepsSent } = costOf(cluster, 0, { ...unfollowed, eventMs: followed.eventMs });
    expect(sent).toBeLessThan(2 * 201 + inlineEffectsMax);
    expect(Math.max(...stepsSent)).toBeLessThanOrEqual(stepEffectsMax);
    expect(stepsSent.length).toBeGreaterThan(2);
    cluster.settle();
    expect(violatingOf(cluster, replier)).toBe(1_200);
  });

  it('that puts a gate below 10,200 replies, which came first, causes a bounded number', async () => {
    const [starter] = didsOf('home', 1, 4, true) as [string];
    const [replier] = didsOf('other', 1, 4, false) as [string];
    await using cluster = SlotCluster.open({ slots: 4 });
    const root = uriOf(starter, tidOf(1));
    const gated = commit(starter, [postOp(tidOf(1)), gateOp(tidOf(1), root, 'followingRule')]);
    cluster.append(...repliesOf(replier, root, 10_200)).settle();
    const { sent, stepsSent } = costOf(cluster, cluster.slotOf(starter), gated);
    expect(sent).toBeLessThanOrEqual(inlineEffectsMax);
    expect(Math.max(...stepsSent)).toBeLessThanOrEqual(stepEffectsMax);
    cluster.settle();
    expect(violatingOf(cluster, replier)).toBe(10_200);
  }, 60_000);

  it('that puts a replier on a list causes a bounded number, and none once it repeats that', async () => {
    const [starter, lister] = didsOf('home', 2, 4, true) as [string, string];
    const [replier] = didsOf('other', 1, 4, false) as [string];
    await using cluster = SlotCluster.open({ slots: 4 });
    const list = { did: lister, collection: 'app.bsky.graph.list', rkey: tidOf(2) };
    const root = uriOf(starter, tidOf(1));
    cluster.append(commit(starter, [postOp(tidOf(1)), gateOp(tidOf(1), root, 'listRule', recordUri(list))]));
    const replies = repliesOf(replier, root, 1_200);
    cluster.append(...replies).settle();
    expect(violatingOf(cluster, replier)).toBe(1_200);
    const items = Array.from({ length: 200 }, (_unused, number): Entry => {
      const source = { did: lister, collection: 'app.bsky.graph.listitem', rkey: tidOf(100 + number) };
      const judged = { eventMs: replies[0]!.eventMs - number, version: 0, isViolating: false };
      const edge = { type: 'edge', edge: 'list-item', present: true, source, subjectDid: replier } as const;
      return { kind: 'effect', effect: { ...edge, subject: list, sortMs: startMs, judged } };
    });
    const index = cluster.slotOf(replier);
    const { sent, stepsSent } = costOf(cluster, index, ...items);
    // Each eighth entry does a step of what waits.
    expect(sent).toBeLessThan((200 / entriesPerStep) * Math.ceil(entryStepUs / workCostUs.effect) + inlineEffectsMax);
    expect(Math.max(...stepsSent)).toBeLessThanOrEqual(stepEffectsMax);
    cluster.settle();
    expect(violatingOf(cluster, replier)).toBe(0);
    expect(costOf(cluster, index, ...items)).toEqual({ sent: 0, stepsSent: [] });
  });

  for (const slots of [1, 4]) {
    it(`leaves notices to later ones that are right in the end, with ${slots} slots`, async () => {
      const appendMs = Date.UTC(2025, 0, 1);
      for (const entriesPerChunk of [1, 500]) {
        const cluster = SlotCluster.open({ slots, entriesPerChunk });
        await using _closed = cluster;
        const model = new Model(appendMs);
        const thread = crowdedThread(slots, 600);
        const deleteOp = { ...thread.move(1) } as CommitEntry;
        const story = [
          ...thread.entries,
          thread.move(2),
          thread.move(3),
          commit(thread.mover, [{ ...deleteOp.ops[0]!, action: 'delete' } as RepoOp]),
          thread.move(1),
        ];
        for (const entry of story) {
          model.apply(entry);
          cluster.append(entry);
        }
        cluster.settle();
        const dids = new Set(story.map(({ did }) => did));
        const found = factsOfSlots((key) => cluster.stateOf(key), [...dids], [], comparableOf(model));
        expect(differencesOf(factsOfModel(model), found)).toEqual([]);
      }
    }, 60_000);
  }
});
