/** Entry point of the thread that reads all rows of a slot, as they are at one seq. */
import { parentPort, receiveMessageOnPort } from 'node:worker_threads';
import { groupSums, rowsOfGroups } from '../slot/row-groups.ts';
import { readSlotMeta } from '../slot/slot-meta.ts';
import { digestWhile } from '../slot/state-digest.ts';
import { SlotState, slotTableNames, slotTables } from '../slot/table/slot-state.ts';
import { Environment } from '../storage/environment.ts';
import type { GroupsAsked, GroupsRead } from '../wire/slot-verify.ts';
import { doTasks } from './spare-task.ts';
import { type FromVerifyThread, type VerifyTask, verifyOrders } from './verify-task.ts';

/** Longer than a router looks for a seq that all copies are at. */
const waitMsMax = 10_000;
/** Longer than the slowest copy of a slot takes to be read; who started this ends it before. */
const keepMsMax = 3_600_000;
const countEveryRows = 4_096;

function post(message: FromVerifyThread): void {
  parentPort!.postMessage(message);
}

/**
 * Says the digest of a slot, if somebody asks for it, and then what is asked of groups of its rows.
 *
 * Reads in one go of the event loop, or the library would go on in a newer transaction; so it waits
 * for orders in shared memory.
 */
function read(environment: Environment, { slot, order, rowsDone }: VerifyTask): void {
  const state = new SlotState(slot, environment);
  for (;;) {
    environment.refreshReads();
    const { generation, cursor: seq } = readSlotMeta(state);
    // An order to end stays.
    Atomics.compareExchange(order, 0, verifyOrders.open, verifyOrders.wait);
    post({ type: 'opened', generation, seq, rows: environment.table(slotTables.state).rowCount });
    if (Atomics.wait(order, 0, verifyOrders.wait, waitMsMax) === 'timed-out') return;
    const next = Atomics.load(order, 0);
    if (next === verifyOrders.end) return;
    if (next === verifyOrders.read) break;
  }
  let count = 0;
  const digest = digestWhile(state, () => {
    if (++count % countEveryRows !== 0) return true;
    Atomics.store(rowsDone, 0, BigInt(count));
    return Atomics.load(order, 0) !== verifyOrders.end;
  });
  Atomics.store(rowsDone, 0, BigInt(count));
  if (digest === null) return;
  post({ type: 'read', digest });
  readGroups(state, order);
}

/** Reads groups of the rows that were read until it is to end. */
function readGroups(state: SlotState, order: Int32Array): void {
  const goOn = (): boolean => Atomics.load(order, 0) !== verifyOrders.end;
  Atomics.compareExchange(order, 0, verifyOrders.read, verifyOrders.wait);
  while (Atomics.wait(order, 0, verifyOrders.wait, keepMsMax) !== 'timed-out') {
    for (const other of [verifyOrders.open, verifyOrders.read, verifyOrders.groups])
      Atomics.compareExchange(order, 0, other, verifyOrders.wait);
    if (!goOn()) return;
    const received = receiveMessageOnPort(parentPort!) as { readonly message: GroupsAsked } | undefined;
    if (received === undefined) continue;
    const asked = received.message;
    const groups = groupsOf(state, asked, goOn);
    if (groups === null) return;
    post({ type: 'groups', asked, groups });
  }
}

function groupsOf(state: SlotState, { count, pick }: GroupsAsked, goOn: () => boolean): GroupsRead | null {
  if (pick.length === 0) {
    const sums = groupSums(state, count, goOn);
    return sums === null ? null : { sums, rows: [] };
  }
  const rows = rowsOfGroups(state, { count, pick }, goOn);
  return rows === null ? null : { sums: '', rows };
}

async function run(task: VerifyTask): Promise<void> {
  const environment = Environment.open({ path: task.path, mapBytes: task.mapBytes, tables: slotTableNames });
  try {
    read(environment, task);
  } finally {
    await environment.close();
  }
}

doTasks(run);
