/**
 * Threads for tasks beside serving, which wait for the next task when one is done.
 *
 * Owns: the threads; one that has waited for a while ends. To start one takes a core longer than
 * most tasks do, and a slot that moves has six of them. They hold nothing open between tasks, and
 * go behind all other threads of the machine (`spare-task.ts`).
 */
import { Worker } from 'node:worker_threads';
import { type FromSpareThread, taskDone } from './spare-task.ts';

export type TaskEvents<FromTask> = {
  readonly onMessage: (message: FromTask) => void;
  /** Called once: with null when the task is done, else with why its thread has ended. */
  readonly onEnd: (failure: Error | null) => void;
};

const waitMsMax = 60_000;

export class SpareThreads<Task, FromTask> implements AsyncDisposable {
  readonly #entry: URL;
  readonly #name: string;
  readonly #eventsByBusy = new Map<Worker, TaskEvents<FromTask>>();
  readonly #waiting = new Map<Worker, NodeJS.Timeout>();
  #isClosed = false;

  constructor(entry: URL, name: string) {
    this.#entry = entry;
    this.#name = name;
  }

  /** Begins a task. Returns what sends it more, until it is done. */
  begin(task: Task, events: TaskEvents<FromTask>): (message: unknown) => void {
    const [waiting] = this.#waiting.keys();
    const worker = waiting ?? this.#start();
    clearTimeout(this.#waiting.get(worker));
    this.#waiting.delete(worker);
    this.#eventsByBusy.set(worker, events);
    worker.ref();
    worker.postMessage({ task });
    return (message) => {
      if (this.#eventsByBusy.get(worker) === events) worker.postMessage(message);
    };
  }

  #start(): Worker {
    const worker = new Worker(this.#entry, { name: this.#name });
    let failure = new Error('its thread has ended');
    worker.on('message', (message: FromSpareThread<FromTask>) => {
      if (message === taskDone) this.#wait(worker);
      else this.#eventsByBusy.get(worker)?.onMessage(message);
    });
    worker.on('error', (error: Error) => {
      failure = error;
    });
    worker.on('exit', () => {
      clearTimeout(this.#waiting.get(worker));
      this.#waiting.delete(worker);
      this.#end(worker, failure);
    });
    return worker;
  }

  #wait(worker: Worker): void {
    if (this.#isClosed) void worker.terminate();
    else {
      // It keeps no process from ending.
      worker.unref();
      this.#waiting.set(worker, setTimeout(() => void worker.terminate(), waitMsMax).unref());
    }
    this.#end(worker, null);
  }

  #end(worker: Worker, failure: Error | null): void {
    const events = this.#eventsByBusy.get(worker);
    this.#eventsByBusy.delete(worker);
    events?.onEnd(failure);
  }

  /** Ends the threads; whoever has begun a task has ended it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#waiting.keys()].map((worker) => worker.terminate()));
  }
}
