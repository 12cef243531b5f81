/** Where a slot reads on in its log on a server, and what keeps it from that. */
import { DataPlaneError } from '../base/data-plane-error.ts';
import type { LogPosition } from './log-position.ts';
import type { LogSession, ReadStart } from './log-session.ts';

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

/** Returns what keeps a replica from going on. */
export function goneError(slot: number): DataPlaneError {
  const message = `the log of slot ${slot} has lost what this replica needs next`;
  return new DataPlaneError('ConfigInvalid', message, { hint: 'It begins again from a snapshot of another node.' });
}

/** Returns whether the stream is the one that was read, and has what was read last. */
export async function isStreamOf(session: LogSession, slot: number, last: LogPosition): Promise<boolean> {
  const stream = session.streamOf(slot);
  if (stream.created !== last.created || stream.lastSeq < last.seq) return false;
  if (last.seq === 0 || last.timeMs === 0) return true;
  return (await session.messageAt(slot, last.seq))?.timeMs === last.timeMs;
}

/** Returns where to read on after a position. */
export function startAfter({ seq, timeMs }: LogPosition): ReadStart {
  if (seq > 0) return { seq: seq + 1 };
  return timeMs > 0 ? { afterMs: timeMs } : { seq: 1 };
}
