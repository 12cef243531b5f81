/**
 * Decides whether calls to slots may run under the shard map of this process.
 *
 * Owns: what a call waits for. A call that carries a newer epoch waits until the newer map is asked
 * for, so that no push makes calls fail. A process that stood still asks before it answers: others
 * may have taken its slots meanwhile.
 */
import type { Clock } from '../base/clock.ts';
import { callsOfAnyMap } from './node-calls.ts';

export type MapGateOptions = {
  /** Of the map in force. */
  readonly epoch: () => number;
  /** Takes the newer epoch of a call. Returns what to wait for, or null. */
  readonly saw: (epoch: number) => Promise<void> | null;
  /** Asks for a newer map. Returns what to wait for, or null. */
  readonly check: () => Promise<unknown> | null;
  /** Returns why calls to slots are refused with `WrongEpoch`, or null. */
  readonly refusal: () => string | null;
  readonly clock: Clock;
};

const tickMs = 500;
/** A thread that did nothing for longer may have missed a change of the map. */
const stoodStillMsMax = 3_000;

export class MapGate implements Disposable {
  readonly #options: MapGateOptions;
  readonly #timer: NodeJS.Timeout;
  #tickMs: number;
  #waking: Promise<void> | null = null;

  constructor(options: MapGateOptions) {
    this.#options = options;
    this.#tickMs = options.clock.monotonicMs();
    this.#timer = setInterval(() => void this.#tick(), tickMs);
    this.#timer.unref();
  }

  /** Returns why a call is refused with `WrongEpoch`, or null. */
  refusalOf(method: string): string | null {
    // First, since it is usual.
    const refusal = this.#options.refusal();
    return refusal === null || callsOfAnyMap.has(method) ? null : refusal;
  }

  /** Returns what a call must wait for before it runs, or null. */
  waitOf(method: string, callerEpoch: number, nowMs: number): Promise<void> | null {
    const isNewer = callerEpoch > this.#options.epoch();
    const stoodStill = nowMs - this.#tickMs > stoodStillMsMax;
    if (!isNewer && !stoodStill && this.#waking === null) return null;
    const newer = isNewer ? this.#options.saw(callerEpoch) : null;
    if (stoodStill) this.#tick();
    const wait = newer ?? this.#waking;
    return callsOfAnyMap.has(method) ? null : wait;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    const nowMs = this.#options.clock.monotonicMs();
    const stoodStill = nowMs - this.#tickMs > stoodStillMsMax;
    this.#tickMs = nowMs;
    const check = stoodStill ? this.#options.check() : null;
    if (check === null) return;
    const waking = check.then(
      () => {},
      () => {},
    );
    this.#waking = waking;
    void waking.finally(() => {
      if (this.#waking === waking) this.#waking = null;
    });
  }
}
