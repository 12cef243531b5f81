/** A slot splits in two, each with what is its own; what others send reaches the right one. */
import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { cidOfBlock } from '../../../src/atproto/cid.ts';
import { deleteOp, type RepoOp } from '../../../src/atproto/repo-op.ts';
import type { Entry } from '../../../src/entry/entry.ts';
import { type ChunkOutcome, encodeEntryChunk } from '../../../src/log/chunk.ts';
import { slotOf } from '../../../src/shardmap/slot-of.ts';
import { applyEffect, applyEntry } from '../../../src/slot/apply/apply-entry.ts';
import { makeChild } from '../../../src/slot/child-slot.ts';
import { knownPositionOf, positionOf } from '../../../src/slot/effect-sources.ts';
import type { ApplyRules } from '../../../src/slot/entry-applier.ts';
import { entriesPerDidMax } from '../../../src/slot/quarantine.ts';
import type { RunResult } from '../../../src/slot/run-past.ts';
import { Slot } from '../../../src/slot/slot.ts';
import { getQuarantinedDid, quarantinedEntries } from '../../../src/slot/table/quarantine-row.ts';
import { sharedLog } from '../../simulation/following-slots.ts';
import { tidOf } from '../../simulation/history-record.ts';
import { originOf } from '../../support/effect-origin.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';
import { recordOp } from '../../support/record-op.ts';
import { bytesOfChunk } from '../../support/slot-cluster.ts';
import { actorCountsOf } from '../../support/stored-rows.ts';

const folder = makeMemoryFolder('skyshard-split-');
const createdAt = new Date(Date.UTC(2024, 0, 1)).toISOString();
const follow = 'app.bsky.graph.follow';
const cidText = cidOfBlock(Buffer.from('block')).text;
let opened = 0;
let clock = 0;

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function open(name: string, index: number, slots: number, canSplit = true, rules?: ApplyRules): Slot {
  const session = ++opened;
  const opening = { session, generation: session, condition: 'complete', cluster: '' } as const;
  const more = rules === undefined ? {} : { rules };
  return Slot.open({ index, slots, path: join(folder, name), mapBytes: 2 ** 28, opening, canSplit, ...more });
}

/** Returns the first DID of a slot. */
function didOf(slot: number, slots: number): string {
  for (let number = 0; ; number++) {
    const did = `did:web:n${number}.example`;
    if (slotOf(did, slots) === slot) return did;
  }
}

function commit(did: string, ...ops: readonly RepoOp[]): Entry {
  clock++;
  return { kind: 'commit', did, rev: tidOf(clock), since: null, eventMs: clock, ops };
}

function followOp(subject: string): RepoOp {
  return recordOp({ collection: follow, rkey: tidOf(1) }, { subject, createdAt });
}

function likeOf(did: string, number: number): object {
  const uri = `at://${did}/app.bsky.feed.post/${tidOf(number)}`;
  return { subject: { uri, cid: cidText }, createdAt };
}

function run(slot: Slot, ...entries: readonly Entry[]): RunResult {
  return slot.run([encodeEntryChunk(slot.index, entries)], 1);
}

/** Sends what a slot owes a target. Returns what became of it. */
function send(source: Slot, target: Slot, slots = source.routing.slotsOfTarget(target.index)): ChunkOutcome {
  const batches = [...source.outbox.batches(target.index)];
  const { session, lastMark: mark } = positionOf(target.state, source.index);
  const origin = originOf(source, batches[0]!.previousMark, { session, mark }, slots);
  const [items, marks] = [batches.flatMap((batch) => batch.items), batches.flatMap((batch) => batch.marks)];
  return target.run([bytesOfChunk({ slot: target.index, origin, items, marks })], 1).outcomes[0]!;
}

function followersOf(slot: Slot, did: string): number {
  const owner = slot.state.ownerOf(did);
  return owner === undefined ? 0 : (actorCountsOf(slot.state, owner).followers ?? 0);
}

/** Applies a split and makes the child, which is opened. */
async function split(parent: Slot, name: string): Promise<Slot> {
  run(parent, { kind: 'split', slots: 2 * parent.slots });
  const { index, slots } = parent;
  await makeChild(parent, join(folder, name));
  parent.childIsMade();
  const child = open(name, index + slots / 2, slots);
  child.run([], 1);
  return child;
}

/** Lets what waits be done. */
function rest(...slots: readonly Slot[]): void {
  for (const slot of slots) while (slot.hasUnapplied) slot.run([], 1);
}

it('keeps what is its own, and its child what is the child’s', async () => {
  await using parent = open('own-0', 0, 2);
  const [stays, moves] = [didOf(0, 4), didOf(2, 4)];
  run(parent, commit(stays, followOp(moves)), commit(moves, followOp(stays)));
  await using child = await split(parent, 'own-2');
  rest(parent, child);
  expect([parent, child].map(({ index, slots }) => [index, slots])).toEqual([
    [0, 4],
    [2, 4],
  ]);
  expect([parent, child].map((slot) => [stays, moves].map((did) => slot.state.ownerOf(did) !== undefined))).toEqual([
    [true, false],
    [false, true],
  ]);
  expect([followersOf(parent, stays), followersOf(child, moves)]).toEqual([1, 1]);
  // A follow of the child's owner now travels.
  run(parent, commit(stays, deleteOp(follow, tidOf(1))));
  expect(send(parent, child).status).toBe('durable');
  expect(followersOf(child, moves)).toBe(0);
});

it('refuses entries of its child whole, and those of its child’s DIDs only', async () => {
  await using parent = open('refuses-0', 0, 2);
  const [stays, moves] = [didOf(0, 4), didOf(2, 4)];
  const chunks = [{ kind: 'split', slots: 4 } as const, commit(stays), commit(moves)];
  const { outcomes } = parent.run(
    chunks.map((entry) => encodeEntryChunk(0, [entry])),
    1,
  );
  // What is behind the split is judged once that is applied.
  expect(outcomes.map(({ status }) => status)).toEqual(['durable']);
  expect([parent.awaitsChild, parent.cursor, parent.head]).toEqual([true, 2, 2]);
  await makeChild(parent, join(folder, 'refuses-2'));
  parent.childIsMade();
  rest(parent);
  expect(run(parent, commit(stays), commit(moves)).outcomes[0]).toMatchObject({ code: 'WrongEpoch' });
  expect(run(parent, commit(stays)).outcomes[0]!.status).toBe('durable');
  await using other = open('refuses-other', 0, 2, false);
  expect(run(other, { kind: 'split', slots: 4 }).outcomes[0]).toMatchObject({ code: 'InvalidArgument' });
  expect(run(parent, commit(stays), { kind: 'split', slots: 8 }).outcomes[0]).toMatchObject({
    code: 'InvalidArgument',
  });
});

it('applies nothing until its child is whole, whatever ended the process meanwhile', async () => {
  const parent = open('ends-0', 0, 2);
  const moves = didOf(2, 4);
  run(parent, commit(moves, followOp('did:web:else.example')));
  run(parent, { kind: 'split', slots: 4 });
  expect(() => parent.run([], 1)).toThrow('until its child is made');
  await parent[Symbol.asyncDispose]();
  mkdirSync(join(folder, 'ends-2-unfinished'));
  writeFileSync(join(folder, 'ends-2-unfinished', 'data.mdb'), 'half');
  await using again = open('ends-0', 0, 4);
  expect(again.awaitsChild).toBe(true);
  await makeChild(again, join(folder, 'ends-2'));
  again.childIsMade();
  expect(existsSync(join(folder, 'ends-2-unfinished'))).toBe(false);
  rest(again);
  await using child = open('ends-2', 2, 4);
  rest(child);
  expect([again, child].map(({ state }) => state.ownerOf(moves) !== undefined)).toEqual([false, true]);
});

it('sends for its child only once its own effects are there, so that none overtakes a later one', async () => {
  await using parent = open('order-0', 0, 2);
  await using target = open('order-1', 1, 2);
  const [moves, subject] = [didOf(2, 4), didOf(1, 2)];
  target.run([], 1);
  run(parent, commit(moves, followOp(subject)));
  await using child = await split(parent, 'order-2');
  rest(parent, child);
  run(child, commit(moves, deleteOp(follow, tidOf(1))));
  // The follow is still with the parent: without it, its end would come first.
  expect(send(child, target).status).toBe('gap');
  expect(child.judge(1, { generation: 0, session: 0, lastMark: 0, isParents: true })).toBe('follows');
  expect(send(parent, target).status).toBe('durable');
  expect(followersOf(target, subject)).toBe(1);
  expect(send(child, target).status).toBe('durable');
  expect(followersOf(target, subject)).toBe(0);
  // What comes late is known.
  expect(send(parent, target).status).toBe('durable');
  expect(followersOf(target, subject)).toBe(0);
});

it('sends all again to a target that has lost what its parent had sent for it', async () => {
  await using parent = open('loses-0', 0, 2);
  const target = open('loses-1', 1, 2);
  const [moves, subject] = [didOf(2, 4), didOf(1, 2)];
  target.run([], 1);
  await target[Symbol.asyncDispose]();
  cpSync(join(folder, 'loses-1'), join(folder, 'loses-copy'), { recursive: true });
  await using sameTarget = open('loses-1', 1, 2);
  run(parent, commit(moves, followOp(subject)));
  expect(send(parent, sameTarget).status).toBe('durable');
  run(parent, { kind: 'delivered', target: 1, mark: positionOf(sameTarget.state, 0).lastMark });
  await using child = await split(parent, 'loses-2');
  rest(parent, child);
  // Word of the split is still owed; what came before it is not, and an older copy lacks that.
  await using old = open('loses-copy', 1, 2);
  run(parent, { kind: 'resend', target: 1 });
  rest(parent);
  expect(send(parent, old).status).toBe('durable');
  expect(followersOf(old, subject)).toBe(0);
  expect(
    child.judge(
      1,
      knownPositionOf(2, (source) => positionOf(old.state, source)),
    ),
  ).toBe('target-lost');
  run(child, { kind: 'resend', target: 1 });
  rest(child);
  expect(send(child, old).status).toBe('durable');
  expect(followersOf(old, subject)).toBe(1);
});

it('gets effects that its source had for both, each where it is, once the source knows', async () => {
  await using source = open('divide-1', 1, 2);
  await using parent = open('divide-0', 0, 2);
  const [stays, moves, follower] = [didOf(0, 4), didOf(2, 4), didOf(1, 2)];
  const others = [stays, moves].map((subject, index) =>
    recordOp({ collection: follow, rkey: tidOf(5 + index) }, { subject, createdAt }),
  );
  run(source, commit(follower, ...others));
  await using child = await split(parent, 'divide-2');
  rest(parent, child);
  expect(send(source, parent)).toEqual({ status: 'split', slots: 4 });
  const { restarted } = run(source, { kind: 'target-split', target: 0, slots: 4 });
  expect(restarted).toEqual([0, 2]);
  expect([send(source, parent).status, send(source, child).status]).toEqual(['durable', 'durable']);
  expect([followersOf(parent, stays), followersOf(child, moves)]).toEqual([1, 1]);
  expect([followersOf(parent, moves), followersOf(child, stays)]).toEqual([0, 0]);
  // One that knows of a split before the target does, as after a loss, waits for it.
  await using late = open('divide-late', 0, 2);
  late.run([], 1);
  expect(send(source, late)).toEqual({ status: 'split', slots: 2 });
});

it('leaves what is in quarantine with its owner, but where more of its author was skipped since', async () => {
  let isFaulty = true;
  const rules: ApplyRules = {
    applyEntry,
    applyEffect(context, effect) {
      if (isFaulty && effect.type === 'edge') throw new TypeError('no edge is faulty');
      applyEffect(context, effect);
    },
  };
  await using source = open('kept-1', 1, 2);
  await using parent = open('kept-0', 0, 2, true, rules);
  parent.run([], 1);
  const [stays, moves] = [didOf(0, 4), didOf(2, 4)];
  const [few, many] = [didOf(1, 4), didOf(3, 4)];
  const likes = (subject: string, count: number, first = 1): RepoOp[] =>
    Array.from({ length: count }, (_unused, at) =>
      recordOp({ collection: 'app.bsky.feed.like', rkey: tidOf(first + at) }, likeOf(subject, first + at)),
    );
  run(source, commit(few, ...likes(moves, 1)), commit(many, ...likes(moves, entriesPerDidMax)));
  expect(send(source, parent).status).toBe('durable');
  // What follows of one of whom so much is kept is skipped.
  run(source, commit(many, ...likes(stays, 1, 10)));
  send(source, parent);
  expect(getQuarantinedDid(parent.state, many)).toMatchObject({ keptCount: entriesPerDidMax, skippedCount: 1 });
  await using child = await split(parent, 'kept-2');
  rest(parent, child);
  const keptOf = (slot: Slot): string[] => quarantinedEntries(slot.state).map(({ did }) => did);
  const all = Array.from({ length: entriesPerDidMax }, () => many);
  expect([keptOf(parent), keptOf(child)]).toEqual([all, [few, ...all]]);
  isFaulty = false;
  for (const slot of [parent, child])
    for (const { seq, part } of quarantinedEntries(slot.state))
      run(slot, { kind: 'quarantine', action: 'retry', seq, part });
  expect([keptOf(parent), keptOf(child)]).toEqual([[], []]);
  expect([parent, child].map(({ state }) => state.ownerOf(moves) !== undefined)).toEqual([false, true]);
});

/** Has a slot and the child that its log makes of it apply two logs, some chunks a transaction. */
async function applyLogs(
  name: string,
  perRun: number,
  chunks: readonly Uint8Array[],
  ofChild: (child: Slot) => readonly Uint8Array[],
): Promise<{ readonly digests: string[]; readonly child: Slot }> {
  const options = { mapBytes: 2 ** 28, canSplit: true, log: sharedLog };
  await using parent = Slot.open({ index: 0, slots: 2, path: join(folder, `${name}-0`), ...options });
  const path = join(folder, `${name}-2`);
  for (let at = 0; at < chunks.length; ) {
    at += parent.run(chunks.slice(at, at + perRun), 1).outcomes.length;
    if (!parent.awaitsChild) continue;
    await makeChild(parent, path);
    parent.childIsMade();
  }
  const child = Slot.open({ index: 2, slots: 4, path, ...options });
  child.run(ofChild(child), 1);
  return { digests: [parent, child].map((slot) => slot.digest()), child };
}

const openedFirst = (session: number): Entry => {
  return { kind: 'opened', session, generation: session, condition: 'complete', cluster: '' };
};

it('ends equal on every replica, whatever shared a transaction', async () => {
  const [stays, moves] = [didOf(0, 4), didOf(2, 4)];
  const entries: Entry[] = [
    { kind: 'opened', session: 1, generation: 1, condition: 'complete', cluster: '' },
    commit(stays, followOp(moves)),
    commit(moves, followOp(didOf(1, 2))),
    { kind: 'resend', target: 1 },
    { kind: 'split', slots: 4 },
    commit(stays, deleteOp(follow, tidOf(1))),
    { kind: 'continue' },
    { kind: 'resend-step' },
  ];
  const chunks = entries.map((entry) => encodeEntryChunk(0, [entry]));
  const ofChild = [encodeEntryChunk(2, [openedFirst(2), { kind: 'continue' }])];
  const digests = async (name: string, perRun: number): Promise<string[]> => {
    const { digests: both, child } = await applyLogs(name, perRun, chunks, () => ofChild);
    await child[Symbol.asyncDispose]();
    return both;
  };
  expect(await digests('together', entries.length)).toEqual(await digests('apart', 1));
});

it('takes of a replica that reads late what its child has sent meanwhile', async () => {
  const [stays, moves] = [didOf(0, 4), didOf(2, 4)];
  const entries: Entry[] = [openedFirst(1), commit(stays), { kind: 'split', slots: 4 }];
  const chunks = entries.map((entry) => encodeEntryChunk(0, [entry]));
  const ofChild = [encodeEntryChunk(2, [openedFirst(2), commit(moves, followOp(stays))])];
  const { child } = await applyLogs('sends', 1, chunks, () => ofChild);
  const [batch] = [...child.outbox.batches(0)];
  const at = { session: 1, mark: batch!.previousMark };
  const { items, marks } = batch!;
  const origin = originOf(child, batch!.previousMark, at, 4);
  await child[Symbol.asyncDispose]();
  // In the log of the parent it comes behind the split, of which the child was made.
  const all = [...chunks, bytesOfChunk({ slot: 0, origin, items, marks })];
  for (const [name, perRun] of [
    ['late', all.length],
    ['early', 1],
  ] as const) {
    await (await applyLogs(name, perRun, all, () => ofChild)).child[Symbol.asyncDispose]();
    await using parent = Slot.open({ index: 0, slots: 4, path: join(folder, `${name}-0`), mapBytes: 2 ** 28 });
    expect(followersOf(parent, stays), name).toBe(1);
  }
});
