/** Frames of several processes as columns of one time axis. */
import type { LiveFrame } from '../../metrics/live-frame.ts';

/** Returns how wide a column of frames is: whole seconds, since timers are not exact. Units: ms. */
export function columnMs(frames: readonly LiveFrame[]): number {
  return Math.max(1_000, 1_000 * Math.round((frames.at(-1)?.spanMs ?? 0) / 1_000));
}

type Column<Value> = { readonly frames: readonly LiveFrame[]; readonly value: Value };

/** Values of columns, which are computed again only where frames came or went. */
export class Columns<Value> {
  readonly #valueIn: (frames: readonly LiveFrame[]) => Value;
  #byTime = new Map<number, Column<Value>>();
  #spanMs = 0;

  /** `valueIn` gets the frames of all processes that end in one column. */
  constructor(valueIn: (frames: readonly LiveFrame[]) => Value) {
    this.#valueIn = valueIn;
  }

  /** Returns the columns of these frames in the order of their ends. Units: ms since 1970. */
  of(all: readonly (readonly LiveFrame[])[]): { readonly ends: number[]; readonly values: Value[] } {
    const spanMs = columnMs(all.reduce((a, b) => (b.length > a.length ? b : a), []));
    const framesByTime = new Map<number, LiveFrame[]>();
    for (const frames of all) {
      for (const frame of frames) {
        const time = Math.round(frame.endMs / spanMs);
        const together = framesByTime.get(time);
        if (together === undefined) framesByTime.set(time, [frame]);
        else together.push(frame);
      }
    }
    const before = spanMs === this.#spanMs ? this.#byTime : new Map<number, Column<Value>>();
    const sorted = [...framesByTime].sort(([a], [b]) => a - b);
    this.#byTime = new Map(sorted.map(([time, frames]) => [time, this.#column(frames, before.get(time))]));
    this.#spanMs = spanMs;
    return {
      ends: sorted.map(([time]) => time * spanMs),
      values: Array.from(this.#byTime.values(), ({ value }) => value),
    };
  }

  #column(frames: readonly LiveFrame[], before: Column<Value> | undefined): Column<Value> {
    const isSame =
      before?.frames.length === frames.length && frames.every((frame, index) => frame === before.frames[index]);
    return isSame ? before! : { frames, value: this.#valueIn(frames) };
  }
}
