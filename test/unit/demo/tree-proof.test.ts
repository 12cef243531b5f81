/** The proof nodes of a commit cover those of the protocol library. */
import { MemoryBlockstore, MST } from '@atproto/repo';
import { expect, test } from 'vitest';
import { seededRandom } from '../../../src/base/seeded-random.ts';
import { addProofNodes } from '../../../src/demo/server/tree-proof.ts';

test('the nodes of a proof include all that the library uses', async () => {
  const random = seededRandom(9);
  const storage = new MemoryBlockstore();
  const value = await (await MST.create(storage)).getPointer();
  let tree = await MST.create(storage);
  const keys = Array.from({ length: 400 }, () => `app.bsky.feed.like/${random.below(2 ** 32).toString(32)}`);
  for (const key of new Set(keys)) tree = await tree.add(key, value);
  await storage.putMany((await tree.getUnstoredBlocks()).blocks);
  const absent = Array.from({ length: 50 }, () => `app.bsky.feed.like/${random.below(2 ** 32).toString(32)}`);
  let blocks = 0;
  for (const key of [...keys.slice(0, 100), ...absent]) {
    const nodes = new Set<MST>();
    await addProofNodes(tree, key, nodes);
    const cids = new Set<string>();
    for (const node of nodes) cids.add((await node.getPointer()).toString());
    for (const cid of (await tree.getCoveringProof(key)).cids()) {
      expect(cids.has(cid.toString())).toBe(true);
      blocks++;
    }
    expect(nodes.size).toBeLessThan(30);
  }
  expect(blocks).toBeGreaterThan(300);
});
