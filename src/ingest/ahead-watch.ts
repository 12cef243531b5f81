/**
 * Refuses revs and times ahead of our clock, and notices when it is our clock that is wrong.
 *
 * A rev from the future would hide every later commit of its repo, so nothing durable may derive
 * from one. When most accounts of a source look ahead at once, our clock is behind: what was
 * refused then must be read again, so no refusal is final before its window has ended.
 */
import { tidMs } from '../atproto/tid.ts';
import type { Clock } from '../base/clock.ts';

/** An event about an account, with the rev of its repo if it is about that. */
export type TimedEvent = { readonly did: string; readonly eventMs: number; readonly rev?: string };
export type AheadReason = 'rev-ahead' | 'time-ahead';

/** How far ahead of our clock a rev or a time may be; the protocol asks for a few minutes. */
export const aheadMsMax = 300_000;
/**
 * From a first refusal to the decision whose clock is wrong: a burst of one host's accounts is few
 * of those that act meanwhile.
 */
const windowMs = 10_000;
/** Our clock is behind when this many accounts look ahead within a window, and most of them do. */
const didsAheadMin = 10;
/** Accounts that one window counts, of each kind. */
const didsCountedMax = 1000;

/** True for a time (ms since 1970) that is refused. */
export function isTimeAhead(timeMs: number, nowMs: number): boolean {
  return timeMs > nowMs + aheadMsMax;
}

/** True for a rev that is refused. */
export function isRevAhead(rev: string, nowMs: number): boolean {
  const revMs = tidMs(rev);
  return revMs !== undefined && isTimeAhead(revMs, nowMs);
}

/** Returns why an event must be refused, or null when it is not ahead. */
export function aheadReasonOf(event: TimedEvent, nowMs: number): AheadReason | null {
  if (isTimeAhead(event.eventMs, nowMs)) return 'time-ahead';
  return event.rev !== undefined && isRevAhead(event.rev, nowMs) ? 'rev-ahead' : null;
}

/** The time by which an event looks ahead. */
function aheadMsOf(event: TimedEvent): number {
  return Math.max(event.eventMs, event.rev === undefined ? 0 : (tidMs(event.rev) ?? 0));
}

type Window = {
  readonly ahead: Set<string>;
  readonly sound: Set<string>;
  leastMs: number;
  readonly ended: Promise<void>;
};

function count(dids: Set<string>, did: string): void {
  if (dids.size < didsCountedMax) dids.add(did);
}

export class AheadWatch {
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #onClockBehind: () => void;
  #window: Window | null = null;
  #behindUntilMs: number | null = null;

  /** `onClockBehind` is called once for each time that our clock is found to be behind. */
  constructor(clock: Clock, signal: AbortSignal, onClockBehind: () => void) {
    this.#clock = clock;
    this.#signal = signal;
    this.#onClockBehind = onClockBehind;
  }

  /** True from the finding until our clock reads later than the earliest of what looked ahead. */
  get isClockBehind(): boolean {
    return this.#behindUntilMs !== null && this.#clock.nowMs() + aheadMsMax < this.#behindUntilMs;
  }

  /** Counts an account that does not look ahead; free while none does. */
  noteSound(did: string): void {
    if (this.#window !== null) count(this.#window.sound, did);
  }

  /**
   * Counts a refused event.
   *
   * Returns: once the refusal is final; never when our clock turns out to be behind.
   */
  noteAhead(event: TimedEvent): Promise<void> {
    const window = this.#window ?? this.#open();
    count(window.ahead, event.did);
    window.leastMs = Math.min(window.leastMs, aheadMsOf(event));
    return window.ended;
  }

  #open(): Window {
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    const window: Window = { ahead: new Set(), sound: new Set(), leastMs: Number.POSITIVE_INFINITY, ended };
    this.#window = window;
    void this.#clock.sleep(windowMs, this.#signal).then(() => {
      if (this.#signal.aborted) return;
      this.#window = null;
      const isBehind = window.ahead.size >= didsAheadMin && window.ahead.size > window.sound.size;
      if (!isBehind) return resolve();
      this.#behindUntilMs = window.leastMs;
      this.#onClockBehind();
    });
    return window;
  }
}
