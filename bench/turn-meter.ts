/** How long a read holds the event loop of the thread that answers it. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { systemClock } from '../src/base/clock.ts';

export type Held = { readonly holdMs: number; readonly totalMs: number };

/** Returns the CPU time of this thread so far, without those that collect garbage beside it. */
function threadMs(): number {
  // Linux counts a thread's time at its clock's ticks, and up to now when the process is asked.
  process.cpuUsage();
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/**
 * Measures what one turn of the event loop takes: its time, or the CPU of its thread if that is
 * less, since other processes lengthen the one.
 */
export class TurnMeter {
  #ms = 0;
  #cpuMs = 0;
  holdMs = 0;
  totalMs = 0;

  turnBegins(): void {
    this.#cpuMs = threadMs();
    this.#ms = systemClock.monotonicMs();
  }

  turnEnded(): void {
    const ms = systemClock.monotonicMs() - this.#ms;
    const turnMs = Math.min(ms, threadMs() - this.#cpuMs);
    this.holdMs = Math.max(this.holdMs, turnMs);
    this.totalMs += turnMs;
  }
}

/**
 * Calls a handler and measures each turn of the event loop until it has answered; `between` is
 * called after each, and not measured.
 */
export async function hold(
  call: () => Uint8Array | Promise<Uint8Array>,
  between: () => void = () => {},
): Promise<Held & { readonly answer: Uint8Array }> {
  const meter = new TurnMeter();
  meter.turnBegins();
  const answer = call();
  meter.turnEnded();
  let isRunning = !(answer instanceof Uint8Array);
  const ended = Promise.resolve(answer).finally(() => {
    isRunning = false;
  });
  while (isRunning) {
    between();
    meter.turnBegins();
    await nextTurn();
    meter.turnEnded();
  }
  return { holdMs: meter.holdMs, totalMs: meter.totalMs, answer: await ended };
}
