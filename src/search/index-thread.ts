/**
 * Entry point of the index thread, the only writer of a node's search index.
 *
 * Owns: what happens when the file cannot be written. A damaged one is removed and built again, a
 * full disk is waited for; slots note their changes meanwhile, and searches answer from what there
 * is, or `Unavailable`.
 */
import { statSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { type Clock, systemClock } from '../base/clock.ts';
import type { SearchStatus, VerifiedSlot } from '../wire/search-messages.ts';
import { CaughtUpWaits } from './caught-up-waits.ts';
import { isDamage, isDiskFull, isIndexFailure, removeIndexFile } from './index-file.ts';
import { verifySlot } from './index-verifier.ts';
import { IndexWriter } from './index-writer.ts';
import { IndexedSlot, mayCome } from './indexed-slot.ts';
import type { FromSearchThreads, PlacesMessage, SearchThreadOptions, ToIndexThread } from './search-thread-messages.ts';

/** How long changes gather, so that a transaction has many: part of how soon a post is found. */
const gatherMs = 200;
/** Without a commit, slots are looked at this often: their files may have been replaced. */
const lookEveryMs = 2_000;
/** A look at all slots takes at most one part in so many of the time … */
const lookShare = 50;
/** … unless changes would gather for longer than this. */
const gatherMsMax = 1_000;
/** A transaction of so many changes is followed by the next at once. */
const manyChanges = 500;
/** The same while somebody waits for the index. */
const gatherAwaitedMs = 5;
const progressEveryMs = 1_000;
const retryMs = 5_000;

function post(message: FromSearchThreads): void {
  parentPort!.postMessage(message);
}

type Verification = { readonly id: number; readonly slot: number; readonly steps: Generator<void, VerifiedSlot> };

class IndexLoop {
  readonly #options: SearchThreadOptions;
  readonly #clock: Clock;
  readonly #slots: Map<number, IndexedSlot>;
  #writer: IndexWriter | null = null;
  #isClosing = false;
  #isDamaged = false;
  #problem = '';
  #progressMs = 0;
  #gatherMs = gatherMs;
  #lookedMs = Number.NEGATIVE_INFINITY;
  /** The count of commits whose changes are all taken. */
  #commitsTaken: number | null = null;
  /** Of the slots of the node, once they are others than before; and who waits for that. */
  #places: PlacesMessage | null = null;
  /** Asked for while the file was not open. */
  readonly #rebuilds: (number | null)[] = [];
  /** What the node knows of splits. */
  #splits: Pick<SearchThreadOptions, 'coming' | 'slots'>;
  readonly #verifications: Verification[] = [];
  readonly #waits = new CaughtUpWaits();
  #wake = new AbortController();

  constructor(options: SearchThreadOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
    this.#splits = options;
    this.#slots = new Map(options.places.map((place) => [place.slot, new IndexedSlot(place)]));
  }

  async run(): Promise<void> {
    while (!this.#isClosing) {
      let waitMs = 0;
      try {
        await this.#usePlaces();
        waitMs = this.#step() ? 0 : this.#waits.isEmpty ? this.#gatherMs : gatherAwaitedMs;
      } catch (thrown) {
        if (!isIndexFailure(thrown)) throw thrown;
        waitMs = this.#recover(thrown as Error);
      }
      this.#endWaits();
      if (!this.#waits.isEmpty) waitMs = Math.min(waitMs, Math.max(1, this.#waits.endMs - this.#clock.monotonicMs()));
      this.#wake = new AbortController();
      await this.#clock.sleep(waitMs, this.#wake.signal);
    }
    this.#writer?.close();
    for (const slot of this.#slots.values()) await slot.close();
    parentPort!.close();
  }

  /** Goes on with the slots that the node has now, as after a start. */
  async #usePlaces(): Promise<void> {
    for (let message = this.#places; message !== null; message = this.#places) {
      this.#places = null;
      await this.#useThese(message);
    }
  }

  async #useThese(message: PlacesMessage): Promise<void> {
    this.#writer?.close();
    this.#writer = null;
    this.#failVerifications('the slots of the node have changed meanwhile');
    const slots = new Set(message.places.map(({ slot }) => slot));
    for (const [index, slot] of this.#slots) {
      if (slots.has(index)) continue;
      this.#slots.delete(index);
      await slot.close();
    }
    for (const place of message.places)
      if (!this.#slots.has(place.slot)) this.#slots.set(place.slot, new IndexedSlot(place));
    post({ type: 'answered', id: message.id, value: null });
  }

  /** Returns whether there is more to do at once. Errors: those of SQLite. */
  #step(): boolean {
    if (this.#isDamaged) this.#remove();
    const writer = this.#open();
    for (let slot = this.#rebuilds.shift(); slot !== undefined; slot = this.#rebuilds.shift()) writer.rebuild(slot);
    const taken = this.#takeChanges(writer);
    const hasWorked = writer.workOn();
    this.#verifySome();
    this.#problem = '';
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#progressMs >= progressEveryMs) {
      this.#progressMs = nowMs;
      post({ type: 'progress', slots: writer.progress() });
    }
    return hasWorked || taken >= manyChanges || this.#verifications.length > 0;
  }

  /** Takes changes if there may be any. Returns how many. */
  #takeChanges(writer: IndexWriter): number {
    const startMs = this.#clock.monotonicMs();
    const commits = Atomics.load(this.#options.commits, 0);
    const mayBeMore = commits !== this.#commitsTaken || startMs - this.#lookedMs >= lookEveryMs;
    if (!mayBeMore && this.#waits.isEmpty) return 0;
    const taken = writer.takeChanges();
    if (taken === 0) {
      this.#commitsTaken = commits;
      this.#lookedMs = this.#clock.monotonicMs();
      this.#gatherMs = Math.min(gatherMsMax, Math.max(gatherMs, lookShare * (this.#lookedMs - startMs)));
    }
    return taken;
  }

  #open(): IndexWriter {
    if (this.#writer !== null) return this.#writer;
    this.#commitsTaken = null;
    this.#writer = IndexWriter.open(this.#options.path, this.#slots, {
      mayCome: (split) => mayCome(split, this.#splits),
    });
    post({ type: 'opened' });
    return this.#writer;
  }

  /** Removes the file; what follows opens a new one. */
  #remove(): void {
    this.#isDamaged = false;
    this.#failVerifications('the index was removed meanwhile');
    post({ type: 'note', message: 'search: the index file is damaged, and is built again', fields: {} });
    this.#writer?.close();
    this.#writer = null;
    removeIndexFile(this.#options.path);
  }

  /** Does what can be done about a failure. Returns when to try again. Units: ms. */
  #recover(thrown: Error): number {
    if (isDamage(thrown)) {
      this.#remove();
      return 0;
    }
    this.#failVerifications('the index could not be written meanwhile');
    this.#writer?.close();
    this.#writer = null;
    const why = isDiskFull(thrown) ? 'the disk is full: free some space' : thrown.message;
    this.#problem = `the index cannot be written, and is tried again every ${retryMs / 1000} s: ${why}`;
    post({ type: 'note', message: `search: ${this.#problem}`, fields: {} });
    return retryMs;
  }

  #endWaits(): void {
    for (const { id, behind } of this.#waits.takeEnded(this.#writer, this.#clock.monotonicMs())) {
      if (behind === null) post({ type: 'answered', id, value: null });
      else {
        const message = ['the search index is behind', behind, this.#problem].filter((part) => part !== '').join(': ');
        post({ type: 'failed', id, code: 'DeadlineExceeded', message });
      }
    }
  }

  #failVerifications(message: string): void {
    for (const { id } of this.#verifications.splice(0)) post({ type: 'failed', id, code: 'Unavailable', message });
  }

  #verifySome(): void {
    const verification = this.#verifications[0];
    if (verification === undefined) return;
    const { done, value } = verification.steps.next();
    if (done !== true) return;
    this.#verifications.shift();
    post({ type: 'answered', id: verification.id, value });
  }

  take(message: ToIndexThread): void {
    switch (message.type) {
      case 'status':
        return post({ type: 'answered', id: message.id, value: this.#status() });
      case 'rebuild':
        this.#rebuilds.push(message.slot);
        this.#wake.abort();
        return post({ type: 'answered', id: message.id, value: null });
      case 'verify':
        return this.#verify(message.id, message.slot);
      case 'catch-up':
        this.#waits.add(message.id, this.#clock.monotonicMs() + message.timeoutMs, this.#writer);
        return this.#wake.abort();
      case 'damaged':
        this.#isDamaged = true;
        return this.#wake.abort();
      case 'splits':
        this.#splits = message;
        return this.#wake.abort();
      case 'places':
        this.#splits = message;
        this.#places = message;
        return this.#wake.abort();
      case 'close':
        this.#isClosing = true;
        return this.#wake.abort();
    }
  }

  #verify(id: number, index: number): void {
    const slot = this.#slots.get(index);
    if (slot === undefined || this.#writer === null || this.#writer.servedKey(index) === 0) {
      const message = `slot ${index} has no index here that could be compared: see skyshard search status`;
      return post({ type: 'failed', id, code: 'Unavailable', message });
    }
    this.#verifications.push({ id, slot: index, steps: verifySlot(this.#writer, slot) });
    this.#wake.abort();
  }

  #status(): SearchStatus {
    const writer = this.#writer;
    const { path } = this.#options;
    const bytes = ['', '-wal'].reduce(
      (sum, end) => sum + (statSync(path + end, { throwIfNoEntry: false })?.size ?? 0),
      0,
    );
    const counts = writer?.counts() ?? { posts: 0, actors: 0, feeds: 0, packs: 0 };
    const slots = writer?.slotStatus() ?? [];
    return { isEnabled: true, ...counts, bytes, problem: this.#problem, slots };
  }
}

const loop = new IndexLoop(workerData as SearchThreadOptions, systemClock);
parentPort!.on('message', (message: ToIndexThread) => loop.take(message));
await loop.run();
