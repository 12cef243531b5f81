/**
 * What a slot appends to its own log: that it was opened, and steps of long work and of resends.
 *
 * Where the log is in the folder, the slot's transactions append it; where it is on a server, what
 * runs the slot appends it like everything else, and it counts once it is read.
 */
import type { ContinueEntry } from '../entry/entry.ts';
import type { LifecycleEntry, OpenedEntry } from '../entry/lifecycle-entry.ts';
import { encodeEntryChunk } from '../log/chunk.ts';
import type { ReadChunk } from '../log/slot-log.ts';
import { hasOwnWork, type SlotMeta } from './slot-meta.ts';

/** How a process opens a slot. */
export type Opening = Omit<OpenedEntry, 'kind'>;

export type OwnEntriesOptions = {
  readonly index: number;
  readonly meta: SlotMeta;
  readonly canResend: () => boolean;
};

export class OwnEntries {
  readonly #options: OwnEntriesOptions;
  /** The session that is still to begin, if any. */
  #opening: Opening | undefined;
  /** The session that this process has begun last, if any. */
  #session: number | null = null;
  #isReplica = false;

  /** `opening` is the session that the slot's first run begins. */
  constructor(options: OwnEntriesOptions, opening: Opening | undefined) {
    this.#options = options;
    this.#opening = opening;
  }

  get isOpened(): boolean {
    return this.#opening === undefined;
  }

  /**
   * True while this process acts for the slot: it alone sends effects and appends such entries. In
   * a log on a server, the opening by another process ends that.
   */
  get acts(): boolean {
    if (this.#isReplica || !this.isOpened) return false;
    return this.#session === null || this.#options.meta.sessions.at(-1)?.id === this.#session;
  }

  get isReplica(): boolean {
    return this.#isReplica;
  }

  /** Begins a session: this process is to act once the log says so. */
  open(opening: Opening): void {
    this.#opening = opening;
    this.#isReplica = false;
  }

  /** Leaves it to another process to act. */
  follow(): void {
    this.#opening = undefined;
    this.#isReplica = true;
  }

  /** Called once a transaction is on disk, with whether it has appended the opening. */
  committed(hasAppended: boolean): void {
    const opening = this.#opening;
    if (opening === undefined) return;
    const { sessions } = this.#options.meta;
    if (!hasAppended && sessions.findLast(({ id }) => id === opening.session) === undefined) return;
    this.#session = opening.session;
    this.#opening = undefined;
  }

  /** Returns the chunks that a transaction appends before all else. */
  chunks(isIdle: boolean, appendMs: number): ReadChunk[] {
    const { index } = this.#options;
    const opened: LifecycleEntry[] = this.#opening === undefined ? [] : [{ kind: 'opened', ...this.#opening }];
    return [...opened, ...this.#steps(isIdle)].map((entry) => ({
      bytes: encodeEntryChunk(index, [entry]),
      appendMs,
      onOutcome: () => {},
      position: 0,
    }));
  }

  /** A busy slot's entries go on with long work themselves. */
  #steps(isIdle: boolean): (LifecycleEntry | ContinueEntry)[] {
    const { meta, canResend } = this.#options;
    const steps: (LifecycleEntry | ContinueEntry)[] = [];
    if (isIdle && hasOwnWork(meta)) steps.push({ kind: 'continue' });
    if (canResend()) steps.push({ kind: 'resend-step' });
    return steps;
  }

  /** Returns what lets an idle slot go on whose log is on a server, if anything. */
  nextChunk(): Uint8Array | null {
    if (!this.acts) return null;
    const steps = this.#steps(true);
    return steps.length === 0 ? null : encodeEntryChunk(this.#options.index, steps);
  }

  /** Returns what says in a log on a server that the slot is opened; null once it does. */
  openedChunk(): Uint8Array | null {
    if (this.#opening === undefined) return null;
    return encodeEntryChunk(this.#options.index, [{ kind: 'opened', ...this.#opening }]);
  }
}
