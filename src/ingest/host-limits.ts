/**
 * What we may ask of one host: how many requests at once, how many a second, and until when none.
 *
 * Owns: the turn of each request. A host that answers 429 is left alone until the time that it
 * names.
 */
import type { IncomingHttpHeaders } from 'node:http';
import pLimit, { type LimitFunction } from 'p-limit';
import type { Clock } from '../base/clock.ts';

/** The limits, the same for every host. */
export type HostLimitOptions = {
  readonly clock: Clock;
  readonly concurrencyMax: number;
  readonly requestsPerSecond: number;
};

type HostTurns = {
  readonly limit: LimitFunction;
  /** Monotonic time before which no request starts. */
  nextStartMs: number;
};

const hostsMax = 20_000;
const pauseDefaultMs = 30_000;
const pauseMaxMs = 900_000;

/** Gives turns, host by host. */
export class HostLimits {
  readonly #options: HostLimitOptions;
  readonly #turnsByHost = new Map<string, HostTurns>();

  constructor(options: HostLimitOptions) {
    this.#options = options;
  }

  #turnsOf(host: string): HostTurns {
    const known = this.#turnsByHost.get(host);
    if (known !== undefined) return known;
    if (this.#turnsByHost.size >= hostsMax) this.#evictIdle();
    const turns: HostTurns = { limit: pLimit(this.#options.concurrencyMax), nextStartMs: 0 };
    this.#turnsByHost.set(host, turns);
    return turns;
  }

  #evictIdle(): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (const [host, { limit, nextStartMs }] of this.#turnsByHost) {
      if (limit.activeCount + limit.pendingCount === 0 && nextStartMs <= nowMs) this.#turnsByHost.delete(host);
    }
  }

  /**
   * Runs `task` when it is this host's turn.
   *
   * Returns: what it returns, or undefined when the signal aborted first.
   */
  run<Result>(host: string, signal: AbortSignal, task: () => Promise<Result>): Promise<Result | undefined> {
    const turns = this.#turnsOf(host);
    return turns.limit(async () => {
      await this.#pace(turns, signal);
      return signal.aborted ? undefined : await task();
    });
  }

  async #pace(turns: HostTurns, signal: AbortSignal): Promise<void> {
    const { clock, requestsPerSecond } = this.#options;
    const startMs = Math.max(clock.monotonicMs(), turns.nextStartMs);
    turns.nextStartMs = startMs + 1000 / requestsPerSecond;
    const waitMs = startMs - clock.monotonicMs();
    if (waitMs > 0) await clock.sleep(waitMs, signal);
  }

  /** Leaves a host alone for a while. Units: milliseconds from now. */
  pause(host: string, durationMs: number): void {
    const turns = this.#turnsOf(host);
    const untilMs = this.#options.clock.monotonicMs() + Math.min(durationMs, pauseMaxMs);
    turns.nextStartMs = Math.max(turns.nextStartMs, untilMs);
  }

  /**
   * Returns for how long the host must still be left alone, 0 when it need not. Units:
   * milliseconds.
   */
  pausedMs(host: string): number {
    const turns = this.#turnsByHost.get(host);
    return turns === undefined ? 0 : Math.max(0, turns.nextStartMs - this.#options.clock.monotonicMs());
  }
}

/**
 * Reads from a 429 or 503 answer how long to wait: Retry-After in seconds or as a date, or
 * `ratelimit-reset` in seconds since 1970.
 */
export function retryAfterMs(headers: IncomingHttpHeaders, nowMs: number): number {
  const after = headers['retry-after'];
  if (after !== undefined) {
    const seconds = Number(after);
    if (Number.isFinite(seconds)) return Math.max(0, seconds * 1000);
    const dateMs = Date.parse(after);
    if (Number.isFinite(dateMs)) return Math.max(0, dateMs - nowMs);
  }
  const resetSec = Number(headers['ratelimit-reset']);
  return Number.isFinite(resetSec) ? Math.max(0, resetSec * 1000 - nowMs) : pauseDefaultMs;
}
