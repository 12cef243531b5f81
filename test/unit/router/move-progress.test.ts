/** How far moves are, as nodes say of their slots. */
import { expect, it } from 'vitest';
import { type LookedNode, moveProgress } from '../../../src/router/move-progress.ts';
import { parseShardMap, type ShardMap } from '../../../src/shardmap/shard-map.ts';

function mapOf(step: 'copying' | 'kept', isPaused = false): ShardMap {
  const address = { host: '127.0.0.1', port: 1 };
  const [primary, replicas] = step === 'kept' ? ['b', ['a']] : ['a', ['b']];
  return parseShardMap({
    epoch: 3,
    slots: 2,
    nodes: { a: address, b: address },
    shards: [
      { name: 's0', primary: 'a', slots: ['0'] },
      { name: 's1', primary, replicas, slots: ['1'], move: { from: 'a', to: 'b', step, isPaused } },
    ],
  });
}

const copy = { slot: 1, cursor: 900, bytes: 4_096, behindMs: 0, log: null };
const source: LookedNode = { name: 'a', slots: [{ ...copy, cursor: 1_000 }] };
const fetch = { slot: 1, from: 'a', bytes: 4_000, bytesDone: 1_000, problem: '', slowedMs: null };

it.each([
  ['no answer', { name: 'b', error: 'refused' }, 'copying', 'b does not answer; the move goes on once it runs', null],
  ['no copy yet', { name: 'b', fetches: [{ ...fetch, bytes: 0 }] }, 'copying', 'waits for its copy', null],
  ['a copy on its way', { name: 'b', fetches: [fetch] }, 'copying', 'its copy arrives', null],
  [
    'a slow copy',
    { name: 'b', fetches: [{ ...fetch, slowedMs: 7.114 }] },
    'copying',
    'its copy arrives, slowly: reads at a take 7.11 ms',
    null,
  ],
  ['none to have', { name: 'b', fetches: [{ ...fetch, problem: 'disk full' }] }, 'copying', 'disk full', null],
  ['a map of before', { name: 'b' }, 'copying', 'b has not taken the map yet', null],
  ['no log', { name: 'b', slots: [{ ...copy, log: 'no server' }] }, 'copying', 'no server', null],
  ['a log', { name: 'b', slots: [{ ...copy, behindMs: 7_000 }] }, 'reading', 'reads its log, 7000 ms behind', 100],
  ['all', { name: 'b', slots: [copy] }, 'ready', 'in step', 100],
] as const)('says of a target with %s how far it is', (_what, target, phase, state, entriesBehind) => {
  const [progress, ...others] = moveProgress(mapOf('copying'), [source, target]);
  expect(others).toEqual([]);
  expect(progress).toMatchObject({ slot: 1, from: 'a', to: 'b', phase, state, entriesBehind, slotBytes: 4_096 });
  expect(progress!.bytesDone).toBe('fetches' in target ? 1_000 : 0);
});

it('knows a move that is paused, and one that is handed over', () => {
  const paused = moveProgress(mapOf('copying', true), [source, { name: 'b', fetches: [fetch] }]);
  expect(paused).toMatchObject([{ phase: 'paused', state: 'paused' }]);
  const nodes = [{ name: 'b', slots: [{ ...copy, cursor: 1_000 }] }, source];
  expect(moveProgress(mapOf('kept'), nodes)).toMatchObject([
    { phase: 'kept', entriesBehind: 0, state: 'handed over, the old copy in step' },
  ]);
  expect(moveProgress(mapOf('kept'), [nodes[0]!])).toMatchObject([
    { phase: 'kept', state: 'a does not answer; the move goes on once it runs' },
  ]);
});
