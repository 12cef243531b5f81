/** What a slot that is to split refuses, and does not copy in vain. */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { DataPlaneError } from '../../../src/base/data-plane-error.ts';
import { type ChunkOutcome, encodeEntryChunk } from '../../../src/log/chunk.ts';
import { ApplyQueue } from '../../../src/node/apply-queue.ts';
import { SlotCompactor } from '../../../src/node/slot-compactor.ts';
import { splitSlot } from '../../../src/node/slot-split.ts';
import { slotOf } from '../../../src/shardmap/slot-of.ts';
import { unfinishedPath } from '../../../src/slot/child-slot.ts';
import { applyVersion } from '../../../src/slot/quarantine.ts';
import { Slot } from '../../../src/slot/slot.ts';
import { putQuarantineState } from '../../../src/slot/table/quarantine-row.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';
import { fillDisk, mountSmallDisk, unmountDisk } from '../../support/small-disk.ts';
import { until } from '../../support/until.ts';

const stays = [0, 1, 2, 3].map((number) => `did:web:n${number}.example`).find((did) => slotOf(did, 2) === 0)!;

let folder: string;
let slot: Slot;
let queue: ApplyQueue;
let compactor: SlotCompactor;

function openSlot(): void {
  slot = Slot.open({ index: 0, slots: 1, path: join(folder, 'parent'), mapBytes: 2 ** 28, canSplit: true });
  queue = new ApplyQueue([slot], { clock: systemClock, lingerMs: 1, onBatches: () => {}, onCommit: () => {} });
}

beforeEach(() => {
  folder = makeMemoryFolder('skyshard-slot-split-');
  compactor = new SlotCompactor({ clock: systemClock, quietMs: 0, onReplaced: () => {}, note: () => {} });
  openSlot();
});

afterEach(async () => {
  await compactor.close();
  await queue.close();
  rmSync(folder, { recursive: true, force: true });
});

function split(childPath: string): Promise<unknown> {
  const parts = { queue, compactor, clock: systemClock, signal: new AbortController().signal };
  return splitSlot(parts, slot, { slots: 2, childPath }).then(
    () => 'done',
    (thrown: unknown) => (thrown instanceof DataPlaneError ? thrown.code : thrown),
  );
}

function append(rev: string): Promise<ChunkOutcome> {
  const bytes = encodeEntryChunk(0, [{ kind: 'sync', did: stays, rev, eventMs: 0 }]);
  return new Promise((onOutcome) => queue.add(0, { bytes, entryCount: 1, onOutcome }, 0));
}

it('one that has stopped applying is not copied, however often it is tried', async () => {
  slot.run([], 1);
  slot.environment.transact(() =>
    putQuarantineState(slot.state, { stoppedMs: Date.UTC(2025, 0, 1), windowMs: 0, applyVersion }),
  );
  await queue.close();
  openSlot();
  const childPath = join(folder, 'child');
  // The first thing that a copy does is to remove what an earlier one has left.
  mkdirSync(unfinishedPath(childPath));
  writeFileSync(join(unfinishedPath(childPath), 'left'), '');
  expect([await split(childPath), await split(childPath)]).toEqual(['ApplyStopped', 'ApplyStopped']);
  expect(existsSync(join(unfinishedPath(childPath), 'left'))).toBe(true);
});

it('one whose child has no room refuses writes until it has, and takes them then', async ({ skip }) => {
  const disk = join(folder, 'disk');
  mkdirSync(disk);
  const problem = mountSmallDisk(disk, 4);
  if (problem !== null) skip(problem);
  try {
    const filler = join(disk, 'filler');
    fillDisk(filler, 0);
    expect(await append('r1')).toMatchObject({ status: 'durable' });
    slot.run([encodeEntryChunk(0, [{ kind: 'split', slots: 2 }])], 1);
    const childPath = join(disk, 'child');
    const early = append('r2');
    expect(await split(childPath)).toBe('StorageFull');
    const refused = { status: 'refused', code: 'StorageFull' };
    expect([await early, await append('r2')]).toMatchObject([refused, refused]);
    expect(queue.status()).toMatchObject([{ state: 'full', isDividing: true }]);
    rmSync(filler);
    expect(await split(childPath)).toBe('done');
    slot.childIsMade();
    queue.wake(0);
    await until(() => queue.status()[0]!.state === 'applying');
    expect(await append('r2')).toMatchObject({ status: 'durable' });
  } finally {
    unmountDisk(disk);
  }
});
