/** Counts of new actors are written once for a transaction, and not at all for one that aborts. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { countNewActor, countPart, flushNewActors, partsOfRange } from '../../../src/slot/table/new-actors.ts';
import { SlotState, slotTableNames } from '../../../src/slot/table/slot-state.ts';
import { Environment } from '../../../src/storage/environment.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';

const startMs = Date.UTC(2025, 2, 1);
const minuteMs = 60_000;
const dayMs = 1440 * minuteMs;

let folder = '';
let environment: Environment;
let state: SlotState;

beforeEach(() => {
  folder = makeMemoryFolder('skyshard-new-actors-');
  environment = Environment.open({ path: join(folder, 'slot'), mapBytes: 2 ** 26, tables: slotTableNames });
  state = new SlotState(0, environment);
});

afterEach(async () => {
  await environment.close();
  rmSync(folder, { recursive: true, force: true });
});

function count(fromMs: number, toMs: number): number {
  return partsOfRange(fromMs, toMs).reduce((sum, part) => sum + countPart(state, part).count, 0);
}

function inOneTransaction(changes: readonly (readonly [seenMs: number, change: 1 | -1])[]): void {
  environment.transact(() => {
    for (const [seenMs, change] of changes) countNewActor(state, seenMs, change);
    flushNewActors(state);
  });
}

it('counts those of many minutes, hours and days that one transaction brings', () => {
  const seen = Array.from({ length: 3_000 }, (_unused, index) => startMs + index * 97_000);
  inOneTransaction(seen.map((ms) => [ms, 1]));
  for (const [fromMs, toMs] of [
    [startMs, startMs + 4 * dayMs],
    [startMs + 7 * minuteMs, startMs + 8 * minuteMs],
    [startMs + 59 * minuteMs, startMs + dayMs + 61 * minuteMs],
  ] as const) {
    expect(count(fromMs, toMs)).toBe(seen.filter((ms) => ms >= fromMs && ms < toMs).length);
  }
});

it('keeps no row of a time whose actors are all gone, whichever transaction they go in', () => {
  inOneTransaction([
    [startMs, 1],
    [startMs + minuteMs, 1],
    [startMs, -1],
  ]);
  expect(count(startMs, startMs + minuteMs)).toBe(0);
  expect(count(startMs, startMs + dayMs)).toBe(1);
  inOneTransaction([[startMs + minuteMs, -1]]);
  expect([...state.rows.scanKeys({ start: Buffer.alloc(4), end: Buffer.alloc(8, 255) })]).toEqual([]);
});

it('counts nobody of a transaction that aborts', () => {
  countNewActor(state, startMs, 1);
  state.resetOwners(1);
  inOneTransaction([]);
  expect(count(startMs, startMs + dayMs)).toBe(0);
});
