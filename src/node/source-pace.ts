/**
 * How fast a copy may arrive, by how slowly its source answers reads meanwhile.
 *
 * Owns: the rate. It halves with each second in which the reads of the last seconds took longer
 * than they may, grows slowly while there is room below that, and never ends: a source gives up a
 * copy that nobody asks for.
 */
import type { Clock } from '../base/clock.ts';
import { operatingFailure } from '../base/data-plane-error.ts';
import { orAborted } from '../base/or-aborted.ts';
import type { LiveFrame } from '../metrics/live-frame.ts';
import { liveAnswer, liveRequest } from '../wire/live-messages.ts';
import type { NodeCaller } from '../wire/node-caller.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import { decodeOfPeer } from '../wire/peer-bytes.ts';

/** Of reads that ended within this, the slowest hundredth counts. */
const windowMs = 3_000;
const lookMs = 1_000;
const askMsMax = 5_000;
/** Each of those series by itself. */
const prefixes = ['request|', 'call|'];
/** Values that a source may answer with; those of fewer seconds, if it has more. */
const numbersMax = 20_000;
/** Units: bytes per second. */
const firstRate = 2 ** 20;
const leastRate = 4_096;
const mostRate = 2 ** 32;
const growth = 1.25;
/** Below this part of what reads may take, a copy may go faster. */
const roomShare = 0.8;

type Counts = readonly number[];

/** Returns the value below which 99 of 100 are, or null of none. Shape: values and their counts. */
export function p99Of(series: readonly Counts[]): number | null {
  const countByValue = new Map<number, number>();
  for (const counts of series) {
    for (let at = 0; at < counts.length; at += 2)
      countByValue.set(counts[at]!, (countByValue.get(counts[at]!) ?? 0) + counts[at + 1]!);
  }
  let left = 0.01 * [...countByValue.values()].reduce((sum, count) => sum + count, 0);
  for (const [value, count] of [...countByValue].sort(([one], [other]) => other - one)) {
    left -= count;
    if (left < 0) return value;
  }
  return null;
}

/** Returns the next rate, of one second later. Units: bytes per second, ms. */
export function nextRate(rate: number, p99Ms: number | null, p99MsMax: number): number {
  if (p99Ms === null || p99Ms <= roomShare * p99MsMax) return Math.min(mostRate, rate * growth);
  return p99Ms <= p99MsMax ? rate : Math.max(leastRate, rate / 2);
}

function isOfReads(series: string): boolean {
  return series.startsWith('call|bsky.') || series.startsWith('request|');
}

export class SourcePace {
  readonly #node: string;
  readonly #caller: NodeCaller;
  readonly #clock: Clock;
  /** When the last frame of the source ended, by its clock; null before it has said so. */
  #endMs: number | null = null;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #rate = firstRate;
  #p99Ms: number | null = null;

  constructor(node: string, caller: NodeCaller, clock: Clock) {
    this.#node = node;
    this.#caller = caller;
    this.#clock = clock;
  }

  /** What reads at the source took in the last seconds; null where there were none. Units: ms. */
  get p99Ms(): number | null {
    return this.#p99Ms;
  }

  /** Returns how fast a copy may arrive now, from the start or a second ago. Units: bytes/s. */
  async bytesPerSecond(p99MsMax: number, signal: AbortSignal): Promise<number> {
    if (this.#clock.monotonicMs() - this.#lookedMs < lookMs) return this.#rate;
    await this.#look(signal);
    this.#rate = nextRate(this.#rate, this.#p99Ms, p99MsMax);
    return this.#rate;
  }

  /** Waits while reads at the source take longer than they may; `onWait` is called each second. */
  async untilQuiet(p99MsMax: () => number | null, signal: AbortSignal, onWait: () => void): Promise<void> {
    for (; !signal.aborted; await this.#clock.sleep(lookMs, signal)) {
      if (p99MsMax() === null) return;
      await this.#look(signal);
      const max = p99MsMax();
      if (max === null || this.#p99Ms === null || this.#p99Ms <= max) return;
      onWait();
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    this.#lookedMs = this.#clock.monotonicMs();
    try {
      // Of all that it has recorded, values would be rounded until they have room.
      if (this.#endMs === null) await this.#ask(0, [], signal);
      const sinceMs = (this.#endMs ?? 0) - windowMs;
      const frames = await this.#ask(sinceMs, prefixes, signal);
      if (frames === null) return;
      const recent = frames.filter(({ endMs }) => endMs > (this.#endMs ?? 0) - windowMs);
      const series = recent.flatMap((frame) => Object.entries(frame.series).filter(([name]) => isOfReads(name)));
      const p99Us = p99Of(series.map(([, { counts }]) => counts));
      this.#p99Ms = p99Us === null ? null : p99Us / 1_000;
    } catch (thrown) {
      // The copy itself is asked of the same node, and says what is wrong with it.
      operatingFailure(thrown);
    }
  }

  /** Returns frames of seconds of the source, or null when the signal aborts. */
  async #ask(sinceMs: number, named: readonly string[], signal: AbortSignal): Promise<readonly LiveFrame[] | null> {
    const question = { spanS: 1, sinceMs, prefixes: [...named], numbersMax };
    const call = async (): Promise<Uint8Array> =>
      this.#caller.call({
        node: this.#node,
        method: nodeCalls.live,
        payload: liveRequest.encode(question),
        timeoutMs: askMsMax,
      });
    const answer = signal.aborted ? undefined : await orAborted(call(), signal);
    if (answer === undefined) return null;
    const { frames } = decodeOfPeer(nodeCalls.live, () => liveAnswer.decode(answer), 'Internal');
    this.#endMs = Math.max(this.#endMs ?? 0, ...frames.map(({ endMs }) => endMs));
    return frames;
  }
}
