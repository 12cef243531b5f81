/**
 * Reads the stream of a labeler again from its beginning, beside the subscription that follows it.
 *
 * Owns: when it has caught up with what the subscription had received. What it reads is proven and
 * appended like what comes live, and changes nothing that is there. Refuses: to wait for a labeler
 * that does not come nearer to that, or takes longer than `labelerMsMax`.
 */
import pLimit from 'p-limit';
import { backoffMs } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import type { SeededRandom } from '../base/seeded-random.ts';
import type { RescanRequest } from './bsync-rescan.ts';
import { DoneTracker } from './done-tracker.ts';
import { labelsStream } from './event-stream.ts';
import type { FollowedLabeler } from './labeler-parts.ts';
import { holdConnection, oversizedSkip } from './source-connection.ts';

export type LabelRescanRequest = RescanRequest & {
  /** True for the name of a labeler that the operator gave up. */
  readonly isGivenUp: (labeler: string) => boolean;
};

export type LabelRescanOptions = {
  readonly clock: Clock;
  readonly random: SeededRandom;
  readonly note: (message: string, fields: Record<string, unknown>) => void;
  readonly limits?: Partial<typeof labelRescanLimits>;
};

/** Units: ms. */
const labelRescanLimits = {
  /** A connection that brings nothing new for so long, while nothing waits, ends. */
  idleMsMax: 30_000,
  /** For one labeler; what it has brought until then is not read again by the next repair. */
  labelerMsMax: 7_200_000,
};

/** Attempts that bring nothing new, before a labeler is given up. */
const failuresMax = 8;
const retryPolicy = { firstMs: 200, maxMs: 4_000 };
const labelersAtOnceMax = 8;
const checkMs = 100;

class LabelRescan {
  readonly #followed: Pick<FollowedLabeler, 'labeler' | 'router' | 'subscription'>;
  readonly #request: LabelRescanRequest;
  readonly #options: LabelRescanOptions;
  readonly #limits: typeof labelRescanLimits;
  readonly #untilSeq: number;
  readonly #track: DoneTracker;
  #progressMs: number;
  #failed: unknown = null;
  #oversizedInARow = 0;

  constructor(followed: FollowedLabeler, request: LabelRescanRequest, untilSeq: number, options: LabelRescanOptions) {
    this.#followed = followed;
    this.#request = request;
    this.#untilSeq = untilSeq;
    this.#options = options;
    this.#limits = { ...labelRescanLimits, ...options.limits };
    this.#track = new DoneTracker(Math.min(request.positions.of(this.name), untilSeq));
    this.#progressMs = options.clock.monotonicMs();
  }

  get name(): string {
    return this.#followed.subscription.name;
  }

  get #isOver(): boolean {
    return this.#track.done >= this.#untilSeq;
  }

  /** Reads until it is over. Returns: whether it is. */
  async run(): Promise<boolean> {
    const { clock, random } = this.#options;
    const { positions, isGivenUp, signal } = this.#request;
    const endMs = clock.monotonicMs() + this.#limits.labelerMsMax;
    positions.expect(this.name, this.#untilSeq);
    try {
      for (let failures = 0; !this.#isOver && failures < failuresMax && clock.monotonicMs() < endMs; ) {
        const before = this.#track.received;
        await this.#connectOnce(endMs);
        if (this.#failed !== null) throw this.#failed;
        if (this.#isOver || signal.aborted) break;
        if (isGivenUp(this.name)) return true;
        // One that was too large is passed by the next attempt.
        failures = this.#track.received > before ? 0 : failures + 1;
        await clock.sleep(backoffMs(retryPolicy, failures, random), signal);
      }
      if (this.#isOver) await positions.finish(this.name);
      return this.#isOver;
    } finally {
      positions.stopWaiting(this.name);
    }
  }

  async #connectOnce(endMs: number): Promise<void> {
    const { clock } = this.#options;
    const { positions, isGivenUp, signal } = this.#request;
    const location = await this.#followed.labeler.locate();
    if (!location.ok) return;
    const ended = new AbortController();
    const connection = holdConnection(
      {
        ...location,
        nsid: labelsStream.nsid,
        cursor: this.#track.received,
        clock,
        silenceMsMax: this.#limits.idleMsMax,
        onOpen: () => {},
        onMessage: (message) => {
          // Messages that a connection had received may follow its end.
          if (!ended.signal.aborted) this.#take(message);
        },
        onOversized: () => this.#skipOversized(),
        waitForCapacity: () => this.#followed.router.waitForCapacity(),
      },
      AbortSignal.any([signal, ended.signal]),
    );
    this.#progressMs = clock.monotonicMs();
    const over = connection.finally(() => ended.abort());
    while (!ended.signal.aborted) {
      await clock.sleep(checkMs, ended.signal);
      const nowMs = clock.monotonicMs();
      const isIdle = this.#track.pendingCount === 0 && nowMs - this.#progressMs > this.#limits.idleMsMax;
      const mustEnd = isIdle || nowMs >= endMs || isGivenUp(this.name);
      if (this.#isOver || mustEnd || this.#failed !== null || signal.aborted) ended.abort();
      await positions.reach(this.name, this.#track.done, this.#untilSeq);
    }
    await over;
  }

  /** Takes a message with a new seq; any other was taken when it came first, or has none. */
  #take(message: Buffer | null): void {
    const decoded = message === null ? null : labelsStream.decode(message);
    if (decoded === null) return;
    const seq = decoded.ok ? decoded.value.seq : decoded.seq;
    if (seq === null || seq <= this.#track.received) return;
    this.#oversizedInARow = 0;
    this.#progressMs = this.#options.clock.monotonicMs();
    this.#track.begin(seq);
    const isLabels = decoded.ok && decoded.value.kind === 'labels';
    const labels = isLabels
      ? decoded.value.labels.filter(({ label }) => this.#request.isWanted(label.subject.did))
      : [];
    const routed = this.#followed.router.route({ labels, faults: [] });
    if (routed === null) return this.#track.finish(seq);
    routed.then(
      () => this.#track.finish(seq),
      (thrown: unknown) => {
        this.#failed = thrown;
      },
    );
  }

  /** The next attempt goes on after it; what is skipped with it is lost, as it is live. */
  #skipOversized(): void {
    this.#followed.subscription.drop('frame-too-large');
    const seq = Math.min(this.#track.received + oversizedSkip(this.#oversizedInARow++), this.#untilSeq);
    if (seq <= this.#track.received) return;
    this.#track.begin(seq);
    this.#track.finish(seq);
  }
}

/**
 * Reads all labels of the labelers again that are about wanted DIDs.
 *
 * Returns: the names of labelers that could not be read to where they were. Errors: the log's.
 */
export async function rescanLabels(
  labelers: readonly FollowedLabeler[],
  request: LabelRescanRequest,
  options: LabelRescanOptions,
): Promise<string[]> {
  const atOnce = pLimit(labelersAtOnceMax);
  const read = labelers.map((followed) =>
    atOnce(async (): Promise<string[]> => {
      const { name, status } = followed.subscription;
      const untilSeq = status.receivedSeq ?? 0;
      if (untilSeq === 0 || request.isGivenUp(name) || request.positions.isDone(name)) return [];
      if (await new LabelRescan(followed, request, untilSeq, options).run()) return [];
      options.note('labels are not all read again', { source: name });
      return [name];
    }),
  );
  const outcomes = await Promise.allSettled(read);
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? outcome.value : []));
}
