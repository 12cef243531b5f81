/**
 * The NodeCaller of a router inside a node's process: calls to that node run at once, in this
 * thread; those to other nodes take the wire.
 *
 * Nothing that calls can know the difference: errors, limits and the refusal of an outdated map are
 * those of a WireServer.
 */
import type { Clock } from '../base/clock.ts';
import { DataPlaneError, toDataPlaneError } from '../base/data-plane-error.ts';
import { payloadBytesMax } from './frame.ts';
import type { MapGate } from './map-gate.ts';
import type { CallHandler, CallObserver, NodeCall, NodeCaller } from './node-caller.ts';

export type LocalCallerOptions = {
  /** The name of the node in this process. */
  readonly node: string;
  /** By method name. */
  readonly handlers: ReadonlyMap<string, CallHandler>;
  readonly elsewhere: NodeCaller;
  readonly epoch: () => number;
  /** Null: all calls run. */
  readonly gate: MapGate | null;
  /** Called after each call to this node. */
  readonly observe: CallObserver;
  readonly clock: Clock;
};

/** Of the blocks that answers are copied into: memory of its own for each costs more to collect. */
const blockBytes = 64 * 1024;
/** Larger answers have their own, so that a kept one keeps little else in memory. */
const blockAnswerBytesMax = blockBytes / 4;

export class LocalCaller implements NodeCaller {
  readonly #options: LocalCallerOptions;
  #block: Buffer = Buffer.alloc(0);
  #blockUsed = 0;

  constructor(options: LocalCallerOptions) {
    this.#options = options;
  }

  call(request: NodeCall): Promise<Uint8Array> | Uint8Array {
    if (request.node !== this.#options.node) return this.#options.elsewhere.call(request);
    const startMs = this.#options.clock.monotonicMs();
    const wait = this.#options.gate?.waitOf(request.method, 0, startMs) ?? null;
    if (wait !== null) {
      const copied = { ...request, payload: Buffer.copyBytesFrom(request.payload) };
      return wait.then(() => this.call(copied));
    }
    try {
      const answer = this.#run(request, startMs);
      if (!(answer instanceof Uint8Array)) return this.#whenDone(request, startMs, answer);
      // The next read reuses the memory.
      return this.#checked(request, startMs, this.#copyOf(answer), false);
    } catch (thrown) {
      return Promise.reject(this.#failed(request, startMs, thrown, false));
    }
  }

  #copyOf(answer: Uint8Array): Buffer {
    const { length } = answer;
    if (length > blockAnswerBytesMax) return Buffer.copyBytesFrom(answer);
    if (this.#blockUsed + length > this.#block.length) {
      this.#block = Buffer.allocUnsafeSlow(blockBytes);
      this.#blockUsed = 0;
    }
    const start = this.#blockUsed;
    this.#blockUsed += length;
    this.#block.set(answer, start);
    return this.#block.subarray(start, this.#blockUsed);
  }

  #run(
    { node, method, payload, timeoutMs, trace = null }: NodeCall,
    startMs: number,
  ): Promise<Uint8Array> | Uint8Array {
    const { handlers, epoch, gate } = this.#options;
    const handler = handlers.get(method);
    if (handler === undefined) throw new DataPlaneError('Unimplemented', `no method "${method}" on node ${node}`);
    const wrongEpoch = gate?.refusalOf(method) ?? null;
    if (wrongEpoch !== null) throw new DataPlaneError('WrongEpoch', wrongEpoch);
    return handler(payload, { method, epoch: epoch(), deadlineMs: startMs + timeoutMs, trace });
  }

  async #whenDone(request: NodeCall, startMs: number, answer: Promise<Uint8Array>): Promise<Uint8Array> {
    const { method, timeoutMs } = request;
    const answered = new AbortController();
    const late = this.#options.clock.sleep(timeoutMs, answered.signal).then(() => {
      if (answered.signal.aborted) return Buffer.alloc(0);
      throw new DataPlaneError('DeadlineExceeded', `${method}: no answer within ${Math.round(timeoutMs)} ms`);
    });
    try {
      return this.#checked(request, startMs, await Promise.race([answer, late]), true);
    } catch (thrown) {
      throw this.#failed(request, startMs, thrown, true);
    } finally {
      answered.abort();
    }
  }

  #checked({ method, trace = null }: NodeCall, startMs: number, answer: Uint8Array, isLater: boolean): Uint8Array {
    if (answer.length > payloadBytesMax) {
      const message = `${method}: an answer of ${answer.length} bytes; payloadBytesMax is ${payloadBytesMax}`;
      throw new DataPlaneError('ResourceExhausted', message);
    }
    this.#options.observe(method, this.#options.clock.monotonicMs() - startMs, null, isLater, trace);
    return answer;
  }

  /** Returns what was thrown: a broken invariant is this process's own. */
  #failed({ method, trace = null }: NodeCall, startMs: number, thrown: unknown, isLater: boolean): unknown {
    const tookMs = this.#options.clock.monotonicMs() - startMs;
    this.#options.observe(method, tookMs, toDataPlaneError(thrown).code, isLater, trace);
    return thrown;
  }
}
