/** Plans of moves: which copies go where, and why some cannot. */
import { describe, expect, it } from 'vitest';
import {
  type ClusterFigures,
  drainPlan,
  explainSlot,
  type MovePlan,
  moveRooms,
  rebalancePlan,
  requireMoveRooms,
} from '../../../src/shardmap/move-plan.ts';
import { parseShardMap, type ShardMap } from '../../../src/shardmap/shard-map.ts';

type NodeOfTest = { readonly zone?: string; readonly capacity?: number };

function mapOf(
  nodes: Readonly<Record<string, NodeOfTest>>,
  shards: readonly { primary: string; replicas?: string[]; slots: string[] }[],
  slots = 8,
): ShardMap {
  const named = Object.entries(nodes).map(([name, more]) => [name, { host: '127.0.0.1', port: 1, ...more }]);
  const withNames = shards.map((shard, index) => ({ name: `s${index}`, ...shard }));
  return parseShardMap({ epoch: 5, slots, nodes: Object.fromEntries(named), shards: withNames });
}

const mib = 2 ** 20;

/** Each copy has `bytesOf` its slot; nodes that are `away` say nothing. */
function figuresOf(
  map: ShardMap,
  bytesOf: (slot: number) => number = () => 100 * mib,
  { away = [], free = {}, busy = [] }: { away?: string[]; free?: Record<string, number>; busy?: number[] } = {},
): ClusterFigures {
  const names = [...map.nodes.keys()].filter((name) => !away.includes(name));
  return new Map(
    names.map((name) => {
      const held = map.shards.filter(({ primary, replicas }) => primary === name || replicas.includes(name));
      const copies = held
        .flatMap(({ slots }) => slots)
        .map((slot) => ({ slot, bytes: bytesOf(slot), entriesPerS: busy.includes(slot) ? 100 : 0 }));
      return [name, { copies, freeBytes: free[name] ?? null }];
    }),
  );
}

/** Returns how many slots each node has after a plan. */
function countsAfter(map: ShardMap, { moves }: MovePlan): Record<string, number> {
  const counts = Object.fromEntries([...map.nodes.keys()].map((name) => [name, 0]));
  for (const { primary, replicas, slots } of map.shards)
    for (const node of [primary, ...replicas]) counts[node]! += slots.length;
  for (const { from, to } of moves) {
    counts[from]!--;
    counts[to]!++;
  }
  return counts;
}

describe('a drain', () => {
  it('deals all copies of a node out by what others have and can take', () => {
    const map = mapOf({ a: {}, b: {}, c: { capacity: 3 } }, [{ primary: 'a', slots: ['0-7'] }]);
    const plan = drainPlan(map, figuresOf(map), 'a');
    expect(plan).toMatchObject({ epoch: 5, cluster: '' });
    expect(plan.moves.map(({ slot }) => slot)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(countsAfter(map, plan)).toEqual({ a: 0, b: 2, c: 6 });
  });

  it('leaves no two copies at one node, and spreads them over zones', () => {
    const zones = { a: { zone: 'x' }, b: { zone: 'y' }, c: { zone: 'y' }, d: { zone: 'x' } };
    const map = mapOf(zones, [{ primary: 'a', replicas: ['b'], slots: ['0-7'] }]);
    // Node c is empty too, but in the zone of the replicas.
    const plan = drainPlan(map, figuresOf(map), 'a');
    expect(new Set(plan.moves.map(({ to }) => to))).toEqual(new Set(['d']));
    const two = mapOf({ a: {}, b: {} }, [{ primary: 'a', replicas: ['b'], slots: ['0-7'] }]);
    expect(() => drainPlan(two, figuresOf(two), 'a')).toThrow('no node can take slot 0: b has a copy of it');
  });

  it('is refused without room, without others, and of what is not there', () => {
    const map = mapOf({ a: {}, b: {} }, [{ primary: 'a', slots: ['0-7'] }]);
    const full = figuresOf(map, () => 100 * mib, { free: { b: 400 * mib } });
    expect(() => drainPlan(map, full, 'a')).toThrow(/b has no room: \d+ bytes are missing/);
    expect(() => drainPlan(map, figuresOf(map, undefined, { away: ['b'] }), 'a')).toThrow('b does not answer');
    expect(() => drainPlan(map, figuresOf(map), 'b')).toThrow('node b has no slots');
    expect(() => drainPlan(map, figuresOf(map), 'z')).toThrow('the map has no node "z"');
    const alone = mapOf({ a: {} }, [{ primary: 'a', slots: ['0-7'] }]);
    expect(() => drainPlan(alone, figuresOf(alone), 'a')).toThrow('there is no other');
  });
});

describe('a rebalance', () => {
  it.each([
    [
      { a: {}, b: {} },
      { a: 4, b: 4 },
    ],
    [
      { a: {}, b: { capacity: 3 } },
      { a: 2, b: 6 },
    ],
    [
      { a: {}, b: {}, c: {}, d: {} },
      { a: 2, b: 2, c: 2, d: 2 },
    ],
  ])('%j has %j', (nodes, counts) => {
    const map = mapOf(nodes, [{ primary: 'a', slots: ['0-7'] }]);
    const plan = rebalancePlan(map, figuresOf(map));
    expect(countsAfter(map, plan)).toEqual(counts);
    expect(plan.moves).toHaveLength(8 - counts.a);
  });

  it('weighs slots by bytes and by what they apply', () => {
    const map = mapOf({ a: {}, b: {} }, [{ primary: 'a', slots: ['0-7'] }]);
    const large = rebalancePlan(
      map,
      figuresOf(map, (slot) => (slot === 3 ? 700 * mib : 100 * mib)),
    );
    expect(large.moves.map(({ slot }) => slot)).toEqual([3]);
    const busy = rebalancePlan(map, figuresOf(map, undefined, { busy: [0, 1] }));
    const moved = busy.moves.map(({ slot }) => slot);
    expect(moved.filter((slot) => slot < 2)).toHaveLength(1);
  });

  it('leaves alone what is near its share, and who does not answer', () => {
    const map = mapOf({ a: {}, b: {} }, [
      { primary: 'a', slots: ['0-3'] },
      { primary: 'b', slots: ['4-7'] },
    ]);
    expect(rebalancePlan(map, figuresOf(map)).moves).toEqual([]);
    const three = mapOf({ a: {}, b: {}, c: {} }, [
      { primary: 'a', slots: ['0-3'] },
      { primary: 'b', slots: ['4-7'] },
    ]);
    expect(rebalancePlan(three, figuresOf(three, undefined, { away: ['c'] })).moves).toEqual([]);
  });

  it('brings no copy into a zone that has another', () => {
    const zones = { a: { zone: 'x' }, b: { zone: 'y' }, c: { zone: 'y' } };
    const map = mapOf(zones, [{ primary: 'a', replicas: ['b'], slots: ['0-7'] }]);
    for (const { from, to } of rebalancePlan(map, figuresOf(map)).moves) expect([from, to]).toEqual(['b', 'c']);
  });
});

describe('the room that moves take', () => {
  const map = mapOf({ a: {}, b: {}, c: {} }, [
    { primary: 'a', slots: ['0-3'] },
    { primary: 'a', replicas: ['c'], slots: ['4-7'] },
  ]);
  const bytesOf = (slot: number): number => 100 * mib + slot;
  const movesOf = (...slots: number[]) => slots.map((slot) => ({ slot, from: 'a', to: 'b', bytes: bytesOf(slot) }));
  const check = (figures: ClusterFigures, ...slots: number[]): void => {
    const moves = movesOf(...slots);
    requireMoveRooms(figures, moves, moveRooms(map, figures, moves));
  };

  it('is that of all copies at a target, and of the largest one where they are made', () => {
    const figures = figuresOf(map, bytesOf, { free: { a: 400 * mib } });
    expect(moveRooms(map, figures, movesOf(1, 2, 4))).toEqual([
      { node: 'a', slot: 2, neededBytes: 356 * mib + 2, freeBytes: 400 * mib },
      { node: 'b', slot: null, neededBytes: 556 * mib + 7, freeBytes: null },
      { node: 'c', slot: 4, neededBytes: 356 * mib + 4, freeBytes: null },
    ]);
    expect(() => check(figures, 1, 2, 4)).not.toThrow();
  });

  it('is missed before anything begins, at the source as well', () => {
    const full = figuresOf(map, bytesOf, { free: { a: 300 * mib } });
    const missing = `${56 * mib + 2} bytes are missing`;
    expect(() => check(full, 1, 2)).toThrow(`node a has no room to copy slot 2: ${missing}`);
    expect(() => drainPlan(map, full, 'a')).toThrow(
      /no node can take slot \d: b gets no copy, for which a has no room/,
    );
    expect(rebalancePlan(map, full).moves.map(({ slot }) => slot < 4)).not.toContain(true);
    const texts = explainSlot(map, full, 2).map(({ text }) => text);
    expect(texts[1]).toContain(`gets no copy, for which a has no room: ${missing}`);
    expect(() => check(figuresOf(map, bytesOf, { free: { b: 300 * mib } }), 2)).toThrow('node b has no room for them');
    expect(() => check(figuresOf(map, bytesOf, { away: ['b'] }), 2)).toThrow('node b does not answer');
  });

  it('is taken where a replica has it, and a full primary does no harm', () => {
    const full = figuresOf(map, bytesOf, { free: { a: 300 * mib } });
    expect(() => check(full, 4)).not.toThrow();
    const both = figuresOf(map, bytesOf, { free: { a: 300 * mib, c: 200 * mib } });
    expect(() => check(both, 4)).toThrow('node a has no room to copy slot 4');
  });
});

it('says of each node what it is to a slot, or why it could not take it', () => {
  const zones = { a: { zone: 'x' }, b: { zone: 'y' }, c: { zone: 'y' }, d: {} };
  const map = mapOf(zones, [{ primary: 'a', replicas: ['b'], slots: ['0-7'] }]);
  const rows = explainSlot(map, figuresOf(map, undefined, { away: ['d'] }), 3);
  expect(rows.map(({ node, role }) => [node, role])).toEqual([
    ['a', 'primary'],
    ['b', 'replica'],
    ['c', null],
    ['d', null],
  ]);
  expect(rows[0]!.text).toContain('zone x, 50.0 % of what all nodes hold');
  // Where entries count too, shares are still of one whole.
  const busy = explainSlot(map, figuresOf(map, undefined, { busy: [0, 1] }), 3);
  const shares = busy.map(({ text }) => Number(/([\d.]+) % of what all/.exec(text)![1]));
  expect(shares).toEqual([50, 50, 0, 0]);
  expect(rows[2]!.text).toContain('can take it, but 1 other copies are in its zone');
  expect(rows[3]!.text).toContain('does not answer');
});
