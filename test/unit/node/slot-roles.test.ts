/** A primary that was replaced opens its slot again, unless a newer map makes it a replica. */
import { expect, it } from 'vitest';
import { SlotRoles } from '../../../src/node/slot-roles.ts';
import { parseShardMap } from '../../../src/shardmap/shard-map.ts';
import { OwnEntries } from '../../../src/slot/own-entries.ts';
import type { Slot } from '../../../src/slot/slot.ts';
import type { SlotMeta } from '../../../src/slot/slot-meta.ts';

const cluster = 'c'.repeat(32);

/** A slot whose log is on a server, of which this process is to be the primary. */
function roles() {
  const meta = { sessions: [] as { id: number }[], works: 0 };
  const opening = (session: number) => ({ session, generation: 1, condition: 'complete' as const, cluster });
  const own = new OwnEntries({ index: 0, meta: meta as unknown as SlotMeta, canResend: () => false }, opening(1));
  const happened: string[] = [];
  const slot = { index: 0, own } as Slot;
  let session = 1;
  const slotRoles = new SlotRoles({
    node: 'a',
    slots: () => [slot],
    opening: () => opening(++session),
    open: () => happened.push(`opens ${session}`),
    onActing: (_slot, acts) => happened.push(acts ? 'acts' : 'acts no more'),
    onReplaced: () => happened.push('is replaced'),
  });
  const commit = (...sessions: number[]): string[] => {
    happened.length = 0;
    meta.sessions.push(...sessions.map((id) => ({ id })));
    own.committed(false);
    slotRoles.look(slot);
    return [...happened];
  };
  const map = parseShardMap({
    epoch: 1,
    slots: 1,
    nodes: { a: { host: '127.0.0.1', port: 1 } },
    shards: [{ name: 's', primary: 'a', slots: ['0'] }],
  });
  const useMap = (): string[] => {
    happened.length = 0;
    slotRoles.useMap(map);
    return [...happened];
  };
  const leave = (): string[] => {
    happened.length = 0;
    slotRoles.leave(slot);
    return [...happened];
  };
  return { commit, useMap, leave };
}

it.each([
  ['in the commit of its own opening', [[1, 77]]],
  ['in a later commit', [[1], [77]]],
])('a primary whose slot another process opens %s asks for a map once, and opens it again', (_when, commits) => {
  const { commit, useMap } = roles();
  const happened = commits.flatMap((sessions) => commit(...sessions));
  expect(happened.at(-1)).toBe('is replaced');
  expect(commit()).toEqual([]);
  expect(useMap()).toEqual(['opens 2']);
  expect(commit(2)).toEqual(['acts']);
  expect(commit(78)).toEqual(['acts no more', 'is replaced']);
});

it('a primary acts no more once its slot is given up', () => {
  const { commit, leave } = roles();
  expect(commit(1)).toEqual(['acts']);
  expect(leave()).toEqual(['acts no more']);
  expect(leave()).toEqual([]);
});
