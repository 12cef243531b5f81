/** Readers whose files are replaced or removed under them. */
import { rmSync } from 'node:fs';
import { afterAll, expect, it } from 'vitest';
import { encodeEntry } from '../../../src/entry/entry-codec.ts';
import { slotPath } from '../../../src/node/data-folder.ts';
import { positionsOf } from '../../../src/node/position-comparison.ts';
import { freshState, openReaders, reopenReplaced, SlotReaders } from '../../../src/node/slot-reader.ts';
import { Slot } from '../../../src/slot/slot.ts';
import { Compaction } from '../../../src/storage/compaction.ts';
import { originOf } from '../../support/effect-origin.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';
import { bytesOfChunk } from '../../support/slot-cluster.ts';

const folder = makeMemoryFolder('skyshard-reader-');
const mapBytes = 2 ** 28;
const did = 'did:web:a.example';
const follow = {
  type: 'edge',
  edge: 'follow',
  present: true,
  source: { did: 'did:web:b.example', collection: 'app.bsky.graph.follow', rkey: '3k2a' },
  subjectDid: did,
  subject: null,
  sortMs: 1,
} as const;

afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('a fresh state and the positions that others ask for are of the files that the slot is in', async () => {
  const opening = { session: 1, generation: 1, condition: 'complete', cluster: 'a' } as const;
  await using slot = Slot.open({ index: 0, slots: 2, path: slotPath(folder, 0), mapBytes, opening });
  slot.run([], 1);
  const readers = [1, 2].map(() => openReaders([0], folder, mapBytes));
  const compaction = Compaction.begin(slot.environment, () => slot.requireOnlyWriter());
  for (let isCopied = false; !isCopied; ) isCopied = compaction.copySome(() => false);
  await compaction.settle();
  compaction.replace();
  slot.state.areFilesReplaced = true;
  const changes = slot.state.takeChanges();
  const items = [encodeEntry({ kind: 'sync', did, rev: 'r1', eventMs: 0 })];
  const origin = originOf({ index: 1, generation: 1, session: 0, slots: 2 }, 0);
  const effects = { slot: 0, origin, items: [encodeEntry({ kind: 'effect', effect: follow }).subarray(2)], marks: [1] };
  slot.run([bytesOfChunk({ slot: 0, origin: null, items, marks: [] }), bytesOfChunk(effects)], 1);
  expect(freshState(readers[0]!, 0).ownerOf(did)).toBe(1);
  expect(positionsOf(readers[1]!, [1]).held).toMatchObject([{ source: 1, target: 0, lastMark: 1 }]);
  for (const each of readers) {
    // The news comes late, and the files are open already.
    reopenReplaced(each, 0, changes);
    expect(freshState(each, 0).ownerOf(did)).toBe(1);
    await each.get(0)!.environment.close();
  }
});

it('what has begun to read a slot that is given up reads on, while another copy is in its place', async () => {
  const opening = { session: 1, generation: 1, condition: 'complete', cluster: 'a' } as const;
  const path = slotPath(folder, 1);
  const open = (): Slot => Slot.open({ index: 1, slots: 2, path, mapBytes, opening });
  const write = (slot: Slot, who: string): void => {
    const items = [encodeEntry({ kind: 'sync', did: who, rev: 'r1', eventMs: 0 })];
    slot.run([bytesOfChunk({ slot: 1, origin: null, items, marks: [] })], 1);
  };
  const others = ['did:web:c.example', 'did:web:d.example'];
  const first = open();
  write(first, did);
  await using readers = new SlotReaders(folder, mapBytes);
  readers.open([1]);
  const { state: before } = readers.bySlot.get(1)!;
  expect(before.ownerOf(did)).toBe(1);
  readers.leave([1]);
  expect([...readers.bySlot]).toEqual([]);
  expect(() => freshState(readers.bySlot, 1)).toThrow('slot 1 is not served here');
  await first[Symbol.asyncDispose]();
  rmSync(path, { recursive: true });
  await using second = open();
  for (const who of others) write(second, who);
  readers.open([1]);
  const { state: after } = readers.bySlot.get(1)!;
  expect(others.map((who) => after.ownerOf(who))).toEqual([1, 2]);
  expect([after.ownerOf(did), before.ownerOf(did), before.ownerOf(others[0]!)]).toEqual([undefined, 1, undefined]);
});
