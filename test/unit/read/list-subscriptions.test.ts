/** The lists that an actor mutes are those since its last clear, however many that cleared. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { listSubscriptionsMax, mutedListsOf } from '../../../src/read/lookup/list-subscriptions.ts';
import { Turn } from '../../../src/read/lookup/turn.ts';
import { putListMute } from '../../../src/slot/table/mute.ts';
import { addClear } from '../../../src/slot/table/mute-clears.ts';
import { SlotState, slotTableNames } from '../../../src/slot/table/slot-state.ts';
import { Environment } from '../../../src/storage/environment.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';

const owner = 1;
const turn = new Turn(new ManualClock());

function mutedCount(state: SlotState): number {
  const read = mutedListsOf(state, owner, turn).next();
  return read.done ? read.value.count : -1;
}

it('shows a new mute while those that were cleared before it are still stored', async () => {
  const folder = makeMemoryFolder('skyshard-list-mutes-');
  const environment = Environment.open({ path: join(folder, 'slot'), mapBytes: 2 ** 26, tables: slotTableNames });
  try {
    const state = new SlotState(0, environment);
    const mute = (rkey: string): void => {
      const did = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa';
      environment.transact(() => putListMute(state, owner, { did, collection: 'app.bsky.graph.list', rkey }));
    };
    expect(mutedCount(state)).toBe(0);
    for (let index = 0; index < 1.5 * listSubscriptionsMax; index++) mute(`a${String(index).padStart(5, '0')}`);
    expect(mutedCount(state)).toBe(listSubscriptionsMax);
    environment.transact(() => addClear(state, owner, 'list'));
    expect(mutedCount(state)).toBe(0);
    mute('z00000');
    expect(mutedCount(state)).toBe(1);
  } finally {
    await environment.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
