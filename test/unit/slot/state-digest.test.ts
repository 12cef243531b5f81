/** What the digest of a state is: two versions of this program must agree about it. */
import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { expect, it } from 'vitest';
import { digestOf, digestWhile } from '../../../src/slot/state-digest.ts';
import { SlotState, slotTableNames } from '../../../src/slot/table/slot-state.ts';
import { Environment } from '../../../src/storage/environment.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';

it('it is the hash of all rows, each after its lengths, however long they are', async () => {
  const path = makeMemoryFolder('skyshard-digest-');
  const environment = Environment.open({ path, mapBytes: 2 ** 28, tables: slotTableNames });
  const state = new SlotState(0, environment);
  const lengths = [0, 1, 4_096, 65_528, 65_529, 200_000, 3, 60_000, 20_000, ...Array<number>(3_000).fill(40)];
  const rows = lengths.map((length, index) => ({
    key: Buffer.from(`key ${String(index).padStart(6, '0')}`),
    value: Buffer.alloc(length, index % 251),
  }));
  environment.transact(() => {
    for (const { key, value } of rows) state.rows.put(key, value);
  });
  const hash = createHash('sha256');
  for (const { key, value } of rows) {
    const head = Buffer.alloc(8);
    head.writeUInt32BE(key.length, 0);
    head.writeUInt32BE(value.length, 4);
    hash.update(head).update(key).update(value);
  }
  expect(digestOf(state)).toBe(hash.digest('hex'));
  let asked = 0;
  expect(digestWhile(state, () => ++asked < 5)).toBeNull();
  expect(asked).toBe(5);
  await environment.close();
  rmSync(path, { recursive: true });
});
