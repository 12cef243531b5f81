/** Which copy of a shard a read asks. */
import { expect, it } from 'vitest';
import { ShardCopies } from '../../../src/router/plan/shard-copies.ts';
import { parseShardMap } from '../../../src/shardmap/shard-map.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const address = { host: '127.0.0.1', port: 1 };
const map = parseShardMap({
  epoch: 1,
  slots: 4,
  nodes: { a: address, b: address, c: address },
  shards: [
    { name: 's', primary: 'a', replicas: ['b', 'c'], slots: ['0-1'] },
    { name: 't', primary: 'b', replicas: ['a'], slots: ['2-3'] },
  ],
});
const names = ['a', 'b', 'c'];
const primaries = Uint16Array.from([0, 0, 1, 1]);
const all = new Map([
  ['a', new Set([2, 3])],
  ['b', new Set([0, 1])],
  ['c', new Set([0, 1])],
]);
const clock = new ManualClock();

function copiesOf(readable = all, ownNode: string | null = null): ShardCopies {
  return new ShardCopies(map, names, { readable, ownNode, clock });
}

/** Returns which nodes are asked about slot 0, of many requests. */
function askedAbout0(copies: ShardCopies): number[] {
  return [...new Set(Array.from({ length: 64 }, () => copies.choose(primaries)[0]!))].sort();
}

it('reads are spread over all copies, and slots of a shard stay together', () => {
  const copies = copiesOf();
  expect([copies.hasChoice, askedAbout0(copies)]).toEqual([true, [0, 1, 2]]);
  for (let round = 0; round < 32; round++) {
    const [first, second, third, fourth] = copies.choose(primaries);
    expect([first, third]).toEqual([second, fourth]);
    expect([0, 1]).toContain(third);
  }
  expect([...primaries]).toEqual([0, 0, 1, 1]);
});

it('of two drawn copies the one with fewer calls in flight is asked', () => {
  const copies = copiesOf(new Map([['b', new Set([0, 1])]]));
  copies.began(0);
  expect(askedAbout0(copies)).toEqual([1]);
  copies.began(1);
  copies.began(1);
  expect(askedAbout0(copies)).toEqual([0]);
  copies.ended(1);
  copies.ended(1);
  expect(askedAbout0(copies)).toEqual([1]);
});

it('a replica that does not answer reads of all slots of a shard is not asked', () => {
  expect(askedAbout0(copiesOf(new Map([['b', new Set([0])]])))).toEqual([0]);
  expect(copiesOf(new Map()).hasChoice).toBe(false);
  expect(copiesOf().of(0)).toEqual([0, 1, 2]);
  expect(copiesOf(new Map()).of(0)).toBeUndefined();
});

it('a node that failed is left alone for a second, but for the primary when all have', () => {
  const copies = copiesOf();
  copies.failed(0);
  expect(askedAbout0(copies)).toEqual([1, 2]);
  copies.failed(1);
  copies.failed(2);
  expect(askedAbout0(copies)).toEqual([0]);
  clock.advance(1_000);
  expect(askedAbout0(copies)).toEqual([0, 1, 2]);
});

it('a copy in the own process is asked before others', () => {
  expect(askedAbout0(copiesOf(all, 'c'))).toEqual([2]);
});
