/** Time and sleep, injected so that tests control them. Only `base/` reads the clock directly. */
export interface Clock {
  /** Milliseconds since 1970. */
  nowMs(): number;
  /** For durations. */
  monotonicMs(): number;
  /** Resolves after `durationMs`, or at once when `signal` aborts. */
  sleep(durationMs: number, signal?: AbortSignal): Promise<void>;
}

/** The machine's clock, for processes; tests pass their own. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: (durationMs, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const finish = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', finish);
        resolve();
      };
      const timer = setTimeout(finish, durationMs);
      signal?.addEventListener('abort', finish, { once: true });
    }),
};
