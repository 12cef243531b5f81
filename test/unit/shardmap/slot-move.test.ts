/** Moves of slots as changes of the map: what each step makes of it, and what is refused. */
import { describe, expect, it } from 'vitest';
import { digestOf } from '../../../src/shardmap/map-digest.ts';
import type { MapJson } from '../../../src/shardmap/map-follower.ts';
import { parseShardMap, type ShardMap } from '../../../src/shardmap/shard-map.ts';
import {
  afterStep,
  beginMoves,
  type MoveStep,
  type MoveWish,
  moveSteps,
  movesOf,
} from '../../../src/shardmap/slot-move.ts';

const address = { host: '127.0.0.1', port: 1 };
const nodes = { a: address, b: address, c: address };

function jsonOf(shards: readonly object[]): MapJson {
  return { epoch: 1, slots: 8, nodes, shards };
}

const unreplicated = jsonOf([
  { name: 's0', primary: 'a', replicas: [], slots: ['0-3'] },
  { name: 's1', primary: 'b', replicas: [], slots: ['4-7'] },
]);
const replicated = jsonOf([
  { name: 's0', primary: 'a', replicas: ['b'], slots: ['0-3'] },
  { name: 's1', primary: 'b', replicas: ['a'], slots: ['4-7'] },
]);

function begin(json: MapJson, wishes: readonly MoveWish[], limits: Parameters<typeof beginMoves>[3] = {}): MapJson {
  return beginMoves(json, parseShardMap(json), wishes, limits);
}

function step(json: MapJson, what: MoveStep, slots: readonly number[] = []): MapJson {
  return afterStep(json, parseShardMap(json), what, slots);
}

/** Returns where each slot is, such as `a,b` for a primary and its replica. */
function placesOf(map: ShardMap): string[] {
  return Array.from({ length: map.slots }, (_unused, slot) => {
    const { primary, replicas } = map.shards.find(({ slots }) => slots.includes(slot))!;
    return [primary, ...[...replicas].sort()].join();
  });
}

function places(json: MapJson): string[] {
  return placesOf(parseShardMap(json));
}

const toB: MoveWish = { slot: 1, from: 'a', to: 'b' };

describe('a move of a slot', () => {
  it('makes the target a replica, then the primary, then the only copy', () => {
    const begun = begin(unreplicated, [toB], { bytesPerSecond: 500, p99MsMax: 5 });
    expect(begun['epoch']).toBe(2);
    expect(places(begun).slice(0, 3)).toEqual(['a', 'a,b', 'a']);
    expect(movesOf(parseShardMap(begun))).toMatchObject([
      { slots: [1], move: { from: 'a', to: 'b', step: 'copying', isPaused: false, bytesPerSecond: 500, p99MsMax: 5 } },
    ]);
    const handedOver = step(begun, 'hand-over');
    expect(places(handedOver).slice(0, 3)).toEqual(['a', 'b,a', 'a']);
    const dropped = step(handedOver, 'drop');
    expect(places(dropped)).toEqual(['a', 'b', 'a', 'a', 'b', 'b', 'b', 'b']);
    // The slot is of the shard of its new node, and no part is left.
    expect(parseShardMap(dropped).shards.map(({ name, slots }) => [name, slots])).toEqual([
      ['s0', [0, 2, 3]],
      ['s1', [1, 4, 5, 6, 7]],
    ]);
  });

  it('leaves the map as it was when it is cancelled, also after it was reversed', () => {
    const begun = begin(unreplicated, [toB, { slot: 2, from: 'a', to: 'c' }]);
    const cancelled = step(begun, 'cancel');
    const turned = step(step(step(begun, 'hand-over'), 'reverse'), 'cancel');
    for (const json of [cancelled, turned]) {
      const [now, before] = [parseShardMap(json), parseShardMap(unreplicated)];
      expect(digestOf({ ...now, epoch: 1 })).toBe(digestOf(before));
    }
  });

  it('of a replica hands nothing over, and leaves the primary where it is', () => {
    const begun = begin(replicated, [{ slot: 0, from: 'b', to: 'c' }]);
    expect(places(begun)[0]).toBe('a,b,c');
    const kept = step(begun, 'hand-over');
    expect(places(kept)[0]).toBe('a,b,c');
    expect(places(step(kept, 'drop'))[0]).toBe('a,c');
    expect(places(step(step(kept, 'reverse'), 'cancel'))).toEqual(places(replicated));
  });

  it('of a primary with replicas keeps their number', () => {
    const moved = step(step(begin(replicated, [{ slot: 0, from: 'a', to: 'c' }]), 'hand-over'), 'drop');
    expect(places(moved)[0]).toBe('c,b');
  });

  it('takes a whole shard without a part of it', () => {
    const wishes = [0, 1, 2, 3].map((slot) => ({ slot, from: 'a', to: 'c' }));
    expect(parseShardMap(begin(unreplicated, wishes)).shards.map(({ name }) => name)).toEqual(['s1', 's0']);
  });

  it('is paused and resumed for the slots that are named', () => {
    const begun = begin(unreplicated, [toB, { slot: 2, from: 'a', to: 'b' }]);
    const paused = step(begun, 'pause', [2]);
    const isPaused = (json: MapJson, slot: number): boolean | undefined =>
      movesOf(parseShardMap(json)).find(({ slots }) => slots.includes(slot))?.move.isPaused;
    expect([isPaused(paused, 1), isPaused(paused, 2)]).toEqual([false, true]);
    const resumed = step(paused, 'resume');
    expect([isPaused(resumed, 1), isPaused(resumed, 2)]).toEqual([false, false]);
    // They are one group again.
    expect(movesOf(parseShardMap(resumed)).map(({ slots }) => slots)).toEqual([[1, 2]]);
  });

  it('keeps every slot in one shard, whatever steps come after each other', () => {
    let json = begin(
      replicated,
      [0, 1, 4, 5].map((slot) => ({ slot, from: 'a', to: 'c' })),
    );
    for (const [index, what] of (['pause', 'hand-over', 'reverse', 'hand-over', 'drop', 'cancel'] as const).entries()) {
      json = step(json, what, [[0], [1, 4], [1], [0], [4], [1, 5]][index]!);
      // The parser refuses a slot in two shards or in none.
      expect(parseShardMap(json).epoch).toBe(3 + index);
    }
    expect(places(json)).toEqual(['c,a,b', 'a,b', 'a,b', 'a,b', 'b,c', 'b,a', 'b,a', 'b,a']);
  });
});

describe('a move is refused', () => {
  const begun = begin(unreplicated, [toB]);

  it.each([
    [{ slot: 1, from: 'a', to: 'z' }, 'the map has no node "z"'],
    [{ slot: 9, from: 'a', to: 'b' }, 'the map has no slot 9'],
    [{ slot: 1, from: 'c', to: 'b' }, 'node c has no copy of slot 1: its primary is a'],
    [{ slot: 1, from: 'a', to: 'a' }, 'node a is the primary of slot 1 already'],
  ])('%j: %s', (wish, problem) => {
    expect(() => begin(unreplicated, [wish])).toThrow(problem);
  });

  it('to a node that has the slot, of a slot that moves, or twice', () => {
    expect(() => begin(replicated, [toB])).toThrow('node b is a replica of slot 1 already');
    expect(() => begin(begun, [{ ...toB, to: 'c' }])).toThrow('slot 1 is moving already, from a to b');
    expect(() => begin(unreplicated, [toB, { ...toB, to: 'c' }])).toThrow('slot 1 is to move twice');
  });

  it('where its step is not the next one', () => {
    for (const what of moveSteps) expect(() => step(unreplicated, what)).toThrow('no slot is moving');
    expect(() => step(begun, 'drop')).toThrow('are not handed over yet, so there is nothing to drop');
    expect(() => step(begun, 'reverse', [1])).toThrow('there is nothing to reverse');
    expect(() => step(begun, 'cancel', [0])).toThrow('slot 0 is not moving');
    const kept = step(begun, 'hand-over');
    for (const what of ['cancel', 'pause', 'resume', 'hand-over'] as const)
      expect(() => step(kept, what)).toThrow('are handed over already');
  });

  it('by a map in which one of its nodes has no copy', () => {
    const shards = begun['shards'] as readonly Record<string, unknown>[];
    const broken = shards.map((shard) => (shard['move'] === undefined ? shard : { ...shard, replicas: [] }));
    expect(() => parseShardMap({ ...begun, shards: broken })).toThrow('node "b" has no copy of the shard');
  });
});
