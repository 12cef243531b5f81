/** An entry that cannot be applied is set aside, and stops nothing else. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { cidOfBlock } from '../../../src/atproto/cid.ts';
import { privateNamespace } from '../../../src/atproto/private-namespace.ts';
import { invariant } from '../../../src/base/invariant.ts';
import type { CommitEntry, Effect, Entry } from '../../../src/entry/entry.ts';
import { encodeEntry } from '../../../src/entry/entry-codec.ts';
import { applyEffect, applyEntry } from '../../../src/slot/apply/apply-entry.ts';
import { reposToResync } from '../../../src/slot/apply/repo-apply.ts';
import type { ApplyRules } from '../../../src/slot/entry-applier.ts';
import { entriesPerDidMax, quarantinedDidsMax } from '../../../src/slot/quarantine.ts';
import { Slot } from '../../../src/slot/slot.ts';
import { feedFlag, readFeedRow } from '../../../src/slot/table/feed-item.ts';
import { privatePrefix } from '../../../src/slot/table/private-data.ts';
import {
  getQuarantinedDid,
  getQuarantineState,
  putQuarantineState,
  quarantinedEntries,
} from '../../../src/slot/table/quarantine-row.ts';
import { getRecordRow } from '../../../src/slot/table/record-row.ts';
import { beginKey, SlotState, slotTableNames, tableCode } from '../../../src/slot/table/slot-state.ts';
import { Environment, prefixEnd } from '../../../src/storage/environment.ts';
import { originOf } from '../../support/effect-origin.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';
import { recordOp } from '../../support/record-op.ts';
import { bytesOfChunk } from '../../support/slot-cluster.ts';

const startMs = Date.UTC(2025, 0, 1);
const cidText = cidOfBlock(Buffer.from('block')).text;
const folders: string[] = [];
let opened = 0;

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

const post = 'app.bsky.feed.post';
const didOf = (number: number): string => `did:web:n${number}.example`;

function commit(did: string, rev: string, text = 'good'): CommitEntry {
  const ops = [recordOp({ collection: post, rkey: rev }, { text, createdAt: new Date(startMs).toISOString() })];
  return { kind: 'commit', did, rev, since: null, eventMs: startMs, ops };
}

/** Rules with a defect: they throw at a poisoned post, some in the middle of a key. */
const faulty: ApplyRules = {
  applyEntry(context, entry) {
    const imported = 'records' in entry ? entry.records.map(({ op }) => op) : [];
    const ops = 'ops' in entry ? entry.ops : imported;
    const isPoisoned = ops.some(({ block }) => Buffer.from(block).includes('poison'));
    applyEntry(context, entry);
    if (!isPoisoned) return;
    context.send({ type: 'notice-takedown', recipient: didOf(99), source: refOf(1), isTakenDown: true, sortMs: 1 });
    beginKey(1, 3);
    invariant(false, 'no post is poisoned');
  },
  applyEffect(context, effect) {
    if (effect.type === 'edge' && effect.source.rkey === 'poison') throw new TypeError('no edge is poisoned');
    applyEffect(context, effect);
  },
};

function refOf(number: number, rkey = 'like'): { did: string; collection: string; rkey: string } {
  return { did: didOf(number), collection: 'app.bsky.feed.like', rkey };
}

function like(number: number, rkey: string): Effect {
  const subject = { did: didOf(0), collection: post, rkey: 'r1' };
  return {
    type: 'edge',
    edge: 'like',
    present: true,
    source: refOf(number, rkey),
    subjectDid: didOf(0),
    subject,
    sortMs: startMs,
  };
}

function open(rules?: ApplyRules, path?: string): { slot: Slot; path: string } {
  const folder = path ?? join(makeFolder(), `slot-${opened++}`);
  return {
    slot: Slot.open({ index: 0, slots: 1, path: folder, mapBytes: 2 ** 28, ...(rules && { rules }) }),
    path: folder,
  };
}

function makeFolder(): string {
  const folder = makeMemoryFolder('skyshard-quarantine-');
  folders.push(folder);
  return folder;
}

const chunkOf = (...entries: readonly Entry[]): Buffer =>
  bytesOfChunk({ slot: 0, origin: null, items: entries.map((entry) => encodeEntry(entry)), marks: [] });

function hasPost(slot: Slot, did: string, rev: string): boolean {
  const owner = slot.state.ownerOf(did);
  return owner !== undefined && getRecordRow(slot.state, owner, post, rev) !== undefined;
}

const retry = (seq: number, part = 0): Entry => ({ kind: 'quarantine', action: 'retry', seq, part });
const drop = (seq: number, part = 0): Entry => ({ kind: 'quarantine', action: 'drop', seq, part });

describe('an entry whose rule throws', () => {
  it('is kept with reason and stack, leaves nothing else, and the batch around it is applied', async () => {
    const { slot } = open(faulty);
    await using _closed = slot;
    const batch = chunkOf(commit(didOf(1), 'r1'), commit(didOf(2), 'r1', 'poison'), commit(didOf(3), 'r1'));
    const { outcomes, appliedCount } = slot.run([batch], startMs);
    expect(outcomes).toMatchObject([{ status: 'durable' }]);
    expect(appliedCount).toBe(2);
    expect(slot.cursor).toBe(3);
    expect([1, 2, 3].map((number) => hasPost(slot, didOf(number), 'r1'))).toEqual([true, false, true]);
    const [kept, ...others] = quarantinedEntries(slot.state);
    expect(others).toEqual([]);
    expect(kept).toMatchObject({ seq: 2, kind: 'commit', did: didOf(2), appendMs: startMs });
    expect(kept!.reason).toContain('no post is poisoned');
    expect(kept!.stack).toContain('invariant (src/base/invariant.ts)');
    expect(kept!.stack).not.toMatch(/:\d|file:/);
    expect(reposToResync(slot.state, '', 10)).toEqual([didOf(2)]);
  });

  it('is the same row on replicas, however the log is cut', async () => {
    const entries = Array.from({ length: 40 }, (_unused, number) =>
      commit(didOf(number % 7), `r${String(number).padStart(2, '0')}`, number % 9 === 4 ? 'poison' : 'good'),
    );
    const digests = new Set<string>();
    for (const size of [1, 3, 40]) {
      const { slot } = open(faulty);
      for (let at = 0; at < entries.length; at += size) {
        slot.run(
          entries.slice(at, at + size).map((entry) => chunkOf(entry)),
          startMs,
        );
      }
      while (slot.hasUnapplied) slot.run([], startMs);
      expect(quarantinedEntries(slot.state)).toHaveLength(4);
      digests.add(slot.digest());
      await slot[Symbol.asyncDispose]();
    }
    expect(digests.size).toBe(1);
  });

  it('is kept across restarts, and retry applies it once the rules are mended', async () => {
    const first = open(faulty);
    first.slot.run([chunkOf(commit(didOf(1), 'r1', 'poison'))], startMs);
    // It fails again, and stays.
    first.slot.run([chunkOf(retry(1))], startMs);
    expect(quarantinedEntries(first.slot.state)).toHaveLength(1);
    await first.slot[Symbol.asyncDispose]();
    const { slot } = open(undefined, first.path);
    await using _closed = slot;
    slot.run([chunkOf(retry(1))], startMs);
    expect(quarantinedEntries(slot.state)).toEqual([]);
    expect(hasPost(slot, didOf(1), 'r1')).toBe(true);
    slot.run([chunkOf(drop(1))], startMs);
    expect(slot.cursor).toBe(4);
  });

  it('does not let its snapshot remove what the failed part names', async () => {
    const { slot } = open(faulty);
    await using _closed = slot;
    const head = { did: didOf(1), eventMs: startMs };
    slot.run([chunkOf(commit(didOf(1), 'r1'))], startMs);
    const ops = commit(didOf(1), 'r2', 'poison').ops;
    const snapshot: Entry[] = [
      { kind: 'resync-begin', rev: 'r2', ...head },
      { kind: 'resync-chunk', rev: 'r2', ops, ...head },
      { kind: 'resync-end', rev: 'r2', ...head },
    ];
    slot.run([chunkOf(...snapshot)], startMs);
    expect(hasPost(slot, didOf(1), 'r1')).toBe(true);
    expect(quarantinedEntries(slot.state)).toMatchObject([{ kind: 'resync-chunk' }]);
  });

  it('has its repo fetched when it was imported', async () => {
    const { slot } = open(faulty);
    await using _closed = slot;
    const imported = (text: string, isLast: boolean): Entry => {
      const [op] = commit(didOf(1), isLast ? 'r2' : 'r1', text).ops;
      const records = [{ op: op!, indexedMs: startMs, takedownRef: null, tags: [] }];
      return { kind: 'imported', did: didOf(1), rev: 'r2', isLast, records };
    };
    slot.run([chunkOf(imported('poison', false), imported('good', true))], startMs);
    expect(quarantinedEntries(slot.state)).toMatchObject([{ kind: 'imported' }]);
    expect([hasPost(slot, didOf(1), 'r1'), hasPost(slot, didOf(1), 'r2')]).toEqual([false, true]);
    expect(reposToResync(slot.state, '', 10)).toEqual([didOf(1)]);
  });
});

describe('what storage throws', () => {
  it('is never set aside', async () => {
    for (const code of ['EIO', 'ENOSPC', 28, -30792, -30796]) {
      const broken: ApplyRules = {
        ...faulty,
        applyEntry: () => {
          throw Object.assign(new Error('storage'), { code });
        },
      };
      const { slot } = open(broken);
      await using _closed = slot;
      expect(() => slot.run([chunkOf(commit(didOf(1), 'r1'))], startMs), String(code)).toThrow();
      expect([slot.cursor, slot.head]).toEqual([0, 0]);
      expect(quarantinedEntries(slot.state)).toEqual([]);
    }
  });
});

describe('an effect whose rule throws', () => {
  const effectChunk = (previousMark: number, ...effects: readonly [number, Effect][]): Buffer =>
    bytesOfChunk({
      slot: 0,
      origin: originOf({ index: 1, generation: 1, session: 0, slots: 1 }, previousMark),
      items: effects.map(([, effect]) => encodeEntry({ kind: 'effect', effect }).subarray(2)),
      marks: effects.map(([mark]) => mark),
    });

  it('is passed by its mark and counted as received, for its author', async () => {
    const { slot } = open(faulty);
    await using _closed = slot;
    slot.run([effectChunk(0, [10, like(1, 'a')], [11, like(2, 'poison')], [12, like(3, 'c')])], startMs);
    expect(slot.receivedCount).toBe(3);
    expect(quarantinedEntries(slot.state)).toMatchObject([
      { kind: 'edge', did: didOf(2), origin: { slot: 1, generation: 1, mark: 11 } },
    ]);
    expect(slot.run([effectChunk(12, [13, like(4, 'd')])], startMs).outcomes).toMatchObject([{ status: 'durable' }]);
    expect(slot.receivedCount).toBe(4);
  });

  it('is not applied again once a later one of its record has been', async () => {
    let isFaulty = true;
    const { slot } = open({
      applyEntry,
      applyEffect: (context, effect) => (isFaulty ? faulty : { applyEffect }).applyEffect(context, effect),
    });
    await using _closed = slot;
    slot.run([effectChunk(0, [10, like(2, 'poison')])], startMs);
    isFaulty = false;
    slot.run([effectChunk(10, [11, { ...like(2, 'poison'), present: false } as Effect])], startMs);
    expect(quarantinedEntries(slot.state)).toMatchObject([{ isSuperseded: true }]);
    const before = slot.state.rows.get(beginKey(1, 3).finish());
    slot.run([chunkOf(retry(1))], startMs);
    expect(quarantinedEntries(slot.state)).toEqual([]);
    expect(slot.state.rows.get(beginKey(1, 3).finish())).toEqual(before);
  });
});

describe('long work of which a step throws', () => {
  it('is set aside without the entry that went on with it, and retry ends it', async () => {
    let isFaulty = true;
    const { slot } = open({
      applyEntry,
      applyEffect(context, effect) {
        const isLast = effect.type === 'post-exists' && effect.reposter === didOf(199);
        invariant(!(isFaulty && isLast), 'the last reposter is not poisoned');
        applyEffect(context, effect);
      },
    });
    await using _closed = slot;
    const subject = { uri: `at://${didOf(500)}/${post}/r1`, cid: 'c' };
    const reposts = Array.from({ length: 200 }, (_unused, number): Entry => {
      const createdAt = new Date(startMs + number).toISOString();
      const op = recordOp({ collection: 'app.bsky.feed.repost', rkey: 'x' }, { subject, createdAt });
      return { kind: 'commit', did: didOf(number), rev: 'r1', since: null, eventMs: startMs + number, ops: [op] };
    });
    // Before the post itself, so that each repost is told of it only by the work.
    isFaulty = false;
    slot.run([chunkOf(...reposts)], startMs + 1_000);
    isFaulty = true;
    slot.run([chunkOf(commit(didOf(500), 'r1'))], startMs + 1_000);
    while (slot.hasUnapplied) slot.run([], startMs + 1_000);
    expect(hasPost(slot, didOf(500), 'r1')).toBe(true);
    const kept = quarantinedEntries(slot.state);
    expect(kept).toMatchObject([{ kind: 'post-exists', did: didOf(500), part: 1 }]);
    isFaulty = false;
    slot.run([chunkOf(retry(kept[0]!.seq, kept[0]!.part))], startMs + 1_000);
    while (slot.hasUnapplied) slot.run([], startMs + 1_000);
    expect(quarantinedEntries(slot.state)).toEqual([]);
    const owner = slot.state.ownerOf(didOf(199))!;
    const [item] = slot.state.rows.scan({
      start: beginKey(owner, tableCode.feed).finish(),
      end: beginKey(owner, tableCode.feed + 1).finish(),
    });
    expect(readFeedRow(item!.key, item!.value).flags & feedFlag.postExists).not.toBe(0);
  });
});

describe('an erasure that is set aside halfway', () => {
  const did = didOf(1);
  const erase: Entry = { kind: 'private', did, write: { type: 'erase', kind: 'bookmarks' } };
  const bookmarks = (rkeys: readonly string[]): Entry[] =>
    rkeys.map((key) => {
      const subject = { uri: `at://${didOf(2)}/${post}/${key}`, cid: cidText };
      const payload = JSON.stringify({ subject });
      const write = { type: 'private-data', namespace: privateNamespace.bookmark, key, method: 'create', payload };
      return { kind: 'private', did, write } as Entry;
    });
  const named = (name: string): string[] => Array.from({ length: 200 }, (_unused, number) => `${name}${1000 + number}`);
  const left = (slot: Slot): number => {
    const prefix = privatePrefix(slot.state.ownerOf(did)!, privateNamespace.bookmark);
    return [...slot.state.rows.scan({ start: prefix, end: prefixEnd(prefix) })].length;
  };

  it('takes nothing from a later one that waits when it is tried again', async () => {
    let isFaulty = true;
    const { slot } = open({
      applyEntry,
      applyEffect(context, effect) {
        const isPoisoned = effect.type === 'edge' && !effect.present && effect.source.rkey === 'm1150';
        invariant(!(isFaulty && isPoisoned), 'no bookmark is poisoned');
        applyEffect(context, effect);
      },
    });
    await using _closed = slot;
    slot.run([chunkOf(...bookmarks(named('m')))], startMs);
    slot.run([chunkOf(erase)], startMs + 1);
    while (slot.hasUnapplied) slot.run([], startMs + 1);
    const [kept] = quarantinedEntries(slot.state);
    expect(kept).toMatchObject({ kind: 'erase', did, part: 1 });
    slot.run([chunkOf(...bookmarks(named('a')))], startMs + 2);
    isFaulty = false;
    slot.run([chunkOf(erase, retry(kept!.seq, kept!.part))], startMs + 3);
    while (slot.hasUnapplied) slot.run([], startMs + 3);
    expect(quarantinedEntries(slot.state)).toEqual([]);
    expect(left(slot)).toBe(0);
  });
});

describe('a DID of which three entries failed', () => {
  it('is suspended: what follows is counted, not kept, until nothing is kept of it', async () => {
    const { slot } = open(faulty);
    await using _closed = slot;
    const did = didOf(1);
    for (let number = 1; number <= entriesPerDidMax; number++) {
      expect(reposToResync(slot.state, '', 10)).toEqual(number === 1 ? [] : [did]);
      slot.run([chunkOf(commit(did, `r${number}`, 'poison'))], startMs);
    }
    expect(reposToResync(slot.state, '', 10)).toEqual([]);
    slot.run([chunkOf(commit(did, 'r8'), commit(did, 'r9', 'poison'), commit(didOf(2), 'r1'))], startMs);
    expect(hasPost(slot, did, 'r8')).toBe(false);
    expect(hasPost(slot, didOf(2), 'r1')).toBe(true);
    expect(getQuarantinedDid(slot.state, did)).toEqual({
      did,
      keptCount: entriesPerDidMax,
      isSuspended: true,
      skippedCount: 2,
    });
    // An account's own state is applied all the same.
    slot.run([chunkOf({ kind: 'account', did, active: false, status: 'takendown', eventMs: startMs + 1 })], startMs);
    slot.run([chunkOf(drop(1), drop(2), drop(3))], startMs);
    expect(getQuarantinedDid(slot.state, did)).toMatchObject({ keptCount: 0, isSuspended: false });
    expect(reposToResync(slot.state, '', 10)).toEqual([did]);
    slot.run([chunkOf(commit(did, 's1'))], startMs);
    expect(hasPost(slot, did, 's1')).toBe(true);
  });
});

describe('entries of many DIDs', () => {
  const poisoned = (count: number): Buffer =>
    chunkOf(...Array.from({ length: count }, (_unused, number) => commit(didOf(number), 'r1', 'poison')));

  it('within an hour stop the slot, which serves and goes on at a word of the operator', async () => {
    const { slot, path } = open(faulty);
    slot.run([poisoned(quarantinedDidsMax + 1)], startMs);
    expect(slot.quarantine.stoppedMs).toBe(startMs);
    expect([slot.cursor, slot.head]).toEqual([quarantinedDidsMax, quarantinedDidsMax + 1]);
    expect(() => slot.run([chunkOf(commit(didOf(1), 'r2'))], startMs)).toThrow(/has stopped applying/);
    await slot[Symbol.asyncDispose]();
    const { slot: again } = open(faulty, path);
    await using _closed = again;
    expect(() => again.run([], startMs)).toThrow(/has stopped applying/);
    again.run([chunkOf(retry(1))], startMs + 1_000);
    expect(again.quarantine.stoppedMs).toBe(0);
    again.run([chunkOf(commit(didOf(90), 'r1'))], startMs + 1_000);
    expect(hasPost(again, didOf(90), 'r1')).toBe(true);
  });

  it('stop replicas where it stopped, and not where an operator had it go on, however the log is cut', async () => {
    const chunks = [poisoned(quarantinedDidsMax + 5), chunkOf(retry(1)), chunkOf(commit(didOf(90), 'r1'))];
    const digests = new Set<string>();
    for (const size of [1, 2, 3]) {
      const { slot } = open(faulty);
      for (let at = 0; at < chunks.length; at += size) slot.run(chunks.slice(at, at + size), startMs);
      expect(slot.quarantine.stoppedMs).toBe(0);
      expect(hasPost(slot, didOf(90), 'r1')).toBe(true);
      digests.add(slot.digest());
      await slot[Symbol.asyncDispose]();
    }
    expect(digests.size).toBe(1);
  });

  it('do not keep it stopped when a version with newer rules starts', async () => {
    const { slot, path } = open(faulty);
    slot.run([poisoned(quarantinedDidsMax)], startMs);
    await slot[Symbol.asyncDispose]();
    const environment = Environment.open({ path, mapBytes: 2 ** 28, tables: slotTableNames });
    const state = new SlotState(0, environment);
    environment.transact(() => putQuarantineState(state, { ...getQuarantineState(state), applyVersion: 0 }));
    await environment.close();
    const { slot: newer } = open(undefined, path);
    await using _closed = newer;
    newer.run([chunkOf(commit(didOf(90), 'r1'))], startMs + 1);
    expect(newer.quarantine.stoppedMs).toBe(0);
    expect(hasPost(newer, didOf(90), 'r1')).toBe(true);
  });

  it('that come over hours do not', async () => {
    const { slot } = open(faulty);
    await using _closed = slot;
    for (let number = 0; number < quarantinedDidsMax + 5; number++) {
      slot.run([chunkOf(commit(didOf(number), 'r1', 'poison'))], startMs + number * 400_000);
    }
    expect(slot.quarantine.stoppedMs).toBe(0);
    expect(quarantinedEntries(slot.state)).toHaveLength(quarantinedDidsMax + 5);
  });
});
