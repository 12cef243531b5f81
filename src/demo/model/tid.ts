/** Timestamp identifiers: 13 characters whose order is their time order. */

const alphabet = '234567abcdefghijklmnopqrstuvwxyz';
const pairs: readonly string[] = Array.from({ length: 1024 }, (_unused, value) => {
  return alphabet[value >>> 5]! + alphabet[value & 31]!;
});

/**
 * Returns the TID of a time and a clock number.
 *
 * Units: microseconds since 1970, below 2^53. Shape: `clock` is below 1024.
 */
export function tidOf(micros: number, clock: number): string {
  let rest = micros;
  let text = pairs[clock]!;
  for (let index = 0; index < 5; index++) {
    const low = rest % 1024;
    text = pairs[low]! + text;
    rest = (rest - low) / 1024;
  }
  return alphabet[rest & 31]! + text;
}

/** Returns the time of a TID. Units: microseconds since 1970. */
export function microsOf(tid: string): number {
  let micros = 0;
  for (let index = 0; index < 11; index++) micros = micros * 32 + alphabet.indexOf(tid[index]!);
  return micros;
}

/** Gives out TIDs that ascend, near the times asked for. */
export class TidClock {
  #lastMicros = 0;
  readonly #clock: number;

  constructor(clock: number) {
    this.#clock = clock & 1023;
  }

  /** Returns a TID above all that were given out before, at `timeMs` or as soon after it as that allows. */
  next(timeMs: number): string {
    this.#lastMicros = Math.max(this.#lastMicros + 1, timeMs * 1000);
    return tidOf(this.#lastMicros, this.#clock);
  }

  /** Makes sure that all TIDs from now on are above this one. */
  pass(tid: string): void {
    this.#lastMicros = Math.max(this.#lastMicros, microsOf(tid));
  }
}
