/**
 * Reads the stream of a labeler again from its beginning, beside the subscription that follows it.
 *
 * Owns: when it has caught up with what the subscription had received. What it reads is proven and
 * appended like what comes live, and changes nothing that is there.
 */

import { backoffMs } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import type { SeededRandom } from '../base/seeded-random.ts';
import { labelsStream } from './event-stream.ts';
import type { FollowedLabeler } from './labeler-parts.ts';
import { holdConnection } from './source-connection.ts';

type Options = {
  readonly clock: Clock;
  readonly random: SeededRandom;
  readonly note: (message: string, fields: Record<string, unknown>) => void;
  readonly signal: AbortSignal;
};

/** Attempts that bring nothing, before a labeler is given up. */
const failuresMax = 8;
const retryPolicy = { firstMs: 200, maxMs: 4_000 };
/** A stream that has nothing more for so long ends before where it was: it has lost its end. */
const idleMsMax = 30_000;

class LabelRescan {
  readonly #followed: Pick<FollowedLabeler, 'labeler' | 'router'>;
  readonly #isWanted: (did: string) => boolean;
  readonly #options: Options;
  readonly #untilSeq: number;
  #seq = 0;
  #readMs: number;
  #failed: unknown = null;
  #unfinished = 0;

  constructor(followed: FollowedLabeler, isWanted: (did: string) => boolean, untilSeq: number, options: Options) {
    this.#followed = followed;
    this.#isWanted = isWanted;
    this.#untilSeq = untilSeq;
    this.#options = options;
    this.#readMs = options.clock.monotonicMs();
  }

  get isOver(): boolean {
    return this.#seq >= this.#untilSeq && this.#unfinished === 0;
  }

  /** Reads until it is over. Returns: whether it is. */
  async run(): Promise<boolean> {
    const { clock, random, signal } = this.#options;
    for (let failures = 0; failures < failuresMax && !signal.aborted; ) {
      const before = this.#seq;
      await this.#connectOnce();
      if (this.#failed !== null) throw this.#failed;
      if (this.isOver) return true;
      failures = this.#seq > before ? 0 : failures + 1;
      await clock.sleep(backoffMs(retryPolicy, failures, random), signal);
    }
    return false;
  }

  async #connectOnce(): Promise<void> {
    const { clock, signal } = this.#options;
    const location = await this.#followed.labeler.locate();
    if (!location.ok) return;
    const ended = new AbortController();
    const connection = holdConnection(
      {
        ...location,
        nsid: labelsStream.nsid,
        cursor: this.#seq,
        clock,
        silenceMsMax: idleMsMax,
        onOpen: () => {},
        onMessage: (message) => this.#take(message),
        // The next attempt goes on after it.
        onOversized: () => this.#seq++,
        waitForCapacity: () => this.#followed.router.waitForCapacity(),
      },
      AbortSignal.any([signal, ended.signal]),
    );
    this.#readMs = clock.monotonicMs();
    const over = connection.finally(() => ended.abort());
    while (!ended.signal.aborted) {
      await clock.sleep(100, ended.signal);
      const isIdle = this.#unfinished === 0 && clock.monotonicMs() - this.#readMs > idleMsMax;
      if (this.isOver || isIdle || this.#failed !== null || signal.aborted) ended.abort();
    }
    await over;
  }

  #take(message: Buffer | null): void {
    this.#readMs = this.#options.clock.monotonicMs();
    const decoded = message === null ? null : labelsStream.decode(message);
    if (decoded === null || (!decoded.ok && decoded.seq === null)) return;
    const seq = decoded.ok ? decoded.value.seq : decoded.seq;
    if (decoded.ok && decoded.value.kind === 'labels') {
      const labels = decoded.value.labels.filter(({ label }) => this.#isWanted(label.subject.did));
      this.#route(this.#followed.router.route({ labels, faults: [] }));
    }
    if (seq !== null && seq > this.#seq) this.#seq = seq;
  }

  #route(routed: Promise<unknown> | null): void {
    if (routed === null) return;
    this.#unfinished++;
    routed.then(
      () => this.#unfinished--,
      (thrown: unknown) => {
        this.#failed = thrown;
      },
    );
  }
}

/**
 * Reads all labels of the labelers again that are about wanted DIDs.
 *
 * Returns: the names of labelers that could not be read to where they were. Errors: the log's.
 */
export async function rescanLabels(
  labelers: readonly FollowedLabeler[],
  isWanted: (did: string) => boolean,
  options: Options,
): Promise<string[]> {
  const left: string[] = [];
  for (const followed of labelers) {
    const { name, status } = followed.subscription;
    if (status.receivedSeq === null || status.receivedSeq === 0) continue;
    const rescan = new LabelRescan(followed, isWanted, status.receivedSeq, options);
    if (await rescan.run()) continue;
    left.push(name);
    options.note('labels are not all read again', { source: name });
  }
  return left;
}
