/** How fast moves go on, and when they are through. Pure. */
import type { MoveGroup } from '../cluster-rows.ts';

/** Over which rates are computed. */
const windowMs = 30_000;

type Sample = { readonly atMs: number; readonly bytesDone: number };

/** Null while it is not known. Units: bytes per second, ms. */
export type MoveRate = { readonly bytesPerS: number | null; readonly etaMs: number | null };

/** Compares what has come now with what had come a while ago. */
export class MoveRates {
  readonly #samples = new Map<string, Sample[]>();

  /** Returns how fast the copies of a group of moves come; `atMs` ascends. */
  of({ from, to, bytes, bytesDone }: MoveGroup, atMs: number): MoveRate {
    const key = `${from} ${to}`;
    const before = (this.#samples.get(key) ?? []).filter((sample) => atMs - sample.atMs <= windowMs);
    // Less than before: another move between the same nodes.
    const samples = (before.at(-1)?.bytesDone ?? 0) > bytesDone ? [] : before;
    const first = samples[0];
    if (samples.at(-1)?.atMs !== atMs) samples.push({ atMs, bytesDone });
    this.#samples.set(key, samples);
    if (first === undefined || atMs <= first.atMs) return { bytesPerS: null, etaMs: null };
    const perMs = (bytesDone - first.bytesDone) / (atMs - first.atMs);
    const left = bytes - bytesDone;
    return { bytesPerS: 1000 * perMs, etaMs: perMs > 0 && left > 0 ? left / perMs : null };
  }
}
