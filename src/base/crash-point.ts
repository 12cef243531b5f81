/**
 * Named points at which a crash test kills the process, each with what holds after a restart.
 *
 * Off unless a test arms one for this process. An armed point ends the process with SIGKILL, like a
 * power cut.
 */

export const nodeCrashPoints = [
  /** The transaction is not committed: none of it is visible, and its sender resends it. */
  'slot-after-append',
  /** The batch is committed, unknown to its sender: the resent batch is dropped by rev or mark. */
  'slot-after-commit',
  /** The outbox holds the effects and sends them after the next start. */
  'effects-before-send',
  /** The target has the effects, and so has the outbox: resent ones are dropped by mark. */
  'effects-before-ack',
  /** The ack is not in the source's log: the outbox resends, and another ack follows. */
  'delivered-before-append',
  /** The trim is not committed: the ack is in the log or resent, and the rows are deleted then. */
  'outbox-after-trim',
] as const;

export const compactionCrashPoints = [
  /** The slot's own file is as it was; what is copied of it is removed. */
  'compaction-while-copying',
  /** Likewise, though the copy is whole. */
  'compaction-before-replace',
  /** The new file is in the place of the old one, with the same rows. */
  'compaction-after-replace',
] as const;

export const splitCrashPoints = [
  /** Those who append know of the split, which the slot's log does not have: it is said again. */
  'split-after-note',
  /** The slot has split and waits for its child, whose copy is removed and made again. */
  'split-after-copy',
  /** Likewise, though the child is whole. */
  'split-before-rename',
  /** The child is there, and is served after the start; then its parent goes on. */
  'split-after-rename',
  /** Likewise: the child was read by then. */
  'split-after-open',
] as const;

export const ingestCrashPoints = [
  /** The stored cursor is older than the log: events are received again and change nothing. */
  'cursor-before-store',
  /** The log had acknowledged everything up to the stored cursor: nothing is missing. */
  'cursor-after-store',
  /** Nothing of the batch is durable: cursors, requests and outcomes are unchanged, and recur. */
  'state-before-commit',
  /** The request is durable: the repo is fetched, although the caller got no answer. */
  'fetch-after-request',
  /** The slot has a resync without an end, which removes nothing; the repo is still queued. */
  'resync-after-begin',
  /** Likewise, with part of the records applied; the next fetch begins a new resync. */
  'resync-after-chunk',
  /** The slot has the whole snapshot, but the queue does not know: the repo is fetched again. */
  'resync-after-end',
  /** A page of a host's list is not stored: it is read again, from the previous token. */
  'listing-before-store',
  /** The log has the identity, but the state does not: the DID is resolved again. */
  'identity-before-store',
] as const;

export const mapCrashPoints = [
  /** More than half of the nodes have promised to take the map; it comes with the next push. */
  'map-before-commit',
] as const;

export const fileCrashPoints = [
  /** The new map or run file is next to the old one, which is still the one that is read. */
  'file-before-replace',
] as const;

export type CrashPoint = (
  | typeof nodeCrashPoints
  | typeof compactionCrashPoints
  | typeof splitCrashPoints
  | typeof ingestCrashPoints
  | typeof mapCrashPoints
  | typeof fileCrashPoints
)[number];

let armed: { point: CrashPoint; left: number } | undefined;

/** Arms one point: the process dies when it reaches it for the `nth` time, counted from 1. */
export function armCrashPoint(point: CrashPoint, nth: number): void {
  armed = { point, left: nth };
}

/** Marks a point in the code. Costs one comparison while nothing is armed. */
export function reachCrashPoint(point: CrashPoint): void {
  if (armed === undefined || armed.point !== point) return;
  armed.left--;
  if (armed.left <= 0) process.kill(process.pid, 'SIGKILL');
}
