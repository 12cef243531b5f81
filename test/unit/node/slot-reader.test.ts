/** Readers that have not heard of a compaction, and must not miss what was written after it. */
import { rmSync } from 'node:fs';
import { afterAll, expect, it } from 'vitest';
import { encodeEntry } from '../../../src/entry/entry-codec.ts';
import { slotPath } from '../../../src/node/data-folder.ts';
import { positionsOf } from '../../../src/node/position-comparison.ts';
import { freshState, openReaders, reopenReplaced } from '../../../src/node/slot-reader.ts';
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
  const origin = originOf({ index: 1, generation: 1, session: 0 }, 0);
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
