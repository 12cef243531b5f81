/**
 * Calls that serving threads answer for each other, since an HTTP/2 session stays with one thread
 * and an AppView has few sessions.
 *
 * Each thread publishes how busy its event loop is. One that is busy gives a call to another that
 * is less so; while it is not, it answers by itself and saves the way. A thread that has published
 * nothing for a while hangs, and is given none.
 *
 * Owns: the end of each call that it gave, which is an error if the other thread ends or is late.
 */
import { type EventLoopUtilization, performance } from 'node:perf_hooks';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { Clock } from '../base/clock.ts';
import { DataPlaneError, type ErrorCode } from '../base/data-plane-error.ts';
import type { SeededRandom } from '../base/seeded-random.ts';
import { asBuffer } from '../proto/fields.ts';
import { type CallSharing, failedReply, type RpcHead } from '../router/edge/rpc-endpoint.ts';
import type { LargeBody, RpcReply } from '../router/edge/rpc-protocol.ts';

/** One thread's ends: the ports to the others by thread, null for itself, and the shared memory. */
export type ExchangeEnds = {
  readonly thread: number;
  readonly ports: readonly (MessagePort | null)[];
  readonly states: SharedArrayBuffer;
};

type Call = { readonly id: number; readonly head: RpcHead; readonly body: Uint8Array };
type Answer = { readonly id: number; readonly reply: Omit<RpcReply, 'body' | 'large'>; readonly body: Uint8Array };

/** A call that another thread answers. Units: monotonic ms. */
type GivenCall = {
  readonly port: MessagePort;
  readonly head: RpcHead;
  readonly endMs: number;
  readonly resolve: (reply: RpcReply) => void;
};

/** What a thread publishes, as Int32: the part of its time that it is busy, and a count. */
const fieldsOfThread = 2;
const field = { busyPercent: 0, beats: 1 } as const;
const publishMs = 50;
/** Below it a thread answers its own calls. */
const busyPercentMin = 50;
/** Another thread must be less busy by this, lest calls go to and fro. */
const marginPercent = 10;
/** A thread is given calls while it was seen to publish within so many of our own intervals. */
const silentIntervalsMax = 4;
/** The other thread answers at the deadline, with what it has; that may arrive so late. */
const lateMsMax = 1_000;

/** Makes the ends of so many threads. */
export function exchangeEnds(threads: number): ExchangeEnds[] {
  const states = new SharedArrayBuffer(threads * fieldsOfThread * Int32Array.BYTES_PER_ELEMENT);
  const portsByThread = Array.from({ length: threads }, () => new Array<MessagePort | null>(threads).fill(null));
  for (let one = 0; one < threads; one++) {
    for (let other = 0; other < one; other++) {
      const { port1, port2 } = new MessageChannel();
      portsByThread[one]![other] = port1;
      portsByThread[other]![one] = port2;
    }
  }
  return portsByThread.map((ports, thread) => ({ thread, ports, states }));
}

/** Copies a large body; the thread of its session limits what is unread there. */
function wholeOf({ length, parts }: LargeBody): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(length);
  let at = 0;
  const left = parts();
  for (let next = left.next(); next.done !== true; next = left.next()) {
    whole.set(next.value, at);
    at += next.value.length;
  }
  return whole;
}

export type CallExchangeOptions = {
  readonly ends: ExchangeEnds;
  /** Answers a call on this thread. */
  readonly answer: (head: RpcHead, body: Buffer) => Promise<RpcReply> | RpcReply;
  /** Returns how long the answer may take. Units: ms. */
  readonly timeoutMsOf: (head: RpcHead) => number;
  readonly random: SeededRandom;
  readonly clock: Clock;
};

export class CallExchange implements CallSharing {
  readonly #thread: number;
  readonly #ports: (MessagePort | null)[];
  readonly #states: Int32Array;
  readonly #options: CallExchangeOptions;
  readonly #givenById = new Map<number, GivenCall>();
  readonly #beatsSeen: number[];
  readonly #silentIntervals: number[];
  readonly #timer: NodeJS.Timeout;
  #utilization: EventLoopUtilization = performance.eventLoopUtilization();
  #nextId = 1;
  #isStopped = false;

  constructor(options: CallExchangeOptions) {
    const { thread, ports, states } = options.ends;
    this.#options = options;
    this.#thread = thread;
    this.#ports = [...ports];
    this.#states = new Int32Array(states);
    this.#beatsSeen = ports.map(() => 0);
    this.#silentIntervals = ports.map(() => silentIntervalsMax);
    for (const [from, port] of ports.entries()) {
      port?.on('message', (message: Call | Answer) => {
        if ('reply' in message) this.#take(message);
        else void this.#answerFor(port, message);
      });
      // The last that comes through it, so what was answered has been taken.
      port?.on('close', () => {
        this.#ports[from] = null;
        this.#fail((call) => call.port === port, 'Unavailable', 'the serving thread that had the call has ended');
      });
    }
    this.#timer = setInterval(() => {
      this.#publish();
      this.#failLate();
    }, publishMs);
    this.#timer.unref();
  }

  get waiting(): number {
    return this.#givenById.size;
  }

  stop(): void {
    this.#isStopped = true;
    this.#publishBusy(100);
  }

  answer(head: RpcHead, body: Buffer): Promise<RpcReply> | RpcReply {
    const { answer, timeoutMsOf, clock } = this.#options;
    const port = this.#lessBusyPort();
    if (port === null) return answer(head, body);
    const id = this.#nextId++;
    return new Promise((resolve) => {
      const endMs = clock.monotonicMs() + timeoutMsOf(head) + lateMsMax;
      this.#givenById.set(id, { port, head, endMs, resolve });
      // A copy, since a message takes the whole memory of what it transfers.
      const copy = new Uint8Array(body);
      port.postMessage({ id, head, body: copy } satisfies Call, [copy.buffer]);
    });
  }

  #take({ id, reply, body }: Answer): void {
    this.#givenById.get(id)?.resolve({ ...reply, body: asBuffer(body), large: null });
    this.#givenById.delete(id);
  }

  #fail(isFailed: (call: GivenCall) => boolean, code: ErrorCode, message: string): void {
    for (const [id, call] of this.#givenById) {
      if (!isFailed(call)) continue;
      this.#givenById.delete(id);
      call.resolve(failedReply(call.head, new DataPlaneError(code, message)));
    }
  }

  #failLate(): void {
    const nowMs = this.#options.clock.monotonicMs();
    this.#fail(
      ({ endMs }) => endMs <= nowMs,
      'DeadlineExceeded',
      'the serving thread that has the call does not answer',
    );
  }

  async #answerFor(port: MessagePort, { id, head, body }: Call): Promise<void> {
    const reply = await this.#options.answer(head, asBuffer(body));
    const { body: bytes, large, ...rest } = reply;
    const copy = large === null ? new Uint8Array(bytes) : wholeOf(large);
    port.postMessage({ id, reply: rest, body: copy } satisfies Answer, [copy.buffer]);
    large?.release();
  }

  #read(thread: number, which: keyof typeof field): number {
    return Atomics.load(this.#states, thread * fieldsOfThread + field[which]);
  }

  #publishBusy(percent: number): void {
    Atomics.store(this.#states, this.#thread * fieldsOfThread + field.busyPercent, percent);
  }

  #publish(): void {
    const before = this.#utilization;
    this.#utilization = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(this.#utilization, before);
    if (!this.#isStopped) this.#publishBusy(Math.round(100 * utilization));
    Atomics.add(this.#states, this.#thread * fieldsOfThread + field.beats, 1);
    for (let thread = 0; thread < this.#ports.length; thread++) {
      const beats = this.#read(thread, 'beats');
      this.#silentIntervals[thread] = beats === this.#beatsSeen[thread] ? this.#silentIntervals[thread]! + 1 : 0;
      this.#beatsSeen[thread] = beats;
    }
  }

  /** Returns the port to a less busy thread, or null while this one should answer by itself. */
  #lessBusyPort(): MessagePort | null {
    const own = this.#read(this.#thread, 'busyPercent');
    if (this.#isStopped || own < busyPercentMin) return null;
    // The better of two: all threads would choose the best one at once.
    const [one, other] = [this.#drawOther(), this.#drawOther()];
    const thread = this.#busyPercentOf(one) <= this.#busyPercentOf(other) ? one : other;
    return this.#busyPercentOf(thread) < own - marginPercent ? (this.#ports[thread] ?? null) : null;
  }

  #drawOther(): number {
    return (this.#thread + 1 + this.#options.random.below(this.#ports.length - 1)) % this.#ports.length;
  }

  #busyPercentOf(thread: number): number {
    return this.#silentIntervals[thread]! < silentIntervalsMax ? this.#read(thread, 'busyPercent') : 100;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    for (const port of [...this.#ports]) port?.close();
  }
}
