/**
 * Named points at which a crash test kills the process, each with what holds after a restart.
 *
 * Off unless a test arms one for this process; reaching an armed point ends the process as a power
 * cut would, with SIGKILL.
 */

/** Points of an apply thread. */
export const nodeCrashPoints = [
  /** The transaction is not committed: nothing of it is there, and its sender sends it again. */
  'slot-after-append',
  /**
   * The batch is on disk whole and its sender does not know: what comes again is dropped by rev or
   * mark.
   */
  'slot-after-commit',
  /** The outbox holds the effects and sends them at the next start. */
  'effects-before-send',
  /**
   * The target has the effects and the outbox still owes them: what comes again is dropped by its
   * mark.
   */
  'effects-before-ack',
  /** The ack is not in the source's log: the outbox sends again, and another ack comes. */
  'delivered-before-append',
  /** The trim is not committed: the ack is in the log or comes again, and the rows go then. */
  'outbox-after-trim',
] as const;

/** Points of ingest. */
export const ingestCrashPoints = [
  /** The stored cursor is older than the log: those events come again and change nothing. */
  'cursor-before-store',
  /** The log had acknowledged everything up to the stored cursor: nothing is missing. */
  'cursor-after-store',
  /**
   * Nothing of the batch is on disk: cursors, requests and outcomes are as they were, and come
   * again.
   */
  'state-before-commit',
  /** The request is on disk: the repo is fetched although nobody heard that it was accepted. */
  'fetch-after-request',
  /** The slot has a resync without an end, which removes nothing; the repo is still queued. */
  'resync-after-begin',
  /** Likewise, with part of the records in place; the next fetch begins a resync anew. */
  'resync-after-chunk',
  /** The slot has the whole snapshot and the queue does not know: the repo is fetched once more. */
  'resync-after-end',
  /** A page of a host's list is not stored: it is read again, from the token before it. */
  'listing-before-store',
  /** The log has the identity and the state does not: the DID is resolved once more. */
  'identity-before-store',
] as const;

/** Points of the command line. */
export const fileCrashPoints = [
  /** The new map or run file lies beside the old one, which is what everybody still reads. */
  'file-before-replace',
] as const;

export type CrashPoint = (typeof nodeCrashPoints | typeof ingestCrashPoints | typeof fileCrashPoints)[number];

let armed: { point: CrashPoint; left: number } | undefined;

/** Arms one point: the process dies when it is reached for the `nth` time, counted from 1. */
export function armCrashPoint(point: CrashPoint, nth: number): void {
  armed = { point, left: nth };
}

/** Marks a point in the code. Costs one comparison while nothing is armed. */
export function reachCrashPoint(point: CrashPoint): void {
  if (armed === undefined || armed.point !== point) return;
  armed.left--;
  if (armed.left <= 0) process.kill(process.pid, 'SIGKILL');
}
