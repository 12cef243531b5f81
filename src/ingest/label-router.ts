/**
 * Turns the messages of one labeler into log entries.
 *
 * Owns: which labels are kept: those of a source for which the labeler speaks, signed by its key,
 * and not ahead of our clock. Signatures are checked on other threads, but labels are appended in
 * the order of the stream, since of two with the same time the later one counts.
 */
import pLimit from 'p-limit';
import { isLabelSignedBy, type LabelsEvent, type SignedLabel } from '../atproto/label-event.ts';
import { backoffMs } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import type { SeededRandom } from '../base/seeded-random.ts';
import { EntriesRefused } from '../log/entries-refused.ts';
import type { LogAppender } from '../log/log-appender.ts';
import { isTimeAhead } from './ahead-watch.ts';
import { Backlog } from './backlog.ts';
import type { Labeler } from './labeler.ts';
import type { SourceTrust } from './source-trust.ts';

export type LabelRouterOptions = {
  readonly labeler: Pick<Labeler, 'keyOf' | 'keyAgainOf'>;
  readonly appender: Pick<LogAppender, 'append'>;
  readonly trust: SourceTrust;
  /** Counts a label about an account that is left out; null when that is not known. */
  readonly drop: (reason: LabelDrop, did: string | null) => void;
  /** True while the sources of repos show that our clock is behind. */
  readonly isClockBehind: () => boolean;
  readonly clock: Clock;
  readonly random: SeededRandom;
  readonly signal: AbortSignal;
};

/** Why a label that could be read is left out. */
export type LabelDrop =
  | LabelsEvent['faults'][number]
  | EntriesRefused['reason']
  | 'label-of-another-source'
  | 'label-key-missing'
  | 'label-signature-bad'
  | 'label-ahead';

/** Labels that wait for their signature or the log; past this the labeler is paused. */
const labelsWaitingMax = 10_000;
const signaturesAtOnceMax = 16;
/** While the directory does not answer, a label waits, and the labeler with it. */
const keyRetryPolicy = { firstMs: 200, maxMs: 15_000 };
/** By then the sources of repos have shown whether it is our clock that is wrong. */
const aheadWaitMs = 15_000;

export class LabelRouter {
  readonly #options: LabelRouterOptions;
  readonly #waiting = new Backlog({ items: labelsWaitingMax, bytes: Number.POSITIVE_INFINITY });
  readonly #limit = pLimit(signaturesAtOnceMax);
  /** Ends once all labels before are on their way to the log, or left out. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: LabelRouterOptions) {
    this.#options = options;
  }

  /** Null while there is capacity for more messages; else resolves when there is. */
  waitForCapacity(): Promise<void> | null {
    return this.#waiting.waitForCapacity();
  }

  /** Routes the labels of one message. Returns: once they are durable; null when there are none. */
  route({ labels, faults }: Pick<LabelsEvent, 'labels' | 'faults'>): Promise<unknown> | null {
    for (const fault of faults) this.#options.drop(fault, null);
    return labels.length === 0 ? null : Promise.all(labels.map((label) => this.#take(label)));
  }

  async #take(signed: SignedLabel): Promise<void> {
    this.#waiting.add(0);
    try {
      let appended: Promise<void> | undefined;
      const checked = this.#limit(() => this.#refusalOf(signed));
      const turn = Promise.all([checked, this.#turn]).then(([refusal]) => {
        if (refusal === null) appended = this.#append(signed);
        else this.#refuse(refusal, signed.label.subject.did);
      });
      this.#turn = turn;
      await turn;
      await appended;
    } finally {
      this.#waiting.remove(0);
    }
  }

  #refuse(reason: LabelDrop, did: string): void {
    const { trust, drop } = this.#options;
    if (reason === 'label-of-another-source') trust.refused++;
    else trust.failed++;
    drop(reason, did);
  }

  /** Returns why a label is not its labeler's, or null. Waits while its key cannot be had. */
  async #refusalOf(signed: SignedLabel): Promise<LabelDrop | null> {
    const { labeler, clock, random, signal } = this.#options;
    for (let failures = 1; !signal.aborted; failures++) {
      const refusal = await this.#check(signed, (src) => labeler.keyOf(src));
      // What is known may be of before the key or the service changed.
      const again = refusal === null ? null : await this.#check(signed, (src) => labeler.keyAgainOf(src));
      if (again !== 'unreachable') return again;
      await clock.sleep(backoffMs(keyRetryPolicy, failures, random), signal);
    }
    // Unfinished, so that it is received again at the next start.
    throw new DataPlaneError('Unavailable', 'ingest is stopping');
  }

  async #check(signed: SignedLabel, find: Labeler['keyOf']): Promise<LabelDrop | 'unreachable' | null> {
    const found = await find(signed.label.src);
    if (!found.ok) return found.reason === 'unreachable' ? 'unreachable' : 'label-of-another-source';
    if (found.key === null) return 'label-key-missing';
    return (await isLabelSignedBy(found.key, signed)) ? null : 'label-signature-bad';
  }

  /** A time from the future would hide all later labels of its identity. */
  async #append({ label }: SignedLabel): Promise<void> {
    const { appender, clock, drop, trust } = this.#options;
    trust.verified++;
    const isAhead = (): boolean => isTimeAhead(Date.parse(label.cts), clock.nowMs());
    if (isAhead()) await this.#waitForClock();
    const { did } = label.subject;
    if (isAhead()) return drop('label-ahead', did);
    try {
      await appender.append(did, { kind: 'label', did, label });
    } catch (thrown) {
      if (!(thrown instanceof EntriesRefused)) throw thrown;
      if (thrown.dids.has(did)) drop(thrown.reason, did);
    }
  }

  /** Nothing is refused for good while it may be our own clock that is wrong. */
  async #waitForClock(): Promise<void> {
    const { clock, isClockBehind, signal } = this.#options;
    do await clock.sleep(aheadWaitMs, signal);
    while (isClockBehind() && !signal.aborted);
    if (signal.aborted) throw new DataPlaneError('Unavailable', 'ingest is stopping');
  }
}
