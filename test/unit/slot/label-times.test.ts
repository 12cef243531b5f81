/** A label's times are served as its labeler signed them, whatever their year. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { labelsOf, labelsPrefix, putLabel } from '../../../src/slot/table/label.ts';
import { SlotState, slotTableNames } from '../../../src/slot/table/slot-state.ts';
import { Environment } from '../../../src/storage/environment.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';

const did = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa';
const src = 'did:plc:bbbbbbbbbbbbbbbbbbbbbbbb';
const cts = '2025-01-02T03:04:05.678Z';

it.each([
  '2030-01-01T00:00:00.000Z',
  '8919-01-01T00:00:00.000Z',
  '9999-12-31T23:59:59.000Z',
  '0000-01-01T00:00:00.000Z',
  '2030-01-01T00:00:00Z',
  '9999-12-31T23:59:59+02:00',
])('such as %s', async (exp) => {
  const folder = makeMemoryFolder('skyshard-label-times-');
  const environment = Environment.open({ path: join(folder, 'slot'), mapBytes: 2 ** 26, tables: slotTableNames });
  try {
    const state = new SlotState(0, environment);
    environment.transact(() =>
      putLabel(state, 1, { subject: { did, record: null }, src, cid: '', val: 'x', neg: false, cts, exp }),
    );
    const prefix = labelsPrefix(1, null);
    expect([...labelsOf(state, prefix, prefix.length, 10)]).toMatchObject([{ val: 'x', cts, exp }]);
  } finally {
    await environment.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
