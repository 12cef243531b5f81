/**
 * Answers methods of bsky.Service for the edges, bytes in, bytes out.
 *
 * Owns: deadlines, admission, coalescing of identical requests in flight, and one retry with a
 * reloaded map after a node refuses our epoch.
 */
import { DataPlaneError, type ErrorCode, toDataPlaneError } from '../../base/data-plane-error.ts';
import { InvariantError } from '../../base/invariant.ts';
import { isMethodName } from '../../proto/codec.ts';
import type { ShardMap } from '../../shardmap/shard-map.ts';
import { Admission, defaultAdmissionLimits } from './admission.ts';
import { AnswerMemory } from './answer-memory.ts';
import { FairQueue } from './fair-queue.ts';
import { FanOut } from './fan-out.ts';
import { Hedges } from './hedges.ts';
import type { Plan } from './plan.ts';
import { PlanScope, type ScopeParts } from './plan-scope.ts';
import { ReplicaWatch } from './replica-watch.ts';
import { RequestRun } from './request-run.ts';
import { mayAskReplicas, Retries } from './retries.ts';
import type { RequestContext, RequestFailure, ServiceRouterOptions } from './service-router-options.ts';
import type { ReadableSlots } from './shard-copies.ts';
import { SharedAnswers } from './shared-answers.ts';
import { weightOf } from './weight.ts';

/** Larger requests are not coalesced. Units: bytes. */
const sharedRequestBytesMax = 512;
/** Of a request that waits: about a DID, or half a record's URI. */
const bytesPerItem = 40;
/** A caller's longer timeout is cut to this. Units: ms. */
const timeoutMsMax = 60_000;

/** Answers requests with the newest map that it has. */
export class ServiceRouter implements AsyncDisposable {
  readonly #options: ServiceRouterOptions;
  readonly #admission: Admission;
  readonly #queue: FairQueue;
  readonly #memory: AnswerMemory;
  readonly #hedges: Hedges;
  readonly #shared: SharedAnswers;
  readonly #retries: Retries;
  readonly #scopeParts: ScopeParts;
  #fanOut: FanOut;
  #readable: ReadableSlots = new Map();
  #replicas: ReplicaWatch | null = null;

  constructor(options: ServiceRouterOptions) {
    this.#options = options;
    this.#shared = new SharedAnswers(options.writes);
    const limits = { ...defaultAdmissionLimits, ...options.admission };
    this.#admission = new Admission(limits);
    const { observer } = options;
    this.#queue = new FairQueue(limits, options.clock, (waitedMs) => observer?.waited(waitedMs));
    this.#memory = new AnswerMemory(limits);
    this.#hedges = new Hedges(limits, options.clock, (outcome, ms) => observer?.hedged(outcome, ms));
    this.#scopeParts = {
      admission: this.#admission,
      queue: this.#queue,
      memory: this.#memory,
      identity: options.identity,
      clock: options.clock,
      wrote: () => this.wrote(),
    };
    this.#fanOut = this.#fanOutOf(options.map);
    this.#retries = new Retries({
      fanOut: () => this.#fanOut,
      reloadMap: options.reloadMap,
      useMap: (map) => this.useMap(map),
    });
  }

  get map(): ShardMap {
    return this.#fanOut.map;
  }

  /** For requests to all nodes. */
  get fanOut(): FanOut {
    return this.#fanOut;
  }

  get itemsInFlight(): number {
    return this.#admission.itemsInFlight;
  }

  /** What waits for its turn, and how often that came. */
  get queue(): { readonly itemsWaiting: number; readonly turns: number } {
    return this.#queue;
  }

  /** Memory of answers that are prepared or not yet read. Units: bytes. */
  get preparedBytes(): number {
    return this.#memory.bytes;
  }

  /** Second attempts of reads. */
  get hedges(): Pick<Hedges, 'counts' | 'delays'> {
    return this.#hedges;
  }

  /** Requests that shared an answer, that ran again with another map, or asked other copies. */
  get counts(): { readonly coalesced: number; readonly repeated: number; readonly rerouted: number } {
    return { ...this.#retries.counts, coalesced: this.#shared.count };
  }

  /** Requests that admission refused, by the name of the limit. */
  get refusedByLimit(): Readonly<Record<string, number>> {
    return { ...this.#admission.refusedByLimit, ...this.#memory.refusedByLimit, waitMsMax: this.#queue.refusals };
  }

  /** Returns how long a request may take. Units: ms. */
  timeoutMsOf(method: string, callersMs: number | null): number {
    return Math.min(callersMs ?? this.#options.plans.get(method)?.timeoutMs ?? 0, timeoutMsMax);
  }

  /**
   * Takes memory for an answer that is sent. Returns what to call once it is, or will not be.
   *
   * Errors: DataPlaneError `ResourceExhausted`.
   */
  holdAnswer(caller: string, bytes: number): () => void {
    this.#memory.take(caller, bytes);
    return () => this.#memory.release(caller, bytes);
  }

  /** Replaces the map; requests in flight finish with the previous one. */
  useMap(map: ShardMap): void {
    this.#fanOut = this.#fanOutOf(map);
  }

  /** Asks replicas from now on which reads they answer, until this is disposed. */
  watchReplicas(): void {
    const { caller, clock } = this.#options;
    const onReadable = (readable: ReadableSlots): void => this.#useReadable(readable);
    this.#replicas ??= new ReplicaWatch({ map: () => this.map, caller, onReadable, clock });
  }

  #fanOutOf(map: ShardMap): FanOut {
    const { caller, clock, ownNode = null } = this.#options;
    return FanOut.of({ map, caller, clock, ownNode, readable: this.#readable });
  }

  /** Takes which slots replicas answer reads of. */
  #useReadable(readable: ReadableSlots): void {
    if (isSameReadable(readable, this.#readable)) return;
    this.#readable = readable;
    this.#fanOut = this.#fanOutOf(this.map);
  }

  /**
   * Answers a request with bytes that may be shared, so are read-only: at once if all that it needs
   * is in this process. Errors come as a rejection.
   *
   * Errors: DataPlaneError.
   */
  handle(method: string, request: Buffer, context: RequestContext): Promise<Uint8Array> | Uint8Array {
    const run = new RequestRun(this.#options.clock.monotonicMs(), context.trace ?? null);
    const plan = this.#options.plans.get(method);
    const answer =
      plan === undefined ? Promise.reject(unknownMethod(method)) : this.#answer(plan, request, context, run);
    // Of a method always the same string, which a map finds sooner than an equal one.
    const name = plan?.method ?? method;
    if (answer instanceof Promise) return this.#later(name, context.caller, answer, run);
    this.#ended(name, context.caller, run, null);
    return answer;
  }

  #ended(method: string, caller: string, run: RequestRun, code: ErrorCode | null): void {
    const { observer, onSlow, slowMs = Number.POSITIVE_INFINITY, clock } = this.#options;
    const durationMs = clock.monotonicMs() - run.startMs;
    observer?.ended(method, caller, durationMs, code, run.items);
    if (durationMs >= slowMs) onSlow?.({ method, caller, code, durationMs, run });
  }

  async #later(method: string, caller: string, running: Promise<Uint8Array>, run: RequestRun): Promise<Uint8Array> {
    try {
      const answer = await running;
      this.#ended(method, caller, run, null);
      return answer;
    } catch (thrown) {
      const error = toDataPlaneError(thrown);
      if (thrown instanceof InvariantError) this.reportFault(thrown, method);
      this.#ended(labelOf(method), caller, run, error.code);
      throw error;
    }
  }

  /** Says that a write was sent: no later request may share an answer that began before. */
  wrote(): void {
    this.#shared.wrote();
  }

  /** Gives a broken invariant to the owner, which stops this process. */
  reportFault(error: InvariantError, method: string): void {
    this.#options.onFault(error, labelOf(method));
  }

  reportFailure(failure: RequestFailure): void {
    this.#options.onFailure?.(failure);
  }

  #answer(plan: Plan, request: Buffer, context: RequestContext, run: RequestRun): Promise<Uint8Array> | Uint8Array {
    const isShareable = plan.isShared && context.timeoutMs === null && request.length <= sharedRequestBytesMax;
    if (!isShareable) return this.#begin(plan, request, context, run);
    const inFlight = this.#shared.find(plan, request);
    if (inFlight !== undefined) {
      run.isShared = true;
      return inFlight;
    }
    const running = this.#begin(plan, request, context, run);
    // An answer that is there is in flight no more.
    if (running instanceof Promise) this.#shared.add(plan, request, running);
    return running;
  }

  #begin(plan: Plan, request: Buffer, context: RequestContext, run: RequestRun): Promise<Uint8Array> | Uint8Array {
    if (this.#queue.isCrowded) return this.#runInTurn(plan, request, context, run);
    return this.#runHedged(plan, request, context, run);
  }

  #runHedged(plan: Plan, request: Buffer, context: RequestContext, run: RequestRun): Promise<Uint8Array> | Uint8Array {
    if (!mayAskReplicas(plan) || !this.#fanOut.hasCopies) {
      return this.#run(plan, request, context, run, this.#fanOut.for(run));
    }
    const chosen = this.#fanOut.reading(run);
    const first = this.#run(plan, request, context, run, chosen);
    if (!(first instanceof Promise)) return first;
    return this.#hedges.run({
      method: plan.method,
      first,
      mayAskAgain: () => chosen.mayAskOthers && !this.#queue.isCrowded,
      askAgain: () => this.#run(plan, request, context, run, chosen.others()),
    });
  }

  /** Runs a plan, which asks the nodes that `fanOut` chooses, and if these cannot answer others. */
  #run(
    plan: Plan,
    request: Buffer,
    { caller, timeoutMs }: RequestContext,
    run: RequestRun,
    fanOut: FanOut,
  ): Promise<Uint8Array> | Uint8Array {
    const deadlineMs = run.startMs + this.timeoutMsOf(plan.method, timeoutMs);
    const scope = new PlanScope(this.#scopeParts, caller, fanOut, deadlineMs);
    let answer: Promise<Uint8Array> | Uint8Array;
    try {
      scope.admit(weightOf(plan.method));
      answer = plan.run(request, scope);
    } catch (thrown) {
      answer = Promise.reject(thrown);
    }
    if (answer instanceof Promise) return this.#whenAnswered(plan, request, scope, run, answer);
    this.#release(plan, scope, run);
    return answer;
  }

  /** Returns an answer that is not there yet, or that of another run if nodes cannot give it. */
  async #whenAnswered(
    plan: Plan,
    request: Buffer,
    scope: PlanScope,
    run: RequestRun,
    answer: Promise<Uint8Array>,
  ): Promise<Uint8Array> {
    const { epoch } = scope.fanOut.map;
    const runAgain = (): Promise<Uint8Array> | Uint8Array => {
      // It asks for the same again.
      this.#noteItems(plan, scope, run);
      scope.fanOut = mayAskReplicas(plan) ? this.#fanOut.reading(run) : this.#fanOut.for(run);
      return plan.run(request, scope);
    };
    try {
      return await answer;
    } catch (thrown) {
      return await this.#retries.again(thrown, { plan, epoch }, runAgain);
    } finally {
      this.#release(plan, scope, run);
    }
  }

  #release(plan: Plan, scope: PlanScope, run: RequestRun): void {
    this.#noteItems(plan, scope, run);
    scope.end();
  }

  #noteItems(plan: Plan, { itemsAsked }: PlanScope, run: RequestRun): void {
    if (run.items === 0 && itemsAsked > 0) run.items = Math.max(1, itemsAsked - weightOf(plan.method));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#replicas?.[Symbol.asyncDispose]();
  }

  /** Runs a request when it is its turn. Its bytes say about how many items it will ask for. */
  async #runInTurn(plan: Plan, request: Buffer, context: RequestContext, run: RequestRun): Promise<Uint8Array> {
    const { caller, timeoutMs } = context;
    const items = weightOf(plan.method) + Math.ceil(request.length / bytesPerItem);
    const deadlineMs = run.startMs + this.timeoutMsOf(plan.method, timeoutMs);
    this.#admission.take(caller, items);
    try {
      await this.#queue.turnOf(caller, items, deadlineMs, false);
      run.waitedMs = this.#options.clock.monotonicMs() - run.startMs;
      this.#queue.ended(items);
    } finally {
      this.#admission.release(caller, items);
    }
    return this.#runHedged(plan, request, context, run);
  }
}

function isSameReadable(one: ReadableSlots, other: ReadableSlots): boolean {
  const textOf = (readable: ReadableSlots): string =>
    JSON.stringify([...readable].filter(([, slots]) => slots.size > 0).map(([node, slots]) => [node, [...slots]]));
  return textOf(one) === textOf(other);
}

function labelOf(method: string): string {
  return isMethodName(method) ? method : 'unknown';
}

/** Returns the refusal of a method that the service does not have. */
export function unknownMethod(method: string): DataPlaneError {
  return new DataPlaneError('Unimplemented', `bsky.Service has no method ${JSON.stringify(method.slice(0, 96))}`);
}
