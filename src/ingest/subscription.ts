/**
 * Follows one source's `com.atproto.sync.subscribeRepos` for ever.
 *
 * Owns: the connection and its return after every loss, the place in the stream, and the durable cursor, which stands
 * only behind the log's acknowledgement of everything that came before it. Events that are ignored or cannot be read
 * are passed too. The socket is paused while the log has no room.
 */
import { WebSocket } from 'ws';
import { decodeFirehoseMessage, type FirehoseEvent } from '../atproto/firehose-event.ts';
import { backoffMs } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { InvariantError } from '../base/invariant.ts';
import type { SeededRandom } from '../base/seeded-random.ts';
import { DoneTracker } from './done-tracker.ts';
import { type IngestCounters, Tally } from './ingest-counters.ts';
import type { IngestState } from './state/ingest-state.ts';

/** What is followed, from where, and where its events go. */
export type SubscriptionOptions = {
  /** Names the source in cursors, counters and status; stays the same across restarts. */
  readonly name: string;
  /** Origin of a relay or PDS: http(s) or ws(s). */
  readonly url: string;
  /** Where to begin when no cursor is stored: a seq (exclusive, 0 = the beginning), or null for now. */
  readonly startSeq: number | null;
  readonly state: IngestState;
  readonly clock: Clock;
  readonly random: SeededRandom;
  readonly counters: IngestCounters;
  /** Takes one event. Returns: once all that it causes is durable; null when it causes nothing. */
  readonly route: (event: FirehoseEvent, source: string) => Promise<unknown> | null;
  /** Null while there is room for more events, else resolves when there is. */
  readonly room: () => Promise<void> | null;
  readonly note: (message: string, fields: Record<string, unknown>) => void;
  /** How long the source may be silent, answers to pings included. */
  readonly silenceMsMax?: number;
};

/** What a source looks like from here. Cursors are inclusive; null before the first event. */
export type SubscriptionStatus = {
  readonly name: string;
  readonly url: string;
  readonly connected: boolean;
  readonly attempts: number;
  readonly lastProblem: string | null;
  readonly receivedSeq: number | null;
  readonly doneSeq: number | null;
  readonly durableSeq: number | null;
  readonly pendingEvents: number;
  /** How old the newest event was when it came in; while events are under way, how old it is now. */
  readonly lagMs: number | null;
  readonly events: Record<string, number>;
  readonly dropped: Record<string, number>;
  readonly notices: Record<string, number>;
};

/** Every 200 ms for the first five seconds, since a PDS may come up after us; then doubling. */
const reconnectPolicy = { firstMs: 200, maxMs: 15_000, fastFailures: 24 };
/** Above the decoder's own limit, so that a frame past that is counted without losing the connection. */
const frameBytesMax = 16_777_216;
const handshakeMsMax = 10_000;
const storeEveryMs = 250;
const silenceMsDefault = 60_000;

function streamUrl(origin: string, cursor: number | null): string {
  const url = new URL('/xrpc/com.atproto.sync.subscribeRepos', origin);
  url.protocol = url.protocol === 'https:' || url.protocol === 'wss:' ? 'wss:' : 'ws:';
  if (cursor !== null) url.searchParams.set('cursor', String(cursor));
  return url.href;
}

function bytesOf(data: Buffer | ArrayBuffer | Buffer[]): Buffer {
  if (Buffer.isBuffer(data)) return data;
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
}

/** One source being followed. */
export class Subscription {
  readonly #options: SubscriptionOptions;
  readonly #signal: AbortSignal;
  readonly #events = new Tally();
  readonly #dropped = new Tally();
  readonly #notices = new Tally();
  /** Null until the place in the stream is known: a live start learns it from the first event. */
  #tracker: DoneTracker | null = null;
  #durableSeq: number | null = null;
  /** Trackers of earlier runs of numbers: while one has events under way, no later cursor is stored. */
  #formerTrackers: DoneTracker[] = [];
  #receivedTimeMs = 0;
  #receivedLagMs = 0;
  #oversizedInARow = 0;
  #isConnected = false;
  #attempts = 0;
  #lastProblem: string | null = null;
  /** True until the first event of a connection, which shows whether the source heeded our cursor. */
  #isFirstOfConnection = false;
  #isCursorRefused = false;
  #receivedWaiters: (() => void)[] = [];

  /** Follows the source once `run` is called, until the signal aborts. */
  constructor(options: SubscriptionOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
    const stored = options.state.cursors.get(options.name);
    const startSeq = stored?.seq ?? options.startSeq;
    this.#durableSeq = stored?.seq ?? null;
    if (startSeq !== null) this.#tracker = new DoneTracker(startSeq);
  }

  get name(): string {
    return this.#options.name;
  }

  get status(): SubscriptionStatus {
    const { name, url, clock } = this.#options;
    const pendingEvents = this.#tracker?.pendingCount ?? 0;
    const waitingMs = Math.max(0, clock.nowMs() - this.#receivedTimeMs);
    return {
      name,
      url,
      connected: this.#isConnected,
      attempts: this.#attempts,
      lastProblem: this.#lastProblem,
      receivedSeq: this.#tracker?.received ?? null,
      doneSeq: this.#tracker?.done ?? null,
      durableSeq: this.#durableSeq,
      pendingEvents,
      lagMs: this.#receivedTimeMs === 0 ? null : pendingEvents === 0 ? this.#receivedLagMs : waitingMs,
      events: this.#events.toJSON(),
      dropped: this.#dropped.toJSON(),
      notices: this.#notices.toJSON(),
    };
  }

  /** Runs until the signal aborts. What is still under way then is for the caller to wait for. */
  async run(): Promise<void> {
    await Promise.all([this.#runConnections(), this.#runStores()]);
  }

  async #runConnections(): Promise<void> {
    const { clock, counters, random, name } = this.#options;
    let failures = 0;
    while (!this.#signal.aborted) {
      this.#attempts++;
      const startedMs = clock.monotonicMs();
      const { received, problem } = await this.#connectOnce();
      if (this.#signal.aborted) return;
      this.#lastProblem = problem;
      counters.connections.with(name, received > 0 ? 'lost' : 'failed').add();
      const wasSound = received > 0 || clock.monotonicMs() - startedMs > 10_000;
      failures = wasSound || this.#oversizedInARow > 0 ? 0 : failures + 1;
      if (failures <= 1) this.#options.note('source lost', { source: name, problem });
      await clock.sleep(backoffMs(reconnectPolicy, failures, random), this.#signal);
    }
  }

  /** Holds one connection from its beginning to its end. */
  #connectOnce(): Promise<{ received: number; problem: string }> {
    const cursor = this.#isCursorRefused ? null : (this.#tracker?.received ?? null);
    this.#isFirstOfConnection = true;
    const socket = new WebSocket(streamUrl(this.#options.url, cursor), {
      handshakeTimeout: handshakeMsMax,
      maxPayload: frameBytesMax,
      perMessageDeflate: false,
      followRedirects: false,
      headers: { 'user-agent': 'skyshard' },
    });
    const stop = (): void => socket.terminate();
    this.#signal.addEventListener('abort', stop, { once: true });
    const stopSilenceWatch = this.#watchSilence(socket);
    let received = 0;
    let problem = 'closed';
    return new Promise((resolve) => {
      socket.on('open', () => {
        this.#isConnected = true;
        this.#options.note('source connected', { source: this.name, cursor });
      });
      socket.on('message', (data, isBinary) => {
        received++;
        this.#oversizedInARow = 0;
        if (isBinary) this.#take(bytesOf(data));
        else this.#drop('not-binary');
        this.#pauseWhileFull(socket);
      });
      socket.on('error', (error) => {
        problem = error.message;
        // An oversized frame carries an event that we shall never read: the next connection must get past it.
        if ('code' in error && error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') this.#skipOversized();
      });
      socket.on('close', (code, reason) => {
        if (problem === 'closed') problem = `closed by the source: ${code} ${reason.toString('utf8').slice(0, 200)}`;
        this.#isConnected = false;
        this.#signal.removeEventListener('abort', stop);
        stopSilenceWatch();
        resolve({ received, problem });
      });
    });
  }

  /** Pings, and ends a connection on which nothing comes. A paused socket cannot answer and is not silent. */
  #watchSilence(socket: WebSocket): () => void {
    const { clock, silenceMsMax = silenceMsDefault } = this.#options;
    let heardMs = clock.monotonicMs();
    const heard = (): void => {
      heardMs = clock.monotonicMs();
    };
    for (const event of ['open', 'message', 'ping', 'pong']) socket.on(event, heard);
    const ended = new AbortController();
    const watch = async (): Promise<void> => {
      while (!ended.signal.aborted) {
        await clock.sleep(silenceMsMax / 4, ended.signal);
        if (socket.isPaused) heard();
        else if (clock.monotonicMs() - heardMs > silenceMsMax) socket.terminate();
        else if (socket.readyState === WebSocket.OPEN) socket.ping();
      }
    };
    void watch();
    return () => ended.abort();
  }

  #pauseWhileFull(socket: WebSocket): void {
    if (socket.isPaused) return;
    const room = this.#options.room();
    if (room === null) return;
    socket.pause();
    const resume = (): void => socket.resume();
    room.then(resume, resume);
  }

  #drop(reason: string): void {
    this.#dropped.add(reason);
    this.#options.counters.eventsDropped.with(this.name, reason).add();
  }

  #take(message: Buffer): void {
    const decoded = decodeFirehoseMessage(message);
    if (!decoded.ok) {
      this.#drop(decoded.reason);
      if (decoded.seq !== null) this.#track(decoded.seq, null);
      return;
    }
    const event = decoded.value;
    this.#events.add(event.kind);
    this.#options.counters.eventsReceived.with(this.name, event.kind).add();
    if (event.kind === 'info') {
      this.#takeInfo(event.name, event.message);
    } else if (event.kind === 'error') {
      this.#takeError(event.error, event.message);
    } else if (event.kind === 'unknown') {
      this.#drop('kind-unknown');
      if (event.seq !== null) this.#track(event.seq, null);
    } else {
      this.#receivedTimeMs = event.timeMs;
      this.#receivedLagMs = Math.max(0, this.#options.clock.nowMs() - event.timeMs);
      this.#track(event.seq, event);
    }
  }

  #takeInfo(name: string, message: string): void {
    this.#notices.add(name);
    this.#options.note('source says', { source: this.name, name, message });
  }

  #takeError(error: string, message: string): void {
    this.#notices.add(error);
    this.#options.note('source refuses', { source: this.name, error, message });
    // Its stream ends before our cursor: it is another stream now, and the only place that it surely has is "now".
    if (error === 'FutureCursor') this.#isCursorRefused = true;
  }

  /** Routes an event, null for one that causes nothing, and follows it until it is done. */
  #track(seq: number, event: FirehoseEvent | null): void {
    const isFirst = this.#isFirstOfConnection;
    this.#isFirstOfConnection = false;
    this.#isCursorRefused &&= !isFirst;
    let tracker = this.#tracker;
    if (tracker === null || seq <= tracker.received) tracker = this.#placeOf(tracker, seq, isFirst);
    const routed = event === null ? null : this.#options.route(event, this.name);
    if (tracker === null) {
      // Out of order: it counts, but it does not move the cursor. What it causes is idempotent.
      routed?.catch(() => this.#drop('append-failed'));
      return;
    }
    const followed = tracker;
    followed.begin(seq);
    for (const wake of this.#receivedWaiters.splice(0)) wake();
    if (routed === null) {
      followed.finish(seq);
      return;
    }
    routed.then(
      () => followed.finish(seq),
      // Not done, so the cursor stays before it: a later start takes it again.
      () => this.#drop('append-failed'),
    );
  }

  /** Finds which run of numbers a seq that does not ascend belongs to; null when it is only out of order. */
  #placeOf(before: DoneTracker | null, seq: number, isFirst: boolean): DoneTracker | null {
    if (before !== null && (!isFirst || seq === before.received)) {
      this.#dropped.add('seq-not-ascending');
      return null;
    }
    if (before !== null) {
      this.#notices.add('stream-restarted');
      this.#options.note('the stream begins below our cursor: following it from there', {
        source: this.name,
        seq,
        cursor: before.received,
      });
      this.#formerTrackers.push(before);
    }
    this.#tracker = new DoneTracker(seq - 1);
    return this.#tracker;
  }

  /**
   * Steps over an event whose frame the socket refused; without that the same frame would end every connection.
   *
   * It is the next event after all that was received, at a number that is not known: one further at a time loses
   * nothing, and after a few tries larger steps are the lesser harm.
   */
  #skipOversized(): void {
    this.#drop('frame-too-large');
    const tracker = this.#tracker;
    if (tracker === null) return;
    const seq = tracker.received + 2 ** Math.max(0, this.#oversizedInARow++ - 8);
    tracker.begin(seq);
    tracker.finish(seq);
  }

  async #runStores(): Promise<void> {
    while (!this.#signal.aborted) {
      await this.#options.clock.sleep(storeEveryMs, this.#signal);
      try {
        await this.storeCursor();
      } catch (error) {
        if (error instanceof InvariantError) throw error;
        // A full disk, say: the cursor stays where it was and is tried again with the next one.
        this.#notices.add('cursor-not-stored');
        this.#options.note('storing the cursor fails', { source: this.name, problem: String(error) });
      }
    }
  }

  /** Stores how far everything is durable. Returns: once that is on disk. */
  async storeCursor(): Promise<void> {
    this.#formerTrackers = this.#formerTrackers.filter(({ pendingCount }) => pendingCount > 0);
    const seq = this.#tracker?.done;
    if (seq === undefined || seq === this.#durableSeq || this.#formerTrackers.length > 0) return;
    await this.#options.state.cursors.store(this.name, { seq, timeMs: Math.max(0, this.#receivedTimeMs) });
    this.#durableSeq = seq;
  }

  /**
   * Waits until everything up to `seq` (inclusive; null for all that has come in) is durable in the log.
   *
   * Returns: whether it is; false when the signal aborted first.
   */
  async settled(seq: number | null, signal: AbortSignal): Promise<boolean> {
    while (seq !== null && (this.#tracker?.received ?? -1) < seq) {
      if (signal.aborted) return false;
      await new Promise<void>((resolve) => {
        this.#receivedWaiters.push(resolve);
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    }
    const tracker = this.#tracker;
    return tracker === null || tracker.waitDone(seq ?? tracker.received, signal);
  }
}
