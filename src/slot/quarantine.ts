/**
 * Where entries go that cannot be applied, so that one of them stops nothing.
 *
 * Owns: the limits, who is suspended, when the defect must be ours and the slot stops. All of it is
 * decided by the log and its append times, so that replicas agree.
 */
import { recordUri } from '../atproto/compact-key.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { invariant } from '../base/invariant.ts';
import type { Entry, SentEffect } from '../entry/entry.ts';
import {
  getQuarantined,
  getQuarantinedDid,
  getQuarantineState,
  putQuarantined,
  putQuarantinedDid,
  putQuarantinedItem,
  putQuarantineState,
  type QuarantinedEntry,
  type QuarantineId,
  type QuarantineState,
  quarantinedDids,
  quarantinedEntries,
  removeQuarantined,
} from './table/quarantine-row.ts';
import type { SlotState } from './table/slot-state.ts';

/** Entries of one DID that are kept; with the last of them its input is suspended. */
export const entriesPerDidMax = 3;
/** Entries of this many DIDs within the window mean that the defect is ours. */
export const quarantinedDidsMax = 20;
const stopWindowMs = 3_600_000;
/** A slot that keeps this much stops. */
const quarantineRowsMax = 1_000;
const quarantineBytesMax = 64 * 2 ** 20;
/** The version of the apply rules; a slot that stopped under an older one starts again. */
export const applyVersion = 1;

/** What is about a repo's content; all else of a suspended DID is applied. */
const suspendedKinds: ReadonlySet<Entry['kind']> = new Set([
  'commit',
  'sync',
  'resync-begin',
  'resync-chunk',
  'resync-end',
  'imported',
  'effect',
]);

/** Returns the DID that an effect is counted for: that of its author. */
function authorOf(effect: SentEffect): string {
  switch (effect.type) {
    case 'edge':
    case 'notice':
    case 'notice-takedown':
    case 'verified-by':
      return effect.source.did;
    case 'thread':
    case 'gate-question':
    case 'gate-answer':
      return effect.reply.did;
    case 'post-exists':
    case 'verdict':
      return effect.post.did;
    case 'handle-claim':
    case 'handle-loss':
      return effect.did;
    case 'resend-begin':
    case 'resend-end':
    case 'split':
      return '';
  }
}

/** Returns the DID that an entry is counted for, or an empty text. */
export function didOf(entry: Entry): string {
  if (entry.kind === 'effect') return authorOf(entry.effect);
  return 'did' in entry ? entry.did : '';
}

/** Returns the record whose state an effect carries, or an empty text. */
function recordOf(entry: Entry): string {
  if (entry.kind !== 'effect') return '';
  const { effect } = entry;
  if (effect.type === 'thread') return recordUri(effect.reply);
  return 'source' in effect ? recordUri(effect.source) : '';
}

/** What is set aside. */
export type Failure = Pick<QuarantinedEntry, 'seq' | 'appendMs' | 'origin' | 'kind' | 'did' | 'reason' | 'stack'> & {
  readonly entry: Entry | null;
  readonly item: Buffer;
};

export class Quarantine {
  readonly #state: SlotState;
  #suspended: ReadonlySet<string> = new Set();
  /** Effects that are kept, by their record. */
  #idsByRecord: ReadonlyMap<string, readonly QuarantineId[]> = new Map();
  #row: QuarantineState;
  keptCount = 0;
  #keptBytes = 0;

  constructor(state: SlotState) {
    this.#state = state;
    this.#row = getQuarantineState(state);
    this.reload();
  }

  /** Reads what is kept, at open and after an aborted transaction. */
  reload(): void {
    this.#row = getQuarantineState(this.#state);
    const kept = quarantinedEntries(this.#state);
    this.keptCount = kept.length;
    this.#keptBytes = kept.reduce((bytes, row) => bytes + row.bytes, 0);
    this.#suspended = new Set(
      quarantinedDids(this.#state)
        .filter(({ isSuspended }) => isSuspended)
        .map(({ did }) => did),
    );
    const idsByRecord = new Map<string, QuarantineId[]>();
    for (const { record, isSuperseded, seq, part } of kept) {
      if (record === '' || isSuperseded) continue;
      const ids = idsByRecord.get(record) ?? [];
      idsByRecord.set(record, ids);
      ids.push({ seq, part });
    }
    this.#idsByRecord = idsByRecord;
  }

  get suspendedCount(): number {
    return this.#suspended.size;
  }

  /** When the slot stopped applying; 0 while it applies. Units: ms. */
  get stoppedMs(): number {
    return this.#row.stoppedMs;
  }

  /** Errors: DataPlaneError `ApplyStopped`, unless an operator has decided, or is about to. */
  requireApplying(isDecisionNext: () => boolean): void {
    const { stoppedMs, mayStartAgain } = this;
    if (stoppedMs === 0 || mayStartAgain || isDecisionNext()) return;
    const since = new Date(stoppedMs).toISOString();
    throw new DataPlaneError('ApplyStopped', `slot ${this.#state.index} has stopped applying at ${since}`);
  }

  /** True when `passes` may be true of an entry: nearly never. */
  get isActive(): boolean {
    return this.keptCount > 0;
  }

  /**
   * Returns true for an entry that is passed unapplied, since its DID is suspended, and counts it.
   * An effect that is to be applied supersedes those of its record that are kept.
   */
  passes(entry: Entry): boolean {
    if (!suspendedKinds.has(entry.kind)) return false;
    const did = didOf(entry);
    if (this.#suspended.has(did)) {
      const row = getQuarantinedDid(this.#state, did);
      putQuarantinedDid(this.#state, { ...row, skippedCount: row.skippedCount + 1 });
      return true;
    }
    const ids = this.#idsByRecord.get(recordOf(entry));
    if (ids === undefined) return false;
    for (const id of ids) {
      const kept = getQuarantined(this.#state, id);
      if (kept !== undefined) putQuarantined(this.#state, { ...kept, isSuperseded: true });
    }
    this.reload();
    return false;
  }

  /** Keeps what failed. Returns true when this suspends its DID. */
  setAside({ entry, item, ...failure }: Failure): boolean {
    const { did, seq } = failure;
    const same = quarantinedEntries(this.#state).filter((row) => row.seq === seq);
    const isWork = entry === null;
    const part = isWork ? 1 + Math.max(0, ...same.map((row) => row.part)) : 0;
    const record = entry === null ? '' : recordOf(entry);
    const bytes = item.length;
    putQuarantined(this.#state, { ...failure, part, record, isSuperseded: false, bytes });
    putQuarantinedItem(this.#state, { seq, part }, item);
    let isSuspended = false;
    if (did !== '') {
      const row = getQuarantinedDid(this.#state, did);
      isSuspended = row.isSuspended || row.keptCount + 1 >= entriesPerDidMax;
      putQuarantinedDid(this.#state, { ...row, keptCount: row.keptCount + 1, isSuspended });
    }
    this.reload();
    if (this.#mustStop(failure.appendMs)) this.#put({ ...this.#row, stoppedMs: Math.max(1, failure.appendMs) });
    return isSuspended;
  }

  #mustStop(nowMs: number): boolean {
    if (this.keptCount >= quarantineRowsMax || this.#keptBytes >= quarantineBytesMax) return true;
    const sinceMs = Math.max(this.#row.windowMs, nowMs - stopWindowMs);
    const recent = quarantinedEntries(this.#state).filter(({ appendMs }) => appendMs >= sinceMs);
    return new Set(recent.map(({ did }) => did)).size >= quarantinedDidsMax;
  }

  #put(row: Omit<QuarantineState, 'applyVersion'>): void {
    putQuarantineState(this.#state, { ...row, applyVersion });
    this.#row = { ...row, applyVersion };
  }

  /** True when a newer version of the rules is to try what an older one stopped at. */
  get mayStartAgain(): boolean {
    return this.#row.stoppedMs > 0 && this.#row.applyVersion < applyVersion;
  }

  /** Starts a slot again that has stopped. DIDs count from now on. */
  start(nowMs: number): void {
    if (this.#row.stoppedMs > 0) this.#put({ stoppedMs: 0, windowMs: nowMs + 1 });
  }

  /**
   * Removes what is kept under an id.
   *
   * Returns: the DID that nothing is kept of any more, with what was skipped of it, else null.
   */
  remove(id: QuarantineId): { readonly did: string; readonly skippedCount: number } | null {
    const kept = getQuarantined(this.#state, id);
    invariant(kept !== undefined, 'what is removed from quarantine is there');
    removeQuarantined(this.#state, id);
    let released = null;
    if (kept.did !== '') {
      const row = getQuarantinedDid(this.#state, kept.did);
      const keptCount = Math.max(0, row.keptCount - 1);
      putQuarantinedDid(this.#state, { ...row, keptCount });
      if (keptCount === 0) released = { did: kept.did, skippedCount: row.skippedCount };
    }
    this.reload();
    return released;
  }
}
