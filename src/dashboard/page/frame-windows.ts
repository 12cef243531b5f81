/** The values of a series in the frames of processes, which come and go. */
import type { LiveFrame, LiveSeries } from '../../metrics/live-frame.ts';
import { Distribution } from './figures.ts';

/** Of a process, as many as the server keeps of each length. */
export const framesKept = 120;

/** Returns frames with those that were given, which are newer where both have one. */
export function withFrames(known: readonly LiveFrame[], given: readonly LiveFrame[]): readonly LiveFrame[] {
  const byEnd = new Map([...known, ...given].map((frame) => [frame.endMs, frame]));
  return [...byEnd.values()].sort((a, b) => a.endMs - b.endMs).slice(-framesKept);
}

type Window = { frames: readonly LiveFrame[]; readonly values: Distribution };

/** Adds only frames that are new, and takes back those that have gone. */
export class FrameWindows {
  readonly #key: string;
  readonly #byProcess = new Map<string, Window>();

  constructor(key: string) {
    this.#key = key;
  }

  /** Returns the values in these frames, by process; they change with the next call. */
  of(byProcess: ReadonlyMap<string, readonly LiveFrame[]>): Map<string, Distribution> {
    for (const process of this.#byProcess.keys()) if (!byProcess.has(process)) this.#byProcess.delete(process);
    return new Map([...byProcess].map(([process, frames]) => [process, this.#show(process, frames)]));
  }

  #show(process: string, frames: readonly LiveFrame[]): Distribution {
    const window = this.#byProcess.get(process) ?? { frames: [], values: new Distribution() };
    const [had, has] = [new Set(window.frames), new Set(frames)];
    for (const frame of window.frames) {
      if (!has.has(frame)) this.#each(frame, (series) => window.values.subtract(series));
    }
    for (const frame of frames) if (!had.has(frame)) this.#each(frame, (series) => window.values.add(series));
    window.frames = frames;
    this.#byProcess.set(process, window);
    return window.values;
  }

  #each({ series }: LiveFrame, call: (series: LiveSeries) => void): void {
    const one = series[this.#key];
    if (one !== undefined) call(one);
  }
}

/** Returns the values of all. */
export function mergedOf(all: Iterable<Distribution>): Distribution {
  const merged = new Distribution();
  for (const one of all) merged.merge(one);
  return merged;
}
