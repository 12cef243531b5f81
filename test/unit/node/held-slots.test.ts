/** What a node does about slots when its disk is full. */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { ActingSlots } from '../../../src/node/acting-slots.ts';
import { slotPath } from '../../../src/node/data-folder.ts';
import { HeldSlots, type HeldSlotsOptions } from '../../../src/node/held-slots.ts';
import { noteMoves } from '../../../src/node/moved-slots.ts';
import { noteSlotsMade } from '../../../src/node/slot-folders.ts';
import { parseShardMap } from '../../../src/shardmap/shard-map.ts';
import { afterStep, beginMoves } from '../../../src/shardmap/slot-move.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';
import { fillDisk, mountSmallDisk, unmountDisk } from '../../support/small-disk.ts';
import { until } from '../../support/until.ts';

const address = { host: '127.0.0.1', port: 1 };
const start = {
  epoch: 1,
  slots: 4,
  nodes: { a: address, b: address },
  shards: [{ name: 's0', primary: 'a', replicas: [], slots: ['0-3'] }],
};
const begun = beginMoves(start, parseShardMap(start), [{ slot: 1, from: 'a', to: 'b' }]);
const kept = afterStep(begun, parseShardMap(begun), 'hand-over', []);
const dropped = parseShardMap(afterStep(kept, parseShardMap(kept), 'drop', []));

it('a full disk keeps a slot that is given up, and ends nothing; it goes once there is room', async ({ skip }) => {
  const dataDir = makeMemoryFolder('skyshard-held-');
  const problem = mountSmallDisk(dataDir, 4);
  if (problem !== null) {
    rmSync(dataDir, { recursive: true });
    skip(problem);
  }
  const [notes, failures] = [[] as string[], [] as Error[]];
  const none = { leave: async () => {} };
  const held = new HeldSlots({
    name: 'a',
    dataDir,
    map: () => dropped,
    // All others are open.
    readers: { bySlot: new Map([0, 2, 3].map((slot) => [slot, {}])) },
    rebuilds: { ...none, copied: [] },
    acting: new ActingSlots(),
    fail: (error: Error) => void failures.push(error),
    note: (message: string) => void notes.push(message),
    clock: { ...systemClock, sleep: (_ms: number, signal?: AbortSignal) => systemClock.sleep(10, signal) },
  } as unknown as HeldSlotsOptions);
  try {
    for (const slot of [0, 1, 2, 3]) {
      mkdirSync(slotPath(dataDir, slot), { recursive: true });
      writeFileSync(join(slotPath(dataDir, slot), 'data.mdb'), 'rows');
    }
    noteSlotsMade(dataDir, [0, 1, 2, 3]);
    noteMoves(dataDir, parseShardMap(kept), 'a');
    const filler = join(dataDir, 'filler');
    fillDisk(filler, 0);
    held.follow();
    const waits = (): boolean => notes.some((note) => note.startsWith('slots wait to be opened or given up'));
    await until(waits, 10_000).catch(() => expect(failures).toEqual([]));
    expect(existsSync(slotPath(dataDir, 1))).toBe(true);
    rmSync(filler);
    await until(() => !existsSync(slotPath(dataDir, 1)), 10_000);
    expect([0, 2, 3].every((slot) => existsSync(slotPath(dataDir, slot)))).toBe(true);
    expect(failures).toEqual([]);
  } finally {
    await held[Symbol.asyncDispose]();
    unmountDisk(dataDir);
    rmSync(dataDir, { recursive: true });
  }
});
