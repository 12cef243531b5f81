/** Rows of another format version are refused by name, never read as something else. */

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { cidOfBlock } from '../../../src/atproto/cid.ts';
import { ByteWriter } from '../../../src/base/bytes.ts';
import { encodeEntry } from '../../../src/entry/entry-codec.ts';
import { writeChunk } from '../../../src/log/chunk.ts';
import { Slot } from '../../../src/slot/slot.ts';
import { getActor } from '../../../src/slot/table/actor-row.ts';
import { decodeRecordRow, encodeRecordRow } from '../../../src/slot/table/record-row.ts';
import { SlotState, slotTableNames, slotTables, tableCode } from '../../../src/slot/table/slot-state.ts';
import { Environment } from '../../../src/storage/environment.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';
import { tableOfKey } from '../../support/stored-rows.ts';

const mapBytes = 2 ** 28;
const did = 'did:web:a.example';

it('a slot, an actor and a record of an older version are refused', async () => {
  const folder = makeMemoryFolder('skyshard-version-');
  const path = join(folder, 'slot');
  const slot = Slot.open({ index: 0, slots: 1, path, mapBytes });
  const writer = new ByteWriter(64);
  const items = [encodeEntry({ kind: 'sync', did, rev: 'r1', eventMs: 0 })];
  writeChunk(writer, { slot: 0, origin: null, items, marks: [] });
  slot.run([writer.finish()], 0);
  await slot[Symbol.asyncDispose]();

  const environment = Environment.open({ path, mapBytes, tables: slotTableNames });
  const state = new SlotState(0, environment);
  const owner = state.ownerOf(did)!;
  expect(getActor(state, owner)?.did).toBe(did);
  environment.transact(() => {
    const rows = [...state.rows.scan({ start: Buffer.from([0]), end: Buffer.alloc(8, 255) })];
    // The chunks of another version need not be readable either.
    const log = environment.table(slotTables.log);
    for (const { key } of [...log.scan({ start: Buffer.alloc(6), end: Buffer.alloc(8, 255) })]) {
      log.put(key, Buffer.alloc(64, 255));
    }
    for (const { key, value } of rows) {
      const isVersioned = [tableCode.meta, tableCode.actor].some((table) => tableOfKey(key) === table);
      if (isVersioned) state.rows.put(key, Buffer.concat([Buffer.of(value[0]! - 1), value.subarray(1)]));
    }
  });
  expect(() => getActor(state, owner)).toThrow('an actor row has a known format version');
  await environment.close();
  const opened = (): Slot => Slot.open({ index: 0, slots: 1, path, mapBytes });
  expect(opened).toThrow(/slot holds a slot of format 5, not 6/);
  const hint = expect.stringContaining('Run the version that wrote it');
  expect(opened).toThrow(expect.objectContaining({ code: 'ConfigInvalid', hint }));

  const body = { form: 'json', json: '{}' } as const;
  const row = {
    indexedMs: 0,
    createdMs: null,
    postFlags: 0,
    takedownRef: null,
    cid: cidOfBlock(Buffer.from('block')).bytes,
    body,
  };
  const bytes = encodeRecordRow(row);
  expect(decodeRecordRow(bytes)).toMatchObject({ body });
  bytes[0]! ^= 0x40;
  expect(() => decodeRecordRow(bytes)).toThrow('a record row has a known format version');
  rmSync(folder, { recursive: true });
});
