/** What a slot owes after a delivery, whatever the transactions in which it was written. */
import { rmSync } from 'node:fs';
import { afterEach, expect, it } from 'vitest';
import { digestOf } from '../../../src/slot/state-digest.ts';
import { Outbox } from '../../../src/slot/table/outbox.ts';
import { SlotState, slotTableNames, slotTables } from '../../../src/slot/table/slot-state.ts';
import { Environment } from '../../../src/storage/environment.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';

const target = 3;
const effect = { type: 'resend-begin' } as const;

type Step = { readonly add: number } | { readonly trim: number };
const steps: readonly Step[] = [
  { add: 10 },
  { add: 11 },
  { trim: 11 },
  { add: 20 },
  { add: 30 },
  { trim: 20 },
  { add: 40 },
];

const open: { readonly environment: Environment; readonly folder: string }[] = [];
afterEach(async () => {
  for (const { environment, folder } of open.splice(0)) {
    await environment.close();
    rmSync(folder, { recursive: true, force: true });
  }
});

/** Does the steps in transactions of so many. Returns what is owed, and the digest of the state. */
function owedAfter(stepsPerTransaction: number): object {
  const folder = makeMemoryFolder('skyshard-outbox-');
  const environment = Environment.open({ path: folder, mapBytes: 2 ** 28, tables: slotTableNames });
  open.push({ environment, folder });
  const state = new SlotState(0, environment);
  const outbox = new Outbox(environment.table(slotTables.outbox), state);
  for (let at = 0; at < steps.length; at += stepsPerTransaction) {
    environment.transact(() => {
      for (const step of steps.slice(at, at + stepsPerTransaction)) {
        if ('add' in step) outbox.add(target, step.add, effect);
        else outbox.trim(target, step.trim);
      }
      outbox.flush();
    });
  }
  const again = new Outbox(environment.table(slotTables.outbox), state);
  const batches = [...again.batches(target)];
  return {
    owed: batches.flatMap(({ marks }) => marks),
    before: batches[0]?.previousMark,
    lastMark: again.lastMark(target),
    counts: [outbox.owedCount, again.owedCount],
    deliveredMark: [outbox.deliveredMark !== null, again.deliveredMark !== null],
    digest: digestOf(state),
  };
}

it('is the same in one transaction as in many', () => {
  const one = owedAfter(1);
  expect(one).toMatchObject({ owed: [30, 40], before: 20, lastMark: 40, counts: [2, 2] });
  for (const count of [2, 3, 5, steps.length]) expect(owedAfter(count), `${count} steps a transaction`).toEqual(one);
});
