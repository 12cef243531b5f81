/** A repo CAR yields every record under its commit, or the reason where the walk ended. */
import { describe, expect, it } from 'vitest';
import { Cid, cidOfBlock } from '../../../src/atproto/cid.ts';
import { inputLimits } from '../../../src/atproto/input-limits.ts';
import { openRepoCar, type RepoChunk } from '../../../src/atproto/repo-car.ts';
import { encodeDagCbor } from '../../support/dag-cbor.ts';
import { HandMadeCar, treeEntry } from '../../support/hand-made-car.ts';
import { jsonOfOp } from '../../support/record-op.ts';
import { authorDid, create, likeRecord, postRecord, SignedRepo } from './signed-repo.ts';

const rev = '3kbd6l2y3gk2z';

function rkeyOf(index: number): string {
  return `r${String(index).padStart(4, '0')}`;
}

function snapshotOf(car: Uint8Array) {
  const opened = openRepoCar(car);
  if (!opened.ok) throw new Error(opened.reason);
  return opened.value;
}

function chunksOf(car: Uint8Array, chunkRecords: number): RepoChunk[] {
  return [...snapshotOf(car).chunks(chunkRecords)].map((step) => {
    if (!step.ok) throw new Error(step.reason);
    return step.value;
  });
}

/** The reason that ends the walk. */
function faultOf(car: Uint8Array): string {
  const last = [...snapshotOf(car).chunks(10)].at(-1);
  return last === undefined || last.ok ? 'none' : last.reason;
}

describe('openRepoCar', () => {
  it('yields every record of a repo by the protocol library, in key order', async () => {
    const writes = Array.from({ length: 500 }, (_unused, index) =>
      index % 5 === 0
        ? create('app.bsky.feed.post', rkeyOf(index), postRecord(`post ${index}`))
        : create('app.bsky.feed.like', rkeyOf(index), likeRecord()),
    );
    const repo = await SignedRepo.start(authorDid, [...writes, create('com.example.thing', 'a', likeRecord())]);
    const car = await repo.car();
    expect(snapshotOf(car)).toMatchObject({ did: authorDid, rev: repo.rev, commitCid: repo.commitCid });
    const chunks = chunksOf(car, 64);
    expect(chunks.length).toBe(8);
    const paths = chunks.flatMap((chunk) => chunk.ops.map(({ op }) => `${op.collection}/${op.rkey}`));
    expect(paths).toEqual(writes.map((write) => `${write.collection}/${write.rkey}`).sort());
    expect(chunks.reduce((sum, chunk) => sum + chunk.unindexedRecords, 0)).toBe(1);
    expect(chunks.flatMap((chunk) => chunk.badOps)).toEqual([]);
    const post = chunks.flatMap((chunk) => chunk.ops).find(({ op }) => op.rkey === rkeyOf(5))!;
    expect(JSON.parse(jsonOfOp(post.op))).toEqual(postRecord('post 5'));
    expect(new Cid(post.op.cid).text).toBe(cidOfBlock(encodeDagCbor(post.value)).text);
  });

  it('yields nothing for an empty repo', async () => {
    const repo = await SignedRepo.start();
    expect(chunksOf(await repo.car(), 10)).toEqual([]);
  });

  it('continues after a missing or broken record, and reports it', () => {
    const car = new HandMadeCar();
    const good = car.add({ $type: 'app.bsky.feed.post', text: '' });
    const list = car.add([1]);
    const absent = cidOfBlock(Buffer.from('absent'));
    const tree = car.node(
      null,
      treeEntry(0, 'app.bsky.feed.post/a', absent),
      treeEntry(19, 'b', list),
      treeEntry(19, 'c c', good),
      treeEntry(19, 'd', good),
      treeEntry(0, 'noslash', good),
    );
    const [chunk] = chunksOf(car.commit(authorDid, rev, tree), 10);
    expect(chunk!.badOps).toMatchObject([
      { reason: 'op-block-missing', collection: 'app.bsky.feed.post' },
      { reason: 'record-not-an-object', collection: 'app.bsky.feed.post' },
      { reason: 'op-path-bad', collection: 'app.bsky.feed.post' },
      { reason: 'op-path-bad', collection: '' },
    ]);
    expect(chunk!.ops.map(({ op }) => op.rkey)).toEqual(['d']);
  });

  it.each<[string, (car: HandMadeCar) => Buffer]>([
    ['tree-block-missing', (car) => car.commit(authorDid, rev, cidOfBlock(Buffer.from('absent')))],
    ['tree-node-malformed', (car) => car.commit(authorDid, rev, car.add([]))],
    ['tree-node-malformed', (car) => car.commit(authorDid, rev, car.add({ l: null }))],
    [
      'tree-node-malformed',
      (car) => car.commit(authorDid, rev, car.node(null, { p: 0, k: 'text', v: car.add({}), t: null })),
    ],
    ['tree-node-malformed', (car) => car.commit(authorDid, rev, car.node(null, treeEntry(5, 'a', car.add({}))))],
    ['tree-node-malformed', (car) => car.commit(authorDid, rev, car.node(null, treeEntry(-1, 'a', car.add({}))))],
    [
      'tree-node-malformed',
      (car) => car.commit(authorDid, rev, car.node(null, treeEntry(0, 'a'.repeat(2000), car.add({})))),
    ],
    [
      'tree-keys-not-ascending',
      (car) =>
        car.commit(authorDid, rev, car.node(null, treeEntry(0, 'b/b', car.add({})), treeEntry(0, 'b/a', car.add({})))),
    ],
    [
      'tree-keys-not-ascending',
      (car) => {
        const leaf = car.node(null, treeEntry(0, 'b/b', car.add({})));
        return car.commit(authorDid, rev, car.node(leaf, treeEntry(0, 'b/a', car.add({}))));
      },
    ],
    [
      'tree-too-deep',
      (car) => {
        let node = car.node(null);
        for (let depth = 0; depth < inputLimits.repoTreeDepthMax; depth++) node = car.node(node);
        return car.commit(authorDid, rev, node);
      },
    ],
    [
      'tree-too-large',
      (car) => {
        const empty = car.node(null);
        const record = car.add({});
        return car.commit(
          authorDid,
          rev,
          car.node(null, ...['a', 'b', 'c', 'd', 'e'].map((key) => treeEntry(0, `x/${key}`, record, empty))),
        );
      },
    ],
  ])('ends the walk of a tree that is wrong as %s', (reason, make) => {
    expect(faultOf(make(new HandMadeCar()))).toBe(reason);
  });

  it('ends the walk at a tree block whose hash is wrong', async () => {
    const repo = await SignedRepo.start(authorDid, [create('app.bsky.feed.like', rev, likeRecord())]);
    const car = await repo.car();
    // Only the tree's block contains the key of the only entry.
    car[car.indexOf('app.bsky.feed.like/') + 1] = 0x71;
    expect(faultOf(car)).toBe('tree-block-hash-wrong');
  });

  it.each<[string, (car: HandMadeCar) => Buffer]>([
    ['commit-missing', (car) => car.finish(cidOfBlock(Buffer.from('absent')))],
    ['commit-malformed', (car) => car.finish(car.add([]))],
    ['commit-malformed', (car) => car.commit(authorDid, rev, car.node(null), { version: 2 })],
    ['commit-malformed', (car) => car.commit(authorDid, rev, car.node(null), { did: 'alice.test' })],
    ['commit-malformed', (car) => car.commit(authorDid, rev, car.node(null), { rev: '1' })],
    ['commit-malformed', (car) => car.commit(authorDid, rev, 'data')],
    ['car-header-bad', () => Buffer.alloc(0)],
    ['car-truncated', () => Buffer.from('<html>')],
  ])('refuses a CAR as %s', (reason, make) => {
    expect(openRepoCar(make(new HandMadeCar()))).toEqual({ ok: false, reason });
  });
});
