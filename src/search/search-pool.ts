/**
 * The search of a node: its index thread and its search threads, as the main thread uses them.
 *
 * A serving thread hands a query on and gets the bytes of its answer: it never touches the index.
 */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { Worker, type WorkerOptions } from 'node:worker_threads';
import type { Clock } from '../base/clock.ts';
import { DataPlaneError, operatingFailure } from '../base/data-plane-error.ts';
import type { SearchStatus, VerifiedSlot } from '../wire/search-messages.ts';
import type { SlotProgress } from './index-writer.ts';
import { RestartingWorker } from './restarting-worker.ts';
import type {
  FromSearchThreads,
  PlacedSlots,
  PlacesMessage,
  SearchedSlots,
  SearchThreadOptions,
  ToIndexThread,
  ToSearchThread,
} from './search-thread-messages.ts';

/** Queries that wait for one thread; more are refused. */
const queriesWaitingMax = 256;

/** The module of SQLite says that it is experimental; its version is that of the binary. */
const execArgv = ['--disable-warning=ExperimentalWarning'];

export type SearchPoolOptions = SearchThreadOptions & {
  /** How many search threads there are. */
  readonly threads: number;
  /** Called about once a second with what slots need not keep any more. */
  readonly onProgress: (slots: readonly SlotProgress[]) => void;
  readonly note: (message: string, fields: Record<string, unknown>) => void;
  readonly clock: Clock;
};

export class SearchPool implements AsyncDisposable {
  readonly #index: RestartingWorker<ToIndexThread>;
  readonly #threads: readonly RestartingWorker<ToSearchThread>[];
  #placed: PlacedSlots;

  constructor({ threads, onProgress, note, clock, ...threadOptions }: SearchPoolOptions) {
    mkdirSync(dirname(threadOptions.path), { recursive: true, mode: 0o700 });
    const take = (message: FromSearchThreads): void => {
      if (message.type === 'note') note(message.message, message.fields);
      else if (message.type === 'progress') onProgress(message.slots);
      else if (message.type === 'opened') for (const thread of this.#threads) thread.send({ type: 'reopen' });
      else if (message.type === 'damaged') this.#index.send({ type: 'damaged' });
    };
    const { path, commits, ...placed } = threadOptions;
    this.#placed = placed;
    const data = (): SearchThreadOptions => ({ path, commits, ...this.#placed });
    const common = (): WorkerOptions => ({ workerData: data(), execArgv });
    const startSearch = (): Worker =>
      new Worker(new URL('./search-thread.ts', import.meta.url), { ...common(), name: 'skyshard-search' });
    const startIndex = (): Worker =>
      new Worker(new URL('./index-thread.ts', import.meta.url), { ...common(), name: 'skyshard-index' });
    const options = { onMessage: take, note, clock };
    this.#threads = Array.from(
      { length: threads },
      () => new RestartingWorker({ ...options, name: 'a search thread', start: startSearch }),
    );
    this.#index = new RestartingWorker({ ...options, name: 'the index thread', start: startIndex });
  }

  /**
   * Answers `slot.search`, at the search thread that has least to do.
   *
   * Errors: DataPlaneError as `SearchReader.find`; `ResourceExhausted` when too many queries wait.
   */
  async search(payload: Uint8Array): Promise<Uint8Array> {
    const thread = this.#threads.reduce((least, other) => (other.waiting < least.waiting ? other : least));
    if (thread.waiting >= queriesWaitingMax)
      throw new DataPlaneError('ResourceExhausted', `${queriesWaitingMax} searches wait for each search thread`);
    const copy = new Uint8Array(payload);
    return (await thread.ask((id) => ({ type: 'query', id, payload: copy }), [copy.buffer])) as Uint8Array;
  }

  /**
   * Takes the number of slots of the cluster, those for which alone the node answers, and those
   * that splits are yet to make here: of the latter the index must know before their parents split.
   */
  useSlots({ slots, primaries, coming }: SearchedSlots): void {
    this.#placed = { places: this.#placed.places, slots, primaries, coming };
    this.#index.send({ type: 'splits', slots, coming });
    for (const thread of this.#threads) thread.send({ type: 'primaries', primaries, slots });
  }

  /**
   * Takes the slots that this node has from now on, which are open. Resolves once no thread has
   * others open, and every later search sees the new ones.
   */
  async usePlaces(placed: PlacedSlots): Promise<void> {
    this.#placed = placed;
    const message = (id: number): PlacesMessage => ({ type: 'places', id, ...placed });
    // A thread that has failed takes them when it starts again.
    const done = [this.#index, ...this.#threads].map((thread) => thread.ask(message).catch(operatingFailure));
    await Promise.all(done);
  }

  async status(): Promise<SearchStatus> {
    return (await this.#index.ask((id) => ({ type: 'status', id }))) as SearchStatus;
  }

  /** The status for metrics, which must not fail with the thread. */
  async statusOrEmpty(): Promise<SearchStatus> {
    try {
      return await this.status();
    } catch (thrown) {
      operatingFailure(thrown);
      return { isEnabled: true, posts: 0, actors: 0, feeds: 0, packs: 0, bytes: 0, problem: '', slots: [] };
    }
  }

  /** Has a slot built again, or all of the node. */
  async rebuild(slot: number | null): Promise<void> {
    await this.#index.ask((id) => ({ type: 'rebuild', id, slot }));
  }

  /**
   * Waits until queries find all that the slots of the node hold now.
   *
   * Errors: DataPlaneError `DeadlineExceeded` saying what is missing; `Unavailable`.
   */
  async catchUp(timeoutMs: number): Promise<void> {
    await this.#index.ask((id) => ({ type: 'catch-up', id, timeoutMs }));
    for (const thread of this.#threads) thread.send({ type: 'refresh' });
  }

  /** Compares a slot with its index. Errors: DataPlaneError `Unavailable` while it has none. */
  async verify(slot: number): Promise<VerifiedSlot> {
    return (await this.#index.ask((id) => ({ type: 'verify', id, slot }))) as VerifiedSlot;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([
      this.#index.close({ type: 'close' }),
      ...this.#threads.map((thread) => thread.close({ type: 'close' })),
    ]);
  }
}
