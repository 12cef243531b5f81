/** Two processes that write one slot: one ends at once, and the slot is as the other left it. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { DataPlaneError } from '../../../src/base/data-plane-error.ts';
import { encodeEntry } from '../../../src/entry/entry-codec.ts';
import type { OpenedEntry } from '../../../src/entry/lifecycle-entry.ts';
import { Slot, type SlotOptions } from '../../../src/slot/slot.ts';
import { Compaction } from '../../../src/storage/compaction.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';
import { bytesOfChunk } from '../../support/slot-cluster.ts';

const folder = makeMemoryFolder('skyshard-writers-');
let opened = 0;

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function open(name: string, opening: Partial<OpenedEntry> = {}, options: Partial<SlotOptions> = {}): Slot {
  const session = ++opened;
  return Slot.open({
    index: 1,
    slots: 4,
    path: join(folder, name),
    mapBytes: 2 ** 28,
    opening: { session, generation: session, condition: 'complete', cluster: 'a', ...opening },
    ...options,
  });
}

function chunkOf(did: string): Buffer {
  const items = [encodeEntry({ kind: 'sync', did, rev: 'r1', eventMs: 0 })];
  return bytesOfChunk({ slot: 1, origin: null, items, marks: [] });
}

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (thrown) {
    if (thrown instanceof DataPlaneError) return thrown.code;
    throw thrown;
  }
  return 'none';
}

it('the one that was first ends with DataInUse, and what it tried leaves no trace', async () => {
  await using first = open('both');
  first.run([chunkOf('did:web:a.example')], 1);
  await using second = open('both');
  second.run([chunkOf('did:web:b.example')], 1);
  const digest = second.digest();
  expect(codeOf(() => first.run([chunkOf('did:web:c.example')], 1))).toBe('DataInUse');
  expect(codeOf(() => first.run([], 1))).toBe('DataInUse');
  expect(second.digest()).toBe(digest);
  second.run([chunkOf('did:web:d.example')], 1);
  expect(second.state.ownerOf('did:web:d.example')).toBe(3);
});

function begin(slot: Slot): Compaction {
  return Compaction.begin(slot.environment, () => slot.requireOnlyWriter());
}

async function finish(compaction: Compaction): Promise<void> {
  for (let isCopied = false; !isCopied; ) isCopied = compaction.copySome(() => false);
  await compaction.settle();
  compaction.replace();
}

it('the one whose file the other has compacted ends, and so does one that compacts after the other wrote', async () => {
  const first = open('compacted');
  first.run([chunkOf('did:web:a.example')], 1);
  await using second = open('compacted');
  await finish(begin(first));
  expect(codeOf(() => second.run([chunkOf('did:web:b.example')], 1))).toBe('DataInUse');
  first.run([chunkOf('did:web:c.example')], 1);
  await using third = open('compacted');
  expect(third.state.ownerOf('did:web:c.example')).toBe(2);
  third.run([chunkOf('did:web:d.example')], 1);
  const compaction = begin(third);
  expect(codeOf(() => begin(first))).toBe('DataInUse');
  await finish(compaction);
  await first[Symbol.asyncDispose]();
  third.run([chunkOf('did:web:e.example')], 1);
  expect(third.state.ownerOf('did:web:e.example')).toBe(4);
});

it.each([
  ['another slot', {}, { index: 2 }],
  ['another slot count', {}, { slots: 8 }],
  ['another cluster', { cluster: 'b' }, {}],
])('a folder of %s is refused, saying what to do', async (_what, opening, options) => {
  const name = `of-${_what}`;
  await using slot = open(name);
  slot.run([], 1);
  expect(() => open(name, opening, options)).toThrow('holds slot 1 of 4 slots of the cluster "a" and is opened for');
});

it('a folder takes the name that its cluster is given later', async () => {
  const unnamed = open('named', { cluster: '' });
  unnamed.run([], 1);
  await unnamed[Symbol.asyncDispose]();
  const named = open('named');
  named.run([], 1);
  await named[Symbol.asyncDispose]();
  expect(() => open('named', { cluster: '' })).toThrow('of the cluster "a"');
});
