/** Entry point of the thread that reads all rows of a slot, as they are at one seq. */
import { parentPort, workerData } from 'node:worker_threads';
import { readSlotMeta } from '../slot/slot-meta.ts';
import { digestWhile } from '../slot/state-digest.ts';
import { SlotState, slotTableNames, slotTables } from '../slot/table/slot-state.ts';
import { Environment } from '../storage/environment.ts';
import { type FromVerifyThread, type VerifyTask, verifyOrders } from './verify-task.ts';

/** Longer than a router looks for a seq that all copies are at. */
const waitMsMax = 10_000;
const countEveryRows = 4_096;

function post(message: FromVerifyThread): void {
  parentPort!.postMessage(message);
}

/**
 * Returns the digest of a slot, or null where nobody has asked for it.
 *
 * Reads in one go of the event loop, or the library would go on in a newer transaction; so it waits
 * for orders in shared memory.
 */
function read(environment: Environment, { slot, order, rowsDone }: VerifyTask): string | null {
  const state = new SlotState(slot, environment);
  for (;;) {
    environment.refreshReads();
    const { generation, cursor: seq } = readSlotMeta(state);
    // An order to end stays.
    Atomics.compareExchange(order, 0, verifyOrders.open, verifyOrders.wait);
    post({ type: 'opened', generation, seq, rows: environment.table(slotTables.state).rowCount });
    if (Atomics.wait(order, 0, verifyOrders.wait, waitMsMax) === 'timed-out') return null;
    const next = Atomics.load(order, 0);
    if (next === verifyOrders.end) return null;
    if (next === verifyOrders.read) break;
  }
  let count = 0;
  const digest = digestWhile(state, () => {
    if (++count % countEveryRows !== 0) return true;
    Atomics.store(rowsDone, 0, BigInt(count));
    return Atomics.load(order, 0) !== verifyOrders.end;
  });
  Atomics.store(rowsDone, 0, BigInt(count));
  return digest;
}

async function run(task: VerifyTask): Promise<void> {
  const environment = Environment.open({ path: task.path, mapBytes: task.mapBytes, tables: slotTableNames });
  try {
    const digest = read(environment, task);
    if (digest !== null) post({ type: 'read', digest });
  } finally {
    await environment.close();
  }
}

await run(workerData as VerifyTask);
