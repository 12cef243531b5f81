/** A slot that has split is indexed together with its child, where that is to come to the node. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { encodeEntryChunk } from '../../../src/log/chunk.ts';
import { IndexWriter } from '../../../src/search/index-writer.ts';
import { IndexedSlot, mayCome } from '../../../src/search/indexed-slot.ts';
import { Slot } from '../../../src/slot/slot.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';

const folder = makeMemoryFolder('skyshard-split-index-');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('its build begins once it is known that the child comes to no place here', async () => {
  const [path, mapBytes] = [join(folder, 'slot'), 2 ** 28];
  const opening = { session: 1, generation: 1, condition: 'complete', cluster: '' } as const;
  await using slot = Slot.open({ index: 0, slots: 1, path, mapBytes, opening, canSplit: true, isSearched: true });
  slot.run([], 1);
  slot.run([encodeEntryChunk(0, [{ kind: 'split', slots: 2 }])], 2);
  const indexed = new IndexedSlot({ slot: 0, path, mapBytes });
  expect(indexed.split).toEqual({ slots: 2, child: 1 });
  // The node does not have the map by which the slot has split.
  let known = { slots: 1, coming: [] as number[] };
  const writer = IndexWriter.open(join(folder, 'index.db'), new Map([[0, indexed]]), {
    mayCome: (split) => mayCome(split, known),
  });
  const served = (): number => {
    while (writer.takeChanges() > 0 || writer.workOn());
    return writer.servedKey(0);
  };
  expect(served()).toBe(0);
  known = { slots: 2, coming: [1] };
  expect(served()).toBe(0);
  known = { slots: 2, coming: [] };
  expect(served()).toBeGreaterThan(0);
  // Who waits for what the slots of the node held may have asked before one of them left.
  expect(writer.behind([{ slot: 1, epoch: 1, seq: 3 }])).toEqual({ changes: 0, slots: 0 });
  writer.close();
  await indexed.close();
});
