/**
 * Limits on the requests to one host: concurrency, rate, and pauses.
 *
 * Owns: when each request may start. A host that answers 429 gets no request until the time that it
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
  /** Returns the operator's own limit for a host, or null. */
  readonly requestsPerSecondOf?: (host: string) => number | null;
};

type HostState = {
  readonly limit: LimitFunction;
  /** Monotonic time before which no request starts. */
  nextStartMs: number;
};

const hostsMax = 20_000;
const pauseDefaultMs = 30_000;
const pauseMaxMs = 900_000;

export class HostLimits {
  readonly #options: HostLimitOptions;
  readonly #stateByHost = new Map<string, HostState>();

  constructor(options: HostLimitOptions) {
    this.#options = options;
  }

  #stateOf(host: string): HostState {
    const known = this.#stateByHost.get(host);
    if (known !== undefined) return known;
    if (this.#stateByHost.size >= hostsMax) this.#evictIdle();
    const state: HostState = { limit: pLimit(this.#options.concurrencyMax), nextStartMs: 0 };
    this.#stateByHost.set(host, state);
    return state;
  }

  #evictIdle(): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (const [host, { limit, nextStartMs }] of this.#stateByHost) {
      if (limit.activeCount + limit.pendingCount === 0 && nextStartMs <= nowMs) this.#stateByHost.delete(host);
    }
  }

  /**
   * Runs `task` when the host's limits allow it.
   *
   * Returns: its result, or undefined when the signal aborted first.
   */
  run<Result>(host: string, signal: AbortSignal, task: () => Promise<Result>): Promise<Result | undefined> {
    const state = this.#stateOf(host);
    return state.limit(async () => {
      await this.#pace(host, state, signal);
      return signal.aborted ? undefined : await task();
    });
  }

  async #pace(host: string, state: HostState, signal: AbortSignal): Promise<void> {
    const { clock, requestsPerSecondOf } = this.#options;
    const requestsPerSecond = requestsPerSecondOf?.(host) ?? this.#options.requestsPerSecond;
    const startMs = Math.max(clock.monotonicMs(), state.nextStartMs);
    state.nextStartMs = startMs + 1000 / requestsPerSecond;
    const waitMs = startMs - clock.monotonicMs();
    if (waitMs > 0) await clock.sleep(waitMs, signal);
  }

  /** Starts no request to a host for this long. */
  pause(host: string, durationMs: number): void {
    const state = this.#stateOf(host);
    const untilMs = this.#options.clock.monotonicMs() + Math.min(durationMs, pauseMaxMs);
    state.nextStartMs = Math.max(state.nextStartMs, untilMs);
  }

  /** Returns how long the host is still paused, 0 when it is not. */
  pausedMs(host: string): number {
    const state = this.#stateByHost.get(host);
    return state === undefined ? 0 : Math.max(0, state.nextStartMs - this.#options.clock.monotonicMs());
  }
}

/** Reads the delay from a 429 or 503: Retry-After or, in seconds since 1970, `ratelimit-reset`. */
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
