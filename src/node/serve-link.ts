/**
 * The main thread's end of a worker that serves: answers what that one may not do itself.
 *
 * Owns: the worker. When it dies, `onDeath` is called, since the node would serve with fewer
 * threads than its operator asked for.
 */
import { Worker } from 'node:worker_threads';
import { systemClock } from '../base/clock.ts';
import { DataPlaneError, toDataPlaneError } from '../base/data-plane-error.ts';
import { InvariantError, invariant } from '../base/invariant.ts';
import type { SettleBody } from '../http/settle-body.ts';
import type { PushBody } from '../mapchange/map-push.ts';
import type { HistogramQuestion } from '../metrics/histogram-report.ts';
import type { LiveQuestion } from '../metrics/live-history.ts';
import type { Interval } from '../metrics/recording.ts';
import type { ResolvedIdentity } from '../router/plan/identity-source.ts';
import type { EraseAtIngest } from '../router/private-routes.ts';
import type { NodeControl } from './read-server.ts';
import type {
  ControlRequest,
  FromServeThread,
  IdentityQuestion,
  ServeThreadOptions,
  ThreadMetrics,
  ToServeThread,
} from './serve-messages.ts';
import { errorOfThread } from './thread-error.ts';

export type ServeLinkOptions = {
  readonly thread: Omit<ServeThreadOptions, 'controlCalls' | 'asksIngest' | 'mapJson'>;
  readonly control: NodeControl;
  /** The JSON of the map in force. */
  readonly mapJson: () => unknown;
  readonly note: (message: string, fields: Record<string, unknown>) => void;
  /** Called with what the thread recorded. */
  readonly onInterval: (interval: Interval) => void;
  /** Called once. Not for an end that was requested, nor for a thread that never listened. */
  readonly onDeath: (error: Error) => void;
};

const metricsMsMax = 5_000;
/** Longer than any request waits for an identity. */
const lookUpMsMax = 60_000;

export class ServeLink implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #control: NodeControl;
  readonly #mapJson: () => unknown;
  readonly #onDeath: (error: Error) => void;
  readonly #onInterval: (interval: Interval) => void;
  readonly #ready = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<void>();
  readonly #metricsById = new Map<number, (metrics: ThreadMetrics) => void>();
  readonly #slotsById = new Map<number, () => void>();
  #nextId = 1;
  #state: 'starting' | 'listening' | 'closing' | 'dead' = 'starting';

  constructor({ thread, control, mapJson, note, onInterval, onDeath }: ServeLinkOptions) {
    this.#control = control;
    this.#mapJson = mapJson;
    this.#onDeath = onDeath;
    this.#onInterval = onInterval;
    const workerData: ServeThreadOptions = {
      ...thread,
      mapJson: mapJson(),
      controlCalls: [...control.handlers.keys()],
      asksIngest: control.askingIngest.settleIngest !== undefined,
    };
    this.#worker = new Worker(new URL('./serve-thread.ts', import.meta.url), {
      workerData,
      transferList: [...thread.feeds.ports, ...thread.exchange.ports.filter((port) => port !== null)],
      name: 'skyshard-serve',
    });
    this.#worker.on('message', (message: FromServeThread) => {
      if (message.type === 'note') note(message.message, message.fields);
      else this.#take(message);
    });
    this.#worker.on('error', (error) => this.#die(errorOfThread('a serving thread', error)));
    this.#worker.on('exit', (code) => {
      this.#die(new Error(`a serving thread ended with code ${code}`));
      this.#ended.resolve();
    });
    this.#ready.promise.catch(() => {});
  }

  #die(error: Error): void {
    for (const resolve of this.#metricsById.values()) resolve([]);
    this.#metricsById.clear();
    for (const resolve of this.#slotsById.values()) resolve();
    this.#slotsById.clear();
    this.#ready.reject(error);
    const isSudden = this.#state === 'listening';
    this.#state = 'dead';
    if (isSudden) this.#onDeath(error);
  }

  #post(message: ToServeThread): void {
    this.#worker.postMessage(message);
  }

  #take(message: FromServeThread): void {
    switch (message.type) {
      case 'ready':
        if (this.#state === 'starting') this.#state = 'listening';
        return this.#ready.resolve();
      case 'call':
        return void this.#answer(message.id, () => this.#call(message));
      case 'request':
        return void this.#answer(message.id, () => this.#replyTo(message.request, message.body));
      case 'epoch':
        void this.#control.saw(message.epoch);
        // The thread may have begun with an older map than is in force here.
        return this.useMap(this.#mapJson());
      case 'interval':
        return this.#onInterval(message.interval);
      case 'metrics':
        this.#metricsById.get(message.id)?.(message.metrics);
        this.#metricsById.delete(message.id);
        return;
      case 'slots-done':
        this.#slotsById.get(message.id)?.();
        this.#slotsById.delete(message.id);
        return;
      case 'fault':
        return this.#die(new InvariantError(message.message));
    }
  }

  async #answer(id: number, make: () => Promise<unknown> | unknown): Promise<void> {
    try {
      this.#post({ type: 'answered', id, value: await make() });
    } catch (thrown) {
      const { code, message, ownHint } = toDataPlaneError(thrown);
      this.#post({ type: 'failed', id, code, message, hint: ownHint });
      if (thrown instanceof InvariantError) this.#die(thrown);
    }
  }

  async #call({ method, payload, epoch, timeoutMs }: FromServeThread & { type: 'call' }): Promise<Uint8Array> {
    const handler = this.#control.handlers.get(method);
    if (handler === undefined) throw new DataPlaneError('Unimplemented', `no method "${method}" on this node`);
    const answer = handler(payload, { method, epoch, deadlineMs: systemClock.monotonicMs() + timeoutMs });
    // A synchronous answer may be in memory of the next one.
    return answer instanceof Uint8Array ? new Uint8Array(answer) : await answer;
  }

  async #replyTo(request: ControlRequest, body: unknown): Promise<unknown> {
    const { status, metricsText, histograms, live, reload, askingIngest, mapAdmin } = this.#control;
    if (request === 'status') return await status();
    if (request === 'metrics') return await metricsText();
    if (request === 'live') return await live(body as LiveQuestion);
    if (request === 'histograms') return await histograms(body as HistogramQuestion);
    if (request === 'settle-ingest') return await askingIngest.settleIngest?.(body as SettleBody);
    if (request === 'erase-at-ingest') return await askingIngest.eraseAtIngest?.(body as Parameters<EraseAtIngest>[0]);
    if (request === 'live-at-ingest') return await askingIngest.liveAtIngest?.(body as LiveQuestion);
    if (request === 'ingest-status') return await askingIngest.ingestStatus?.();
    if (request === 'show-map') return await mapAdmin.show();
    if (request === 'push-map') return await mapAdmin.push(body as PushBody);
    if (request === 'identity') return await this.#lookUp(body as IdentityQuestion);
    await reload();
    return null;
  }

  async #lookUp(question: IdentityQuestion): Promise<ResolvedIdentity | null> {
    const { identity } = this.#control;
    invariant(identity !== null, 'a node with an edge looks identities up');
    const signal = AbortSignal.timeout(lookUpMsMax);
    if (question.by === 'did') return await identity.byDid(question.did, signal);
    if (question.by === 'handle') return await identity.byHandle(question.handle, signal);
    return await identity.fresher(question.did, question.updatedMs, signal);
  }

  /** Resolves once the thread listens. */
  ready(): Promise<void> {
    return this.#ready.promise;
  }

  useReadable(slots: readonly number[]): void {
    this.#post({ type: 'readable', slots });
  }

  useMap(mapJson: unknown): void {
    this.#post({ type: 'map', mapJson });
  }

  /** Has the thread read slots, or forget them. Resolves once it has, or is no more. */
  changeSlots(type: 'open-slots' | 'leave-slots', slots: readonly number[]): Promise<void> {
    const id = this.#nextId++;
    return new Promise((resolve) => {
      if (this.#state === 'dead') return resolve();
      this.#slotsById.set(id, resolve);
      this.#post({ type, id, slots });
    });
  }

  /** Says that a peer has a newer map, so that the thread refuses calls until it gets one. */
  saw(epoch: number): void {
    this.#post({ type: 'epoch', epoch });
  }

  /** Returns the thread's own metrics, none once it has ended. */
  metrics(): Promise<ThreadMetrics> {
    const id = this.#nextId++;
    return new Promise((resolve) => {
      if (this.#state !== 'listening') return resolve([]);
      this.#metricsById.set(id, resolve);
      this.#post({ type: 'metrics', id });
      // A thread that is held up must not hold up the others' metrics.
      setTimeout(() => {
        this.#metricsById.delete(id);
        resolve([]);
      }, metricsMsMax).unref();
    });
  }

  /** Has the thread answer what it runs, close its sockets, and end. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#state = 'closing';
    this.#post({ type: 'close' });
    await this.#ended.promise;
  }
}
