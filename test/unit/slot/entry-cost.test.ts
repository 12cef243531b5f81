/** One entry causes a bounded number of effects, whatever hangs on the records that it changes. */
import { describe, expect, it } from 'vitest';
import type { RepoOp } from '../../../src/atproto/repo-op.ts';
import { encodeEntry } from '../../../src/entry/entry-codec.ts';
import { effectsPerEntryMax } from '../../../src/log/chunk.ts';
import { slotOf } from '../../../src/shardmap/slot-of.ts';
import { effectsOfEntryMax, idleStepUs, workCostUs } from '../../../src/slot/apply/apply-context.ts';
import type { OutsideEntry } from '../../simulation/history.ts';
import { tidOf } from '../../simulation/history-record.ts';
import { Model } from '../../simulation/model.ts';
import { factsOfModel } from '../../simulation/model-facts.ts';
import { comparableOf } from '../../simulation/model-gates.ts';
import { differencesOf, factsOfSlots } from '../../simulation/slot-facts.ts';
import { recordOp } from '../../support/record-op.ts';
import { bytesOfChunk, SlotCluster } from '../../support/slot-cluster.ts';

const startMs = Date.UTC(2024, 0, 1);
const post = 'app.bsky.feed.post';
let clock = 0;

function commit(did: string, ops: readonly RepoOp[]): OutsideEntry {
  clock++;
  return { kind: 'commit', did, rev: tidOf(clock), since: null, eventMs: startMs + clock, ops: [...ops] };
}

function uriOf(did: string, rkey: string): string {
  return `at://${did}/${post}/${rkey}`;
}

function replyOp(rkey: string, root: string, parent: string, text = ''): RepoOp {
  const reply = { root: { uri: root, cid: 'c' }, parent: { uri: parent, cid: 'c' } };
  return recordOp({ collection: post, rkey }, { text, reply, createdAt: new Date(startMs).toISOString() });
}

function postOp(rkey: string): RepoOp {
  return recordOp({ collection: post, rkey }, { text: rkey, createdAt: new Date(startMs).toISOString() });
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

  for (const slots of [1, 4]) {
    it(`leaves notices to later ones that are right in the end, with ${slots} slots`, async () => {
      const appendMs = Date.UTC(2025, 0, 1);
      for (const entriesPerChunk of [1, 500]) {
        const cluster = SlotCluster.open({ slots, entriesPerChunk });
        await using _closed = cluster;
        const model = new Model(appendMs);
        const thread = crowdedThread(slots, 600);
        const deleteOp = { ...thread.move(1) } as Extract<OutsideEntry, { kind: 'commit' }>;
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
