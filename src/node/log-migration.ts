/**
 * Carries the logs of slots between their folders and a NATS server, while nothing else runs.
 *
 * Owns: the order of the steps of a slot, which may end after any of them and begin again. To a
 * server: a message that holds no entry marks how far the folder has the log, and then the folder
 * says that its log begins after it. To a folder: all that the server has is applied, then the
 * folder says that it has its own log and what the server may still hold, and then that is removed.
 * Refuses: a slot that has not applied its own log, and a log on the server that is another's.
 */
import type { Clock } from '../base/clock.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { encodeEntryChunk } from '../log/chunk.ts';
import { clearLog, lastAppendMs } from '../log/embedded-log.ts';
import { JetStreamLog } from '../log/jetstream-log.ts';
import { putLeftPosition, putPosition, readLeftPosition, readPosition, removePosition } from '../log/log-position.ts';
import type { LogSession } from '../log/log-session.ts';
import type { ReadChunk } from '../log/slot-log.ts';
import { Slot } from '../slot/slot.ts';
import { readSlotMeta } from '../slot/slot-meta.ts';
import { searchQueueMeta } from '../slot/table/search-queue.ts';
import { SlotState, slotTableNames, slotTables } from '../slot/table/slot-state.ts';
import { Environment, type Table } from '../storage/environment.ts';

export const logHomes = ['server', 'folders'] as const;
export type LogHome = (typeof logHomes)[number];

export type SlotPlace = {
  readonly slot: number;
  readonly slots: number;
  readonly path: string;
  readonly mapBytes: number;
};

/** `waiting`: what the server has for the slot that it has not applied. Units: messages. */
export type SlotLogPlan = { readonly home: LogHome; readonly cursor: number; readonly waiting: number };
/** `applied`: entries that were applied on the way. */
export type SlotLogCarried = { readonly cursor: number; readonly applied: number; readonly wasThere: boolean };

const checkEveryMs = 5;

function openEnvironment({ path, mapBytes }: SlotPlace): Environment {
  return Environment.open({ path, mapBytes, tables: slotTableNames });
}

/** Returns where a slot has its log, and what carrying it would do. Changes nothing. */
export async function planSlotLog(place: SlotPlace, session: LogSession): Promise<SlotLogPlan> {
  const environment = openEnvironment(place);
  try {
    const { cursor } = readSlotMeta(new SlotState(place.slot, environment));
    const position = readPosition(environment.table(slotTables.log));
    if (position === undefined) return { home: 'folders', cursor, waiting: 0 };
    const messages = await session.read(place.slot, { seq: position.seq + 1 });
    const waiting = await messages.pending();
    messages.close();
    return { home: 'server', cursor, waiting };
  } finally {
    await environment.close();
  }
}

/** Names the state of a folder, so that only what was carried from it is taken for its mark. */
function markOf({ generation, cursor }: { readonly generation: number; readonly cursor: number }): string {
  return `carried.${generation}.${cursor}`;
}

/**
 * Carries the log of a slot from its folder to a server.
 *
 * Errors: DataPlaneError `ConfigInvalid` naming the slot and what to do, after which nothing has
 * changed; those of the server, after which it may be tried again.
 */
export async function carryToServer(place: SlotPlace, session: LogSession): Promise<SlotLogCarried> {
  const { slot: index, slots, path, mapBytes } = place;
  const environment = openEnvironment(place);
  const isThere = readPosition(environment.table(slotTables.log)) !== undefined;
  const { cursor: cursorThere } = readSlotMeta(new SlotState(index, environment));
  await environment.close();
  if (isThere) return { cursor: cursorThere, applied: 0, wasThere: true };
  const slot = Slot.open({ index, slots, path, mapBytes });
  try {
    if (slot.head > slot.cursor)
      throw new DataPlaneError('ConfigInvalid', `slot ${index} has ${slot.head - slot.cursor} entries to apply`, {
        hint: 'Start its node once without --log, wait for `skyshard settle`, and stop it.',
      });
    const table = slot.environment.table(slotTables.log);
    const { seq, timeMs } = await markOnServer(slot, session, readLeftPosition(table) ?? 0);
    const appendMs = lastAppendMs(table);
    const { created } = session.streamOf(index);
    slot.environment.transact(() => {
      slot.requireOnlyWriter();
      clearLog(table);
      putLeftPosition(table, null);
      putPosition(table, { created, seq, timeMs, appendMs, head: slot.cursor });
    });
    return { cursor: slot.cursor, applied: 0, wasThere: false };
  } finally {
    await slot[Symbol.asyncDispose]();
  }
}

/** Returns the message that marks where the slot's log goes on; publishes it unless it is there. */
async function markOnServer(
  { index, generation, cursor }: Slot,
  session: LogSession,
  leftSeq: number,
): Promise<{ readonly seq: number; readonly timeMs: number }> {
  if (leftSeq > 0) await session.purge(index, leftSeq + 1);
  const token = markOf({ generation, cursor });
  const first = await session.firstOf(index);
  if (first === null) {
    await session.publish(index, encodeEntryChunk(index, []), { token, mustBeFirst: true });
    const mark = await session.firstOf(index);
    if (mark !== null) return mark;
    throw new DataPlaneError('Unavailable', `the log of slot ${index} was removed meanwhile`);
  }
  if (first.token === token) return first;
  throw new DataPlaneError('ConfigInvalid', `the server has a log of slot ${index} that is not this folder's`, {
    hint: `Start with the folder that it belongs to; or, if that is gone for good, remove it: nats stream purge ${session.streamOf(index).name} --subject ${session.subjectOf(index)}`,
  });
}

/**
 * Carries the log of a slot from a server to its folder, and applies what that still has.
 *
 * Errors: as `carryToServer`.
 */
export async function carryToFolder(place: SlotPlace, session: LogSession, clock: Clock): Promise<SlotLogCarried> {
  const { slot: index, slots, path, mapBytes } = place;
  const environment = openEnvironment(place);
  const table = environment.table(slotTables.log);
  const wasThere = readPosition(table) === undefined;
  const isSearched = searchQueueMeta(environment.table(slotTables.search)) !== undefined;
  const { cursor: before } = readSlotMeta(new SlotState(index, environment));
  if (wasThere) {
    try {
      await removeLeft(environment, table, index, session);
      return { cursor: before, applied: 0, wasThere };
    } finally {
      await environment.close();
    }
  }
  await environment.close();
  const log = (logTable: Table, cursor: number): JetStreamLog =>
    new JetStreamLog({
      table: logTable,
      slot: index,
      cursor,
      writer: 'migration',
      nowMs: () => clock.nowMs(),
      note: () => {},
    });
  const slot = Slot.open({ index, slots, path, mapBytes, isSearched, log });
  try {
    await applyAll(slot, session, clock);
    const logTable = slot.environment.table(slotTables.log);
    const seq = readPosition(logTable)!.seq;
    if ((await session.lastSeqOf(index)) > seq) throw appendedMeanwhile(index);
    slot.environment.transact(() => {
      slot.requireOnlyWriter();
      removePosition(logTable);
      putLeftPosition(logTable, seq);
    });
    await removeLeft(slot.environment, logTable, index, session);
    return { cursor: slot.cursor, applied: slot.cursor - before, wasThere };
  } finally {
    await slot[Symbol.asyncDispose]();
  }
}

/** Applies all that the server has of a slot's log; what that causes elsewhere is in its outbox. */
async function applyAll(slot: Slot, session: LogSession, clock: Clock): Promise<void> {
  const log = slot.log as JetStreamLog;
  const following = log
    .follow(session, {
      isPrimary: () => true,
      pause: async () => {},
      opened: () => null,
      tailLost: () => lostTail(slot.index),
      slots: slot.slots,
      replicas: () => [],
      mayBeginLate: false,
    })
    .catch((thrown: unknown) => thrown as Error);
  const stop = new AbortController();
  const ended = following.then((error) => {
    stop.abort();
    return error ?? log.refusal;
  });
  while (log.problem !== null && !stop.signal.aborted) await clock.sleep(checkEveryMs, stop.signal);
  for (;;) {
    await log.refresh();
    if (stop.signal.aborted)
      throw (await ended) ?? new DataPlaneError('Unavailable', `the log of slot ${slot.index} cannot be read`);
    const nowMs = clock.nowMs();
    if (log.readableBytes > 0 || slot.canRun) applySome(slot, log.read(2 * slot.batchBytes), nowMs);
    else if (log.readableEntries === 0) break;
    else await clock.sleep(checkEveryMs, stop.signal);
  }
  log.close();
  await following;
}

function applySome(slot: Slot, chunks: readonly ReadChunk[], nowMs: number): void {
  const { outcomes } = slot.apply(chunks, nowMs);
  slot.log.putBack(chunks.slice(outcomes.length));
}

function lostTail(slot: number): never {
  throw new DataPlaneError('ConfigInvalid', `the server has lost what slot ${slot} had applied of its log`, {
    hint: 'Start its node once with --log, which begins a new generation, and repair the slot.',
  });
}

function appendedMeanwhile(slot: number): DataPlaneError {
  return new DataPlaneError('ConfigInvalid', `entries of slot ${slot} were appended meanwhile`, {
    hint: 'Stop ingest and every node of the cluster, and run this again.',
  });
}

/** Removes from the server what a slot has left there, all of which is applied. */
async function removeLeft(environment: Environment, table: Table, index: number, session: LogSession): Promise<void> {
  const left = readLeftPosition(table);
  if (left === undefined) return;
  await session.purge(index, left + 1);
  if ((await session.firstOf(index)) !== null) throw appendedMeanwhile(index);
  environment.transact(() => putLeftPosition(table, null));
}
