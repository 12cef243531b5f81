/** A slot never gives out more owner numbers than its keys can hold. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ByteWriter } from '../../../src/base/bytes.ts';
import { DataPlaneError } from '../../../src/base/data-plane-error.ts';
import { encodeEntry } from '../../../src/entry/entry-codec.ts';
import { writeChunk } from '../../../src/log/chunk.ts';
import { Slot } from '../../../src/slot/slot.ts';
import { getActor } from '../../../src/slot/table/actor-row.ts';
import { ownersMax } from '../../../src/slot/table/slot-state.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';

const nowMs = Date.UTC(2025, 0, 1);
const [first, last, tooMany] = ['a', 'b', 'c'].map((letter) => `did:plc:${letter.repeat(24)}`) as [
  string,
  string,
  string,
];

let folder = '';
let slot: Slot;
beforeEach(() => {
  folder = makeMemoryFolder('skyshard-owners-');
  slot = Slot.open({ index: 0, slots: 1, path: join(folder, 'slot'), mapBytes: 2 ** 28 });
});
afterEach(async () => {
  await slot[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** Sends events of these accounts to the slot, in one transaction. */
function sendEventsOf(...dids: readonly string[]): void {
  const items = dids.map((did) => encodeEntry({ kind: 'account', did, active: true, status: '', eventMs: nowMs }));
  const writer = new ByteWriter(1024);
  writeChunk(writer, { slot: 0, origin: null, items, marks: [] });
  slot.run([writer.finish()], nowMs);
}

it('a slot that has used its last owner number refuses new accounts and still serves its own', () => {
  sendEventsOf(first);
  slot.state.resetOwners(ownersMax - 1);
  sendEventsOf(last);
  expect(slot.state.ownerOf(last)).toBe(ownersMax - 1);
  const { cursor } = slot;
  for (let time = 0; time < 2; time++) {
    expect(() => sendEventsOf(first, tooMany)).toThrow(
      expect.objectContaining({
        constructor: DataPlaneError,
        code: 'StorageFull',
        hint: expect.stringContaining('more slots'),
      }),
    );
    expect(slot.cursor).toBe(cursor);
    expect(slot.state.ownerOf(tooMany)).toBeUndefined();
  }
  sendEventsOf(first, last);
  expect(slot.cursor).toBe(cursor + 2);
  expect(getActor(slot.state, ownersMax - 1)).toBeDefined();
});
