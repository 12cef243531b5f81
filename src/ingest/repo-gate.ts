/**
 * The only path of a repo's entries into the log; it can hold them while a snapshot is fetched.
 *
 * Owns: the live entries that a hold queues, their limit, and their order. Beyond the limit the
 * hold ends by itself: the entries follow in order, and the fetch is void and must be repeated.
 */

import { inputLimits } from '../atproto/input-limits.ts';
import { invariant } from '../base/invariant.ts';
import type { AccountEntry, CommitEntry, Entry, SyncEntry } from '../entry/entry.ts';
import type { LogAppender } from '../log/log-appender.ts';

export type LiveEntry = CommitEntry | SyncEntry | AccountEntry;

/**
 * Units: entries and bytes of one repo; bytes over all repos, which are fewer than those that pause
 * a source, so that a host that is slow to send a repo does not pause it.
 */
export type RepoGateLimits = {
  readonly entriesMax: number;
  readonly repoBytesMax: number;
  readonly bytesMax: number;
};
export const repoGateLimits: RepoGateLimits = {
  entriesMax: 2000,
  repoBytesMax: 8_388_608,
  bytesMax: inputLimits.messagesHeldBytesMax / 2,
};
/** About what an entry without ops takes. */
const entryBytesMin = 200;

type HeldEntry = {
  readonly entry: LiveEntry;
  readonly bytes: number;
  readonly resolve: (appended: Promise<void>) => void;
};

/** A hold on one repo. It ends with `release`, or by itself when it `isVoid`. */
export type RepoHold = {
  /** True after the limit was exceeded: live entries went out, so the fetch must be repeated. */
  readonly isVoid: boolean;
  /**
   * Appends the held entries in order, without those that a snapshot at `revHeld` (inclusive; null
   * for none) contains. Those resolve with `snapshot`, its append.
   */
  release(revHeld: string | null, snapshot: Promise<void>): void;
};

class Hold implements RepoHold {
  held: HeldEntry[] | null = [];
  bytes = 0;
  isVoid = false;
  readonly #end: (hold: Hold, revHeld: string | null, snapshot: Promise<void>) => void;

  constructor(end: (hold: Hold, revHeld: string | null, snapshot: Promise<void>) => void) {
    this.#end = end;
  }

  release(revHeld: string | null, snapshot: Promise<void>): void {
    this.#end(this, revHeld, snapshot);
  }
}

export class RepoGate {
  readonly #appender: LogAppender;
  readonly #limits: RepoGateLimits;
  readonly #holdByDid = new Map<string, Hold>();
  #heldBytes = 0;

  constructor(appender: LogAppender, limits: RepoGateLimits = repoGateLimits) {
    this.#appender = appender;
    this.#limits = limits;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /**
   * Appends an entry in its repo's order. `bytes` are those of its message, which stays in memory
   * while it waits.
   *
   * Returns: once it, or a snapshot that contains it, is durable.
   */
  append(entry: LiveEntry, bytes = entryBytesMin): Promise<void> {
    const hold = this.#holdByDid.get(entry.did);
    if (hold === undefined || hold.held === null) return this.#appender.append(entry.did, entry);
    const held = hold.held;
    const appended = new Promise<void>((resolve) => held.push({ entry, bytes, resolve }));
    this.#heldBytes += bytes;
    hold.bytes += bytes;
    const { entriesMax, repoBytesMax, bytesMax } = this.#limits;
    if (held.length > entriesMax || hold.bytes > repoBytesMax || this.#heldBytes > bytesMax) {
      hold.isVoid = true;
      this.#end(entry.did, hold, null, Promise.resolve());
    }
    return appended;
  }

  /** Appends part of a snapshot, bypassing the hold. */
  appendSnapshot(did: string, entry: Entry): Promise<void> {
    return this.#appender.append(did, entry);
  }

  /** Holds the live entries of a repo from now on. At most one hold per repo. */
  hold(did: string): RepoHold {
    invariant(!this.#holdByDid.has(did), 'a repo is held once at a time');
    const hold = new Hold((ended, revHeld, snapshot) => this.#end(did, ended, revHeld, snapshot));
    this.#holdByDid.set(did, hold);
    return hold;
  }

  #end(did: string, hold: Hold, revHeld: string | null, snapshot: Promise<void>): void {
    const held = hold.held;
    if (held === null) return;
    hold.held = null;
    this.#holdByDid.delete(did);
    for (const { entry, bytes, resolve } of held) {
      this.#heldBytes -= bytes;
      const isContained = revHeld !== null && entry.kind !== 'account' && entry.rev <= revHeld;
      resolve(isContained ? snapshot : this.#appender.append(did, entry));
    }
  }
}
