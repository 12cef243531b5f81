/**
 * Follows one event stream of a source until stopped.
 *
 * Owns: reconnecting, the handling of each message, and when the cursor is stored. The cursor also
 * passes events that are ignored or cannot be read.
 */
import { inputLimits } from '../atproto/input-limits.ts';
import { backoffMs } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { operatingFailure } from '../base/data-plane-error.ts';
import { InvariantError } from '../base/invariant.ts';
import type { SeededRandom } from '../base/seeded-random.ts';
import { EntriesRefused } from '../log/entries-refused.ts';
import { AheadWatch, aheadReasonOf } from './ahead-watch.ts';
import { Backlog } from './backlog.ts';
import { type EventStream, isNotice, type StreamedEvent, type StreamLocation } from './event-stream.ts';
import { type IngestCounters, Tally } from './ingest-counters.ts';
import { SourceCondition } from './source-condition.ts';
import { type EndedConnection, holdConnection, oversizedSkip } from './source-connection.ts';
import { SourceLag } from './source-lag.ts';
import { SourcePause } from './source-pause.ts';
import { clockBehind, futureCursor } from './source-problem.ts';
import type { SubscriptionStatus } from './source-status.ts';
import type { SourceTrust } from './source-trust.ts';
import type { IngestState } from './state/ingest-state.ts';
import { StreamPosition } from './stream-position.ts';

export type SubscriptionOptions<Event extends StreamedEvent> = {
  readonly stream: EventStream<Event>;
  /** Identifies the source in cursors, counters and status; must not change across restarts. */
  readonly name: string;
  /** Origin of a relay or PDS: http(s) or ws(s). */
  readonly url: string;
  /** Finds the source before each connection; absent for one that is always at `url`. */
  readonly locate?: () => Promise<StreamLocation>;
  /** Where to start without a stored cursor: a seq (exclusive, 0 = the beginning); null for now. */
  readonly startSeq: number | null;
  readonly state: IngestState;
  readonly clock: Clock;
  readonly random: SeededRandom;
  readonly counters: IngestCounters;
  /** Routes one event. Returns: once its effects are durable; null when it has none. */
  readonly route: (event: Event, message: Buffer) => Promise<unknown> | null;
  readonly trust: SourceTrust;
  /** Routes what makes up for an event that the log refuses for good; null for nothing. */
  readonly routeRefused: (event: Event) => Promise<unknown> | null;
  /** Routes what is done about an event of which only the account can be read. */
  readonly routeUnreadable?: (did: string) => Promise<unknown>;
  /** Null while there is capacity for more events; else resolves when there is. */
  readonly waitForCapacity: () => Promise<void> | null;
  readonly note: (message: string, fields: Record<string, unknown>) => void;
  /** How long the source may send nothing, not even pongs. */
  readonly silenceMsMax?: number;
};

/** A subscription to any kind of stream. */
export type AnySubscription = Pick<
  Subscription<StreamedEvent>,
  'name' | 'status' | 'condition' | 'pause' | 'beginAgain' | 'waitDurable' | 'storeCursor' | 'run'
>;

type Route = () => Promise<unknown> | null;

/** Every 200 ms for the first five seconds, since a PDS may start after us; then doubling. */
const reconnectPolicy = { firstMs: 200, maxMs: 15_000, fastFailures: 24 };
const storeEveryMs = 250;
const silenceMsDefault = 60_000;
/** Delay before retrying an event that did not fit. */
const fullRetryMs = 1000;
/** How often a paused source looks at our clock, and when it tries again all the same. */
const clockCheckMs = 1000;
const clockPauseMsMax = 60_000;
/** How often a source that refuses our cursor is asked again. */
const refusedRetryMs = 15_000;

/** Stores a source's cursor again and again, until the signal aborts. */
async function storeRegularly(
  source: Pick<AnySubscription, 'name' | 'storeCursor'>,
  { clock, note }: Pick<SubscriptionOptions<StreamedEvent>, 'clock' | 'note'>,
  notices: Tally,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(storeEveryMs, signal);
    try {
      await source.storeCursor();
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      // For example a full disk. The cursor stays unchanged until the next attempt.
      notices.add('cursor-not-stored');
      note('storing the cursor fails', { source: source.name, problem: String(error) });
    }
  }
}

export class Subscription<Event extends StreamedEvent> {
  readonly #options: SubscriptionOptions<Event>;
  readonly #signal: AbortSignal;
  readonly #events = new Tally();
  readonly #dropped = new Tally();
  readonly #notices = new Tally();
  readonly #position: StreamPosition;
  readonly condition: SourceCondition;
  readonly pause: SourcePause;
  readonly #ahead: AheadWatch;
  /** Ends the current connection, and the wait for the next. */
  #hangUp = new AbortController();
  readonly #lag = new SourceLag();
  #oversizedInARow = 0;
  /** Messages whose events are not done. */
  readonly #held = new Backlog({ items: Number.POSITIVE_INFINITY, bytes: inputLimits.messagesHeldBytesMax });
  #isConnected = false;
  #attempts = 0;
  #lastProblem: string | null = null;
  #url: string;
  /** True until the first event of a connection, which shows whether the source used our cursor. */
  #isFirstOfConnection = false;

  /** Follows the source once `run` is called, until the signal aborts. */
  constructor(options: SubscriptionOptions<Event>, signal: AbortSignal) {
    this.#options = options;
    this.#url = options.url;
    this.#signal = signal;
    this.#position = new StreamPosition(options.name, options.state.cursors, options.startSeq);
    this.condition = new SourceCondition(options);
    this.pause = new SourcePause(options, () => this.#hangUp.abort());
    this.#ahead = new AheadWatch(options.clock, signal, () => this.#pauseForClock());
  }

  get name(): string {
    return this.#options.name;
  }

  get status(): SubscriptionStatus {
    const { name, clock } = this.#options;
    const { receivedSeq, doneSeq, durableSeq, pendingCount: pendingEvents } = this.#position;
    return {
      name,
      url: this.#url,
      connected: this.#isConnected,
      pausedMs: this.pause.sinceMs,
      problem: this.condition.problem,
      attempts: this.#attempts,
      lastProblem: this.#lastProblem,
      receivedSeq,
      doneSeq,
      durableSeq,
      pendingEvents,
      lagMs: this.#lag.lagMs(pendingEvents, clock.nowMs()),
      trust: this.#options.trust.status,
      events: this.#events.toJSON(),
      dropped: this.#dropped.toJSON(),
      notices: this.#notices.toJSON(),
    };
  }

  /**
   * Begins again after a seq (exclusive), or for null at now. Returns: the cursor before.
   *
   * What that skips is missing until its repos are fetched.
   */
  async beginAgain(seq: number | null): Promise<number | null> {
    const before = this.#position.receivedSeq;
    this.#hangUp.abort();
    await this.#position.beginAgain(seq);
    this.condition.resume();
    this.#options.note('beginning again', { source: this.name, cursor: seq, before });
    return before;
  }

  /** Runs until the signal aborts. The caller waits for events that are unfinished then. */
  async run(): Promise<void> {
    const stores = storeRegularly(this, this.#options, this.#notices, this.#signal);
    await Promise.all([this.#runConnections(), stores]);
  }

  async #runConnections(): Promise<void> {
    const { clock, counters, random, name } = this.#options;
    let failures = 0;
    while (!this.#signal.aborted) {
      this.#hangUp = new AbortController();
      await this.pause.wait(this.#signal);
      this.#attempts++;
      const startedMs = clock.monotonicMs();
      const { received, problem } = await this.#connectOnce();
      if (this.#signal.aborted) return;
      if (this.condition.stopped?.code === 'ClockBehind') {
        await this.#waitForClock();
        continue;
      }
      this.#lastProblem = problem;
      counters.connections.with(name, received > 0 ? 'lost' : 'failed').add();
      const wasSound = received > 0 || clock.monotonicMs() - startedMs > 10_000;
      failures = wasSound || this.#oversizedInARow > 0 ? 0 : failures + 1;
      if (failures <= 1) this.#options.note('source lost', { source: name, problem });
      const isRefused = this.condition.stopped?.code === 'FutureCursor';
      const waitMs = isRefused ? refusedRetryMs : backoffMs(reconnectPolicy, failures, random);
      await clock.sleep(waitMs, AbortSignal.any([this.#signal, this.#hangUp.signal]));
    }
  }

  async #connectOnce(): Promise<EndedConnection> {
    const { clock, note, silenceMsMax = silenceMsDefault, locate, stream } = this.#options;
    const location: StreamLocation = locate === undefined ? { ok: true, url: this.#url } : await locate();
    if (!location.ok) return { received: 0, problem: location.problem };
    const { url, lookup } = location;
    this.#url = url;
    const waitForCapacity = (): Promise<void> | null => this.#held.waitForCapacity() ?? this.#options.waitForCapacity();
    const cursor = this.#position.receivedSeq;
    this.#isFirstOfConnection = true;
    const onOpen = (): void => {
      this.#isConnected = true;
      note('source connected', { source: this.name, cursor });
    };
    const stop = AbortSignal.any([this.#signal, this.#hangUp.signal]);
    const onMessage = (message: Buffer | null): void => {
      // Messages that a connection had received may follow its end.
      if (stop.aborted) return;
      this.#oversizedInARow = 0;
      if (message === null) this.drop('not-binary');
      else this.#take(message);
    };
    const onOversized = (): void => this.#skipOversized();
    const ended = await holdConnection(
      { url, nsid: stream.nsid, lookup, cursor, clock, silenceMsMax, onOpen, onMessage, onOversized, waitForCapacity },
      stop,
    );
    this.#isConnected = false;
    return ended;
  }

  /** Counts an event, or a part of one, that is left out; `did` is the account concerned. */
  drop(reason: string, did: string | null = null): void {
    const { eventsDropped, drops } = this.#options.counters;
    this.#dropped.add(reason);
    eventsDropped.with(this.name, reason).add();
    if (did !== null) drops.note(did, reason, { from: this.name });
  }

  #take(message: Buffer): void {
    const decoded = this.#options.stream.decode(message);
    if (!decoded.ok) {
      const { reason, seq, did } = decoded;
      this.drop(reason, did);
      const route = did === undefined ? null : () => this.#options.routeUnreadable?.(did) ?? null;
      if (seq !== null) this.#track(seq, route);
      return;
    }
    const event = decoded.value;
    this.#events.add(event.kind);
    this.#options.counters.eventsReceived.with(this.name, event.kind).add();
    if (!isNotice(event)) this.#takeTimed(event, message);
    else if (event.kind === 'info') {
      this.#takeInfo(event.name, event.message);
    } else if (event.kind === 'error') {
      this.#takeError(event.error, event.message);
    } else {
      this.drop('kind-unknown');
      if (event.seq !== null) this.#track(event.seq, null);
    }
  }

  #takeTimed(event: Event, message: Buffer): void {
    const nowMs = this.#options.clock.nowMs();
    const timed = this.#options.stream.timedOf(event);
    const reason = timed === null ? null : aheadReasonOf(timed, nowMs);
    if (reason === null || timed === null) {
      if (timed !== null) this.#ahead.noteSound(timed.did);
      if (event.eventMs > 0) this.#options.trust.noteLag(this.#lag.note(event.eventMs, nowMs), nowMs);
      const route = (): ReturnType<Route> => this.#options.route(event, message);
      this.#track(event.seq, route, event, message.length);
      return;
    }
    this.drop(reason, timed.did);
    // Tracked first, so that the cursor is before it if this finds our clock to be behind.
    const final = Promise.withResolvers<void>();
    this.#track(event.seq, () => final.promise, event);
    void this.#ahead.noteAhead(timed).then(final.resolve);
  }

  /** What looked ahead and everything after it is received again once our clock is right. */
  #pauseForClock(): void {
    this.condition.stop(clockBehind(this.name));
    this.#notices.add('ClockBehind');
    this.#position.rewind();
    this.#hangUp.abort();
  }

  async #waitForClock(): Promise<void> {
    const { clock } = this.#options;
    const untilMs = clock.monotonicMs() + clockPauseMsMax;
    while (this.#ahead.isClockBehind && clock.monotonicMs() < untilMs && !this.#signal.aborted) {
      await clock.sleep(clockCheckMs, this.#signal);
    }
    this.condition.resume();
  }

  #takeInfo(name: string, message: string): void {
    this.#notices.add(name);
    this.#options.note('source says', { source: this.name, name, message });
    if (name === 'OutdatedCursor') this.condition.noteOutdated(this.#position.receivedSeq);
  }

  #takeError(error: string, message: string): void {
    this.#notices.add(error);
    this.#options.note('source refuses', { source: this.name, error, message });
    // Its stream ends before our cursor. Going on from "now" would hide what was missed.
    if (error === 'FutureCursor') this.condition.stop(futureCursor(this.name, this.#position.receivedSeq));
  }

  /** Routes an event and tracks it, and its message's bytes, until it is done. */
  #track(seq: number, route: Route | null, event: Event | null = null, bytes = 0): void {
    const isFirst = this.#isFirstOfConnection;
    this.#isFirstOfConnection = false;
    if (isFirst) this.condition.noteFirst(seq);
    const cursor = this.#position.receivedSeq;
    const order = this.#position.admit(seq, isFirst);
    if (order === 'restarted') {
      this.#notices.add('stream-restarted');
      const message = 'the stream begins below our cursor: following it from there';
      this.#options.note(message, { source: this.name, seq, cursor });
    }
    const routed = route === null ? null : route();
    if (order === 'out-of-order') {
      // It is counted, but does not move the cursor. Its effects are idempotent.
      this.#dropped.add('seq-not-ascending');
      if (routed === null) return;
      this.#held.add(bytes);
      const failed = (error: unknown): void => {
        operatingFailure(error);
        this.drop('append-failed');
      };
      void routed.catch(failed).then(() => this.#held.remove(bytes));
      return;
    }
    const run = this.#position.begin(seq);
    if (routed === null) return run.finish(seq);
    this.#held.add(bytes);
    const finish = (): void => {
      run.finish(seq);
      this.#held.remove(bytes);
    };
    routed.then(finish, (error: unknown) => this.#routeAgain(event!, route!, error, finish));
  }

  /**
   * Routes an event again when its effects could not be stored because storage was full. One that
   * the log refuses for good is passed.
   */
  async #routeAgain(event: Event, route: Route, error: unknown, finish: () => void): Promise<void> {
    if (error instanceof EntriesRefused) return this.#pass(event, route, error, finish);
    const isFull = operatingFailure(error).code === 'StorageFull';
    if (isFull) {
      this.#notices.add('state-full');
      await this.#options.clock.sleep(fullRetryMs, this.#signal);
    }
    // Unfinished, so the cursor stays before it and the next start receives it again.
    if (!isFull || this.#signal.aborted) return this.drop('append-failed');
    const routed = route();
    if (routed === null) finish();
    else routed.then(finish, (again: unknown) => this.#routeAgain(event, route, again, finish));
  }

  /** Passes an event after a refusal, which may be of another entry that was sent with its own. */
  #pass(event: Event, route: Route, error: EntriesRefused, finish: () => void): void {
    const did = this.#options.stream.timedOf(event)?.did ?? '';
    const isOwn = error.dids.has(did);
    if (isOwn) this.drop(error.reason, did);
    const routed = isOwn ? this.#options.routeRefused(event) : null;
    if (routed === null) finish();
    else routed.then(finish, (again: unknown) => this.#routeAgain(event, route, again, finish));
  }

  /** Skips an event whose frame the socket refused. */
  #skipOversized(): void {
    this.drop('frame-too-large');
    this.#position.skip(oversizedSkip(this.#oversizedInARow++));
  }

  /** Stores up to where everything is done. Returns: once durable. */
  storeCursor(): Promise<void> {
    return this.#position.storeCursor(this.#lag.eventMs);
  }

  /** See `StreamPosition.waitDurable`. */
  waitDurable(seq: number | null, signal: AbortSignal): Promise<boolean> {
    return this.#position.waitDurable(seq, signal);
  }
}
