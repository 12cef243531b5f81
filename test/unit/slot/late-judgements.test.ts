/** Follows that come, go and are replaced judge a bounded number of replies again. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { deleteOp, type RepoOp } from '../../../src/atproto/repo-op.ts';
import { encodeEntry } from '../../../src/entry/entry-codec.ts';
import { lateJudgementsMax } from '../../../src/slot/apply/apply-context.ts';
import { applyEffect, applyEntry } from '../../../src/slot/apply/apply-entry.ts';
import { Slot } from '../../../src/slot/slot.ts';
import { tidOf } from '../../simulation/history-record.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';
import { recordOp } from '../../support/record-op.ts';
import { bytesOfChunk } from '../../support/slot-cluster.ts';

const starter = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa';
const replier = 'did:plc:bbbbbbbbbbbbbbbbbbbbbbbb';
const startMs = Date.UTC(2025, 0, 1);
const createdAt = new Date(startMs).toISOString();
const post = 'app.bsky.feed.post';
const follow = 'app.bsky.graph.follow';
const root = { uri: `at://${starter}/${post}/${tidOf(1)}`, cid: 'c' };

it('at most lateJudgementsMax for an entry', async () => {
  const folder = makeMemoryFolder('skyshard-judgements-');
  let left = Number.NaN;
  const rules = {
    applyEffect,
    applyEntry: (...args: Parameters<typeof applyEntry>): void => {
      applyEntry(...args);
      left = args[0].judgementsLeft;
    },
  };
  try {
    await using slot = Slot.open({ index: 0, slots: 1, path: join(folder, 'slot'), mapBytes: 2 ** 28, rules });
    let clock = 0;
    const commit = (did: string, ops: readonly RepoOp[]): void => {
      clock++;
      const entry = { kind: 'commit', did, rev: tidOf(clock), since: null, eventMs: startMs + clock, ops } as const;
      slot.run([bytesOfChunk({ slot: 0, origin: null, items: [encodeEntry(entry)], marks: [] })], startMs + clock);
    };
    const followed = [1, 2, 3, 4].map((number) => ({ collection: follow, rkey: tidOf(100 + number) }));
    const withdrawn = ({ collection, rkey }: (typeof followed)[number]): RepoOp => deleteOp(collection, rkey);
    const allow = [{ $type: 'app.bsky.feed.threadgate#followingRule' }];
    commit(starter, [
      recordOp({ collection: post, rkey: tidOf(1) }, { text: '', createdAt }),
      recordOp({ collection: 'app.bsky.feed.threadgate', rkey: tidOf(1) }, { post: root.uri, allow, createdAt }),
      ...followed.map((ref) => recordOp(ref, { subject: replier, createdAt })),
    ]);
    const reply = { root, parent: root };
    const replies = Array.from({ length: 1_000 }, (_unused, number) =>
      recordOp({ collection: post, rkey: tidOf(1_000 + number) }, { text: '', reply, createdAt }),
    );
    commit(replier, replies);
    expect(left).toBe(lateJudgementsMax);
    // Each withdrawn follow is replaced by the next, from whose time the replies are judged again.
    commit(starter, followed.slice(0, 1).map(withdrawn));
    expect(left).toBe(lateJudgementsMax - 1_000);
    commit(starter, followed.slice(1, 4).map(withdrawn));
    expect(left).toBe(0);
    expect(slot.quarantine.keptCount).toBe(0);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
