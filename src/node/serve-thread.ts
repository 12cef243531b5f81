/**
 * Entry point of a worker that serves: its own reads and caches, on the ports of the node.
 *
 * What is no read it asks of the main thread. It closes its sockets before it ends: a thread that
 * leaves with open ones aborts the process.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { Registry } from 'prom-client';
import { systemClock } from '../base/clock.ts';
import { DataPlaneError, errorFromPeer, operatingFailure } from '../base/data-plane-error.ts';
import { orAborted } from '../base/or-aborted.ts';
import type { IngestState } from '../dashboard/ingest-state.ts';
import type { HistogramReport } from '../metrics/histogram-report.ts';
import type { Live } from '../metrics/process-histograms.ts';
import { everyInterval, Recording } from '../metrics/recording.ts';
import type { IdentitySource, ResolvedIdentity } from '../router/plan/identity-source.ts';
import { epochRefusal } from '../shardmap/map-follower.ts';
import { parseShardMap } from '../shardmap/shard-map.ts';
import type { CallHandler } from '../wire/node-caller.ts';
import type { NodeStatus } from '../wire/node-status.ts';
import { ChangeInlet, sharedWriteCount } from './change-feed.ts';
import { type NodeControl, ReadServer } from './read-server.ts';
import type {
  ControlRequest,
  FromServeThread,
  IdentityQuestion,
  ServeThreadOptions,
  ThreadMetrics,
  ToServeThread,
} from './serve-messages.ts';
import { reopenReplaced, SlotReaders } from './slot-reader.ts';

type Waiting = { readonly resolve: (value: unknown) => void; readonly reject: (error: Error) => void };

function post(message: FromServeThread): void {
  parentPort!.postMessage(message);
}

/** Asks the main thread, and holds the map as that thread last said it. */
class MainThread {
  readonly #waitingById = new Map<number, Waiting>();
  #nextId = 1;
  map;
  readable: readonly number[] = [];
  #seenEpoch;
  #reloading: Promise<void> | null = null;

  constructor(mapJson: unknown) {
    this.map = parseShardMap(mapJson);
    this.#seenEpoch = this.map.epoch;
  }

  #ask(make: (id: number) => FromServeThread): Promise<unknown> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waitingById.set(id, { resolve, reject });
      post(make(id));
    });
  }

  request(request: ControlRequest, body: unknown = null): Promise<unknown> {
    return this.#ask((id) => ({ type: 'request', id, request, body }));
  }

  /** Returns the handler of a call that the main thread answers. */
  handlerOf(method: string): CallHandler {
    return async (payload, { epoch, deadlineMs }) => {
      const timeoutMs = deadlineMs - systemClock.monotonicMs();
      // A copy, since the memory of a call is reused.
      const copy = new Uint8Array(payload);
      return (await this.#ask((id) => ({ type: 'call', id, method, payload: copy, epoch, timeoutMs }))) as Uint8Array;
    };
  }

  take(message: Extract<ToServeThread, { readonly type: 'answered' | 'failed' }>): void {
    const waiting = this.#waitingById.get(message.id);
    this.#waitingById.delete(message.id);
    if (message.type === 'answered') waiting?.resolve(message.value);
    else waiting?.reject(errorFromPeer('the main thread', message.code, message.message, message.hint));
  }

  /** Returns what to wait for if a call of this thread carried a newer epoch, or null. */
  saw(epoch: number, isOwn: boolean): Promise<void> | null {
    if (epoch > this.#seenEpoch) {
      this.#seenEpoch = epoch;
      if (isOwn) post({ type: 'epoch', epoch });
    }
    return isOwn && epoch > this.map.epoch ? this.#reload() : null;
  }

  /** Resolves after the main thread has asked for a newer map, of which it tells first. */
  #reload(): Promise<void> {
    this.#reloading ??= this.request('reload')
      .then(() => {})
      .finally(() => {
        this.#reloading = null;
      });
    return this.#reloading;
  }

  refusal(): string | null {
    return epochRefusal(this.map.epoch, this.#seenEpoch);
  }
}

function identityOf(main: MainThread): IdentitySource {
  const ask = async (question: IdentityQuestion, signal: AbortSignal): Promise<ResolvedIdentity | null> => {
    const found = await orAborted(main.request('identity', question), signal);
    if (found === undefined) throw new DataPlaneError('Unavailable', 'the identity cannot be resolved in time');
    return found as ResolvedIdentity | null;
  };
  return {
    byDid: (did, signal) => ask({ by: 'did', did }, signal),
    byHandle: (handle, signal) => ask({ by: 'handle', handle }, signal),
    // The stored identity answers then.
    fresher: (did, updatedMs, signal) => ask({ by: 'fresher', did, updatedMs }, signal).catch(noneInTime),
  };
}

function noneInTime(thrown: unknown): null {
  operatingFailure(thrown);
  return null;
}

function controlOf(main: MainThread, { controlCalls, asksIngest }: ServeThreadOptions): NodeControl {
  return {
    handlers: new Map(controlCalls.map((method) => [method, main.handlerOf(method)])),
    map: () => main.map,
    readable: () => main.readable,
    saw: (epoch) => main.saw(epoch, true),
    refusal: () => main.refusal(),
    reload: async () => {
      await main.request('reload');
      return main.map;
    },
    status: async () => (await main.request('status')) as NodeStatus,
    histograms: async (question) => (await main.request('histograms', question)) as HistogramReport,
    live: async (question) => (await main.request('live', question)) as Live,
    metricsText: async () => (await main.request('metrics')) as string,
    askingIngest: asksIngest
      ? {
          settleIngest: async (body) => (await main.request('settle-ingest', body)) as object,
          eraseAtIngest: async (body) => (await main.request('erase-at-ingest', body)) as object,
          liveAtIngest: async (question) => (await main.request('live-at-ingest', question)) as Live,
          ingestStatus: async () => (await main.request('ingest-status')) as IngestState,
        }
      : {},
    identity: identityOf(main),
    mapAdmin: {
      show: async () => (await main.request('show-map')) as object,
      push: async (body) => (await main.request('push-map', body)) as object,
    },
  };
}

async function run(options: ServeThreadOptions): Promise<void> {
  const { settings, mapJson, feeds, exchange, thread } = options;
  const registry = new Registry();
  registry.setDefaultLabels({ thread: String(thread) });
  const recording = new Recording();
  const recordingTimer = everyInterval(recording, (interval) => post({ type: 'interval', interval }));
  const main = new MainThread(mapJson);
  const slotReaders = new SlotReaders(settings.dataDir, settings.slotMapBytes);
  slotReaders.open(settings.heldSlots);
  const { bySlot: readers } = slotReaders;
  const serving = new ReadServer(settings, {
    readers,
    control: controlOf(main, options),
    beforeRead: () => inlet.catchUp(),
    writes: sharedWriteCount(feeds.counts),
    exchange,
    registry,
    recording,
    onFault: (error, method) => post({ type: 'fault', message: `${method}: ${error.message}` }),
    note: (message, fields) => post({ type: 'note', message, fields }),
    clock: systemClock,
  });
  const inlet = new ChangeInlet(feeds, (slot, changes) => {
    reopenReplaced(readers, slot, changes);
    serving.reads.invalidate(slot, changes);
  });
  const listening = serving.listen();
  const close = async (): Promise<void> => {
    await listening.catch(() => {});
    await serving.close();
    recordingTimer[Symbol.dispose]();
    inlet.close();
    await slotReaders[Symbol.asyncDispose]();
    parentPort!.close();
  };
  parentPort!.on('message', (message: ToServeThread) => {
    switch (message.type) {
      case 'answered':
      case 'failed':
        return main.take(message);
      case 'map':
        main.map = parseShardMap(message.mapJson);
        return serving.useMap(main.map);
      case 'readable':
        main.readable = message.slots;
        return serving.readableChanged();
      case 'open-slots':
        slotReaders.open(message.slots);
        serving.readableChanged();
        return void serving.begunHaveEnded().then(() => post({ type: 'slots-done', id: message.id }));
      case 'leave-slots':
        slotReaders.leave(message.slots);
        serving.readableChanged();
        return void serving.begunHaveEnded().then(() => post({ type: 'slots-done', id: message.id }));
      case 'epoch':
        return void main.saw(message.epoch, false);
      case 'metrics':
        post({ type: 'interval', interval: recording.take() });
        return void registry
          .getMetricsAsJSON()
          .then((metrics) => post({ type: 'metrics', id: message.id, metrics: metrics as ThreadMetrics }));
      case 'close':
        return void close();
    }
  });
  await listening;
  post({ type: 'ready' });
}

await run(workerData as ServeThreadOptions);
