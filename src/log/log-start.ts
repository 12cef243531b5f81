/** Where a slot reads on in its log on a server, and what keeps it from that. */
import { DataPlaneError } from '../base/data-plane-error.ts';
import { invariant } from '../base/invariant.ts';
import type { LogMessage } from './log-message.ts';
import type { LogPosition } from './log-position.ts';
import type { LogSession, ReadStart } from './log-session.ts';
import { isLateMs } from './log-trimmer.ts';
import type { WholeCheck } from './whole-messages.ts';

/** What the slot itself appends when its log is opened, if it is the primary. */
export type SlotEntries = {
  /** Only a primary founds a log, opens it, and begins a generation. */
  isPrimary(): boolean;
  /** Resolves after a moment, when a replica looks again for a log that has not begun. */
  pause(): Promise<void>;
  /** The chunk that says that this process has opened the slot; null for a replica. */
  opened(): Uint8Array | null;
  /** The chunk that says that the slot's log lost its tail. */
  tailLost(): Uint8Array;
  /** The number of slots of which the slot is one. */
  readonly slots: number;
  /** Nodes that have copies of the slot, by the map. */
  replicas(): readonly string[];
  /** True when the slot may begin without the beginning of its log. */
  readonly mayBeginLate: boolean;
};

/** Returns the refusal of a slot whose log is not on a server. */
export function embeddedError(slot: number): DataPlaneError {
  const hint =
    'Start it without --log, as before; or stop the whole cluster, and carry its log over with `skyshard log migrate server` and this --log.';
  return new DataPlaneError('ConfigInvalid', `slot ${slot} has its log in its folder, not on a server`, { hint });
}

/** True for a slot that has nothing of its log yet. */
export function isAtBeginning({ head, timeMs }: LogPosition): boolean {
  return head === 0 && timeMs === 0;
}

/** True for the child of a split, which has a state and nothing of a log of its own. */
export function isBeforeLog({ head, timeMs }: LogPosition): boolean {
  return head > 0 && timeMs === 0;
}

/** Returns what keeps a replica from going on. */
export function goneError(slot: number): DataPlaneError {
  const message = `the log of slot ${slot} has lost what this replica needs next`;
  return new DataPlaneError('ConfigInvalid', message, { hint: 'It begins again from a snapshot of another node.' });
}

/** Returns whether the stream is the one that was read, and has what was read last. */
export async function isStreamOf(session: LogSession, slot: number, last: LogPosition): Promise<boolean> {
  // A slot that came after the connect, from elsewhere, may have read what came after it, too.
  if (session.streamOf(slot).lastSeq < last.seq) await session.lookAtStream(slot);
  const stream = session.streamOf(slot);
  if (stream.created !== last.created || stream.lastSeq < last.seq) return false;
  if (isBeforeLog(last)) return (await session.firstOf(slot))?.isFirst ?? true;
  if (last.seq === 0 || last.timeMs === 0) return true;
  return (await session.messageAt(slot, last.seq))?.timeMs === last.timeMs;
}

/** Returns whether the log of a slot still has all after a message, or from its beginning on. */
export async function isWholeAfter(
  session: LogSession,
  slot: number,
  { seq, timeMs }: Pick<LogPosition, 'seq' | 'timeMs'>,
): Promise<boolean> {
  if (timeMs === 0) return (await session.firstOf(slot))?.isFirst === true;
  return seq === 0 || (await session.messageAt(slot, seq))?.timeMs === timeMs;
}

/** What a replica receives late counts only once nothing is missing before it. */
export function wholeCheck(session: LogSession, slot: number, entries: SlotEntries, nowMs: () => number): WholeCheck {
  return {
    // Nobody but the primary itself removes what it has not read.
    isLate: ({ timeMs }) => !entries.isPrimary() && nowMs() - timeMs > isLateMs,
    isWholeAfter: (last) => isWholeAfter(session, slot, last),
    goneError: () => goneError(slot),
  };
}

/** Returns what is said of a log that is not what a slot has read of it. */
export function restartNote(slot: number, last: LogPosition, created: string): string {
  const what = created === last.created ? 'has lost what was applied' : 'is another one than before';
  return `the log of slot ${slot} ${what}: the slot goes on in a new generation`;
}

/** Returns where to read on after a position. */
export function startAfter({ seq, timeMs }: LogPosition): ReadStart {
  if (seq > 0) return { seq: seq + 1 };
  return timeMs > 0 ? { afterMs: timeMs } : { seq: 1 };
}

/**
 * Founds the log of a slot that has nothing of it, or finds its beginning. `waits` is called while
 * a replica waits for the primary to found it.
 *
 * Returns: the position before the first message. Errors: DataPlaneError `ConfigInvalid` where the
 * log has lost its beginning.
 */
export async function beginLog(
  session: LogSession,
  slot: number,
  entries: SlotEntries,
  waits: (problem: string) => void,
): Promise<LogPosition> {
  const first = await firstOf(session, slot, entries, waits);
  const { created } = session.streamOf(slot);
  const before = (seq: number): LogPosition => ({ created, seq: seq - 1, timeMs: 0, appendMs: 0, head: 0 });
  const { slots: foundedOf } = entries;
  // One that began with fewer slots, or goes on from a split, does not say all that the slot has.
  const isWhole = first?.isFirst === true && first.foundedOf === foundedOf;
  if (!entries.isPrimary()) {
    if (first === null || !isWhole) throw goneError(slot);
    return before(first.seq);
  }
  const opened = entries.opened();
  invariant(opened !== null, 'a slot without a log is not opened yet');
  if (first === null) return before(await session.publish(slot, opened, { isFirst: true, foundedOf }));
  if (isWhole) {
    await session.publish(slot, opened);
    return before(first.seq);
  }
  if (entries.mayBeginLate) return before(await session.publish(slot, opened));
  const message = `slot ${slot} is empty, and its log has lost its beginning`;
  const begin = `start once with --begin-again ${slot}, then run \`skyshard repair slot ${slot}\`.`;
  const replicas = entries.replicas();
  if (replicas.length > 0) {
    const hint = `Make a replica (${replicas.join(', ')}) the primary by \`skyshard promote --all-from <this node>\`, and start this node again: it is filled from a copy. If they have lost it too, ${begin}`;
    throw new DataPlaneError('ConfigInvalid', message, { hint });
  }
  throw new DataPlaneError('ConfigInvalid', message, {
    hint: `Put back the folder of slot ${slot}; or ${begin}`,
  });
}

/** Returns the first message. A replica waits until there is one, which its primary appends. */
export async function firstOf(
  session: LogSession,
  slot: number,
  entries: SlotEntries,
  waits: (problem: string) => void,
): Promise<LogMessage | null> {
  for (;;) {
    const first = await session.firstOf(slot);
    if (first !== null || entries.isPrimary()) return first;
    waits('the log has not begun: its primary has not started yet');
    await entries.pause();
  }
}
