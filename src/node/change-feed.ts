/**
 * How the serving threads of a node hear of commits: messages to each, and one count for all.
 *
 * An apply thread posts what a commit changed, counts the commit, and only then reports it to
 * anyone. A serving thread looks at the count before each read, and takes the messages when it has
 * changed. So no read is answered from a cache that an acknowledged write made stale, and nobody
 * waits for a thread that a page fault holds.
 */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import type { WriteCount } from '../router/plan/shared-answers.ts';
import type { SlotChanges } from '../slot/table/slot-state.ts';

type Change = { readonly slot: number; readonly changes: SlotChanges };

/** One thread's ends of the feeds. */
export type ChangeOutlets = { readonly ports: readonly MessagePort[]; readonly counts: SharedArrayBuffer };

/** Indexes in the memory that all threads of a node count in. */
const counter = { commits: 0, writes: 1 } as const;

/** Makes that memory. */
export function sharedCounts(): SharedArrayBuffer {
  return new SharedArrayBuffer(Object.keys(counter).length * Int32Array.BYTES_PER_ELEMENT);
}

/** Returns the one number that counts commits of all apply threads, for `Atomics.load`. */
export function sharedCommitCount(counts: SharedArrayBuffer): Int32Array {
  return new Int32Array(counts, counter.commits * Int32Array.BYTES_PER_ELEMENT, 1);
}

/** Counts what routers wrote, in all threads; see ServiceRouterOptions. */
export function sharedWriteCount(counts: SharedArrayBuffer): WriteCount {
  const numbers = new Int32Array(counts);
  return {
    add: () => void Atomics.add(numbers, counter.writes, 1),
    read: () => Atomics.load(numbers, counter.writes),
  };
}

/** Returns the function of an apply thread that tells all serving threads of a commit. */
export function changePoster({ ports, counts }: ChangeOutlets): (slot: number, changes: SlotChanges) => void {
  const numbers = new Int32Array(counts);
  return (slot, changes) => {
    for (const port of ports) port.postMessage({ slot, changes } satisfies Change);
    Atomics.add(numbers, counter.commits, 1);
  };
}

/** A serving thread's ends of the feeds, one from each apply thread. */
export class ChangeInlet {
  readonly #ports: readonly MessagePort[];
  readonly #numbers: Int32Array;
  readonly #onChange: (slot: number, changes: SlotChanges) => void;
  #seen = 0;

  constructor({ ports, counts }: ChangeOutlets, onChange: (slot: number, changes: SlotChanges) => void) {
    this.#ports = ports;
    this.#numbers = new Int32Array(counts);
    this.#onChange = onChange;
    // A thread that nobody asks must not let messages pile up.
    for (const port of ports) port.on('message', (change: Change) => this.#take(change));
  }

  #take({ slot, changes }: Change): void {
    this.#onChange(slot, changes);
  }

  /** Takes what commits changed, all that were counted before this call. */
  catchUp(): void {
    const commits = Atomics.load(this.#numbers, counter.commits);
    if (commits === this.#seen) return;
    for (const port of this.#ports) {
      for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port))
        this.#take(next.message as Change);
    }
    this.#seen = commits;
  }

  close(): void {
    for (const port of this.#ports) port.close();
  }
}
