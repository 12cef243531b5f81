/**
 * The slots of a node that runs: it opens those that a newer map gives it, gives up those that a
 * map gives it no more, puts copies that have arrived in their places, and splits slots that are
 * doubled, one change at a time.
 *
 * Owns: the order. Whoever writes a slot has opened it before anybody reads it, and nobody has it
 * open or opens it any more when its folder is removed or replaced; its files stay mapped for reads
 * that have begun. The node's other slots are served meanwhile. A process that is killed on the way
 * finds at its next start what is left to do: in the map, in the copies, in `moves.json`. Waits for
 * room on a full disk; anything else that keeps it from a change ends the node.
 */
import type { Clock } from '../base/clock.ts';
import { DataPlaneError, type ErrorCode } from '../base/data-plane-error.ts';
import { invariant } from '../base/invariant.ts';
import { orAborted } from '../base/or-aborted.ts';
import type { SearchPool } from '../search/search-pool.ts';
import { heldSlotsOf, type ShardMap } from '../shardmap/shard-map.ts';
import { readSlotMeta } from '../slot/slot-meta.ts';
import { requireDiskRoomIn } from '../storage/disk-room.ts';
import type { ActingSlots } from './acting-slots.ts';
import type { ApplyLink } from './apply-link.ts';
import { slotPath } from './data-folder.ts';
import { LeftFiles } from './left-files.ts';
import { removeMovedAway } from './moved-slots.ts';
import { searchedSlots, searchPlaces } from './node-search.ts';
import type { ReplicaReads } from './replica-reads.ts';
import { installCopies, type ReplicaRebuilds } from './replica-rebuilds.ts';
import type { ServePool } from './serve-pool.ts';
import { noteSlotsMade, slotsToOpen, unmadeChildren } from './slot-folders.ts';
import { freshState, type SlotReaders } from './slot-reader.ts';
import type { SlotVerifier } from './slot-verifier.ts';
import type { SlotWrites } from './slot-writes.ts';
import type { SnapshotSource } from './snapshot-source.ts';

/** All that has slots open, or does something with them. */
export type HeldSlotsOptions = {
  readonly name: string;
  readonly dataDir: string;
  readonly slotMapBytes: number;
  readonly map: () => ShardMap;
  readonly links: readonly ApplyLink[];
  /** Of the main thread. */
  readonly readers: SlotReaders;
  readonly threads: ServePool;
  readonly search: SearchPool | null;
  readonly acting: ActingSlots;
  readonly replicas: ReplicaReads;
  readonly rebuilds: ReplicaRebuilds;
  readonly writes: SlotWrites;
  readonly snapshots: SnapshotSource;
  readonly verifier: SlotVerifier;
  readonly fail: (error: Error) => void;
  readonly note: (message: string, fields: Record<string, unknown>) => void;
  readonly clock: Clock;
};

/** What is tried again after a while. */
const waitingCodes: ReadonlySet<ErrorCode> = new Set(['StorageFull', 'ApplyStopped', 'Aborted', 'Unavailable']);
const retryMs = 5_000;
/** Without the log server it takes longer, and writes are refused anyway. */
const actingMsMax = 5_000;

export class HeldSlots implements AsyncDisposable {
  readonly #options: HeldSlotsOptions;
  readonly #stop = new AbortController();
  readonly #left: LeftFiles;
  #isDue = true;
  #running: Promise<void> | null = null;
  /** What was waited for last. */
  #problem = '';

  constructor(options: HeldSlotsOptions) {
    this.#options = options;
    this.#left = new LeftFiles(options);
  }

  /**
   * Brings what is open up to the map in force and the copies that are there. Call it once all
   * threads run, and when one of these changes.
   */
  follow(): void {
    this.#isDue = true;
    this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    // What calls this may be about to put a map in force.
    await null;
    const { signal } = this.#stop;
    try {
      while (this.#isDue && !signal.aborted) {
        this.#isDue = false;
        await this.#change().catch((thrown: unknown) => this.#waitFor(thrown));
      }
    } catch (thrown) {
      if (!signal.aborted) this.#options.fail(thrown as Error);
    } finally {
      this.#running = null;
    }
  }

  /** Has what was thrown tried again after a while. Errors: what an operator cannot mend. */
  async #waitFor(thrown: unknown): Promise<void> {
    const { clock, note } = this.#options;
    if (!(thrown instanceof DataPlaneError) || !waitingCodes.has(thrown.code)) throw thrown;
    if (thrown.message !== this.#problem)
      note(`slots wait to be opened or given up: ${thrown.message}`, { hint: thrown.hint });
    this.#problem = thrown.message;
    await clock.sleep(retryMs, this.#stop.signal);
    this.#isDue = true;
  }

  /** Does something that is not to be undone for lack of room. Errors: `Aborted` at the end. */
  async #onceThereIsRoom(work: () => void): Promise<void> {
    for (; ; this.#stop.signal.throwIfAborted()) {
      try {
        return work();
      } catch (thrown) {
        await this.#waitFor(thrown);
      }
    }
  }

  async #change(): Promise<void> {
    const { name, dataDir, readers, rebuilds, acting, note } = this.#options;
    // A newer one, by which folders of open slots might go, has its turn afterwards.
    const map = this.#options.map();
    if (map.isDoubling) this.#options.replicas.check();
    const held = heldSlotsOf(map, name);
    const open = [...readers.bySlot.keys()];
    const away = open.filter((slot) => !held.includes(slot));
    // What a primary has, or is about to act on, is what others follow.
    const isPrimaryOf = (slot: number): boolean => map.primaryBySlot[slot] === name && open.includes(slot);
    const needless = rebuilds.copied.filter((slot) => acting.has(slot) || isPrimaryOf(slot));
    const copied = rebuilds.copied.filter((slot) => held.includes(slot) && !needless.includes(slot));
    if (away.length > 0) note('this node has slots no more by its map, and closes them', { slots: away });
    await this.#close([...away, ...copied.filter((slot) => open.includes(slot))]);
    await rebuilds.leave([...away, ...needless]);
    const removed = await removeMovedAway(dataDir, map, name);
    if (removed.length > 0) note('slots have moved away, and their folders are removed', { slots: removed });
    await installCopies(dataDir, copied, note);
    // Before they are opened: one whose log has lost what comes next is fetched again.
    for (const slot of copied) rebuilds.installed(slot);
    await this.#open(slotsToOpen(dataDir, map, name).filter((slot) => !readers.bySlot.has(slot)));
    if (map.isDoubling) await this.#split(map);
  }

  /**
   * Splits one slot that has yet to, or makes the child of one that has: of the latter first, which
   * apply nothing until then. A replica splits when its log says so. What a slot had is read at its
   * child before it goes on, and removes that. Errors: those of `splitSlot`.
   */
  async #split(map: ShardMap): Promise<void> {
    const { name, dataDir, links, readers } = this.#options;
    const half = map.slots / 2;
    const unmade = unmadeChildren(dataDir, map, name).filter((child) => readers.bySlot.has(child - half));
    const hasSplit = (slot: number): boolean => readSlotMeta(freshState(readers.bySlot, slot)).slots === map.slots;
    const isPrimary = (child: number): boolean => map.primaryBySlot[child] === name;
    const child = unmade.find((each) => hasSplit(each - half)) ?? unmade.find(isPrimary);
    if (child !== undefined) {
      await this.#makeChild(map, child);
      this.#isDue = true;
    }
    for (const link of links)
      link.childrenAreRead([...link.slots].filter((slot) => slot < half && readers.bySlot.has(slot + half)));
  }

  async #makeChild(map: ShardMap, child: number): Promise<void> {
    const { name, dataDir, links, note } = this.#options;
    const parent = child - map.slots / 2;
    const link = links.find(({ slots }) => slots.has(parent));
    invariant(link !== undefined, 'a child is made on the node of its parent');
    // A copy takes long, and its thread gives it up when it ends.
    const splitting = link.split(parent, map.slots, slotPath(dataDir, child)).then(
      () => 'made' as const,
      (thrown: unknown) => {
        const isLost = thrown instanceof DataPlaneError && thrown.code === 'ConfigInvalid';
        // A copy of the parent is of later: as a replica, the child gets one of its own.
        if (isLost && map.primaryBySlot[child] !== name) return 'elsewhere' as const;
        throw thrown;
      },
    );
    const done = await orAborted(splitting, this.#stop.signal);
    if (done === undefined) return;
    await this.#open([child]);
    if (done === 'made') note('a slot has split', { slot: parent, child });
  }

  async #close(slots: readonly number[]): Promise<void> {
    if (slots.length === 0) return;
    const { links, readers, threads, acting, replicas, snapshots, verifier } = this.#options;
    await this.#left.keep(slots);
    readers.leave(slots);
    replicas.leave(slots);
    await threads.changeSlots('leave-slots', slots);
    await this.#useSearch();
    for (const link of links) {
      const own = slots.filter((slot) => link.slots.has(slot));
      if (own.length > 0) await link.leave(own);
    }
    // Their thread may have said meanwhile how far they are.
    replicas.leave(slots);
    // Who waits until this node acts for them waits no more.
    for (const slot of slots) acting.set(slot, false);
    await snapshots.leave(slots);
    await verifier.leave(slots);
  }

  async #open(slots: readonly number[]): Promise<void> {
    if (slots.length === 0) return;
    const { dataDir, links, readers, threads, writes } = this.#options;
    const slotsByLink = new Map(links.map((link): [ApplyLink, number[]] => [link, []]));
    for (const slot of slots) {
      const sizeOf = ([link, own]: [ApplyLink, number[]]): number => link.slots.size + own.length;
      const [, own] = [...slotsByLink].reduce((least, other) => (sizeOf(other) < sizeOf(least) ? other : least));
      own.push(slot);
    }
    requireDiskRoomIn(dataDir, 0);
    for (const [link, own] of slotsByLink) if (own.length > 0) await link.open(own);
    await this.#onceThereIsRoom(() => noteSlotsMade(dataDir, slots));
    readers.open(slots);
    writes.take(slots);
    await threads.changeSlots('open-slots', slots);
    await this.#useSearch();
    await this.#untilActing(slots);
    for (const [link, own] of slotsByLink) if (own.length > 0) link.readersAreOpen(own);
  }

  /**
   * Waits for a while until this node acts for slots of which it is the primary: as long as nobody
   * writes to a child here, it goes to its parent, and waits there.
   */
  async #untilActing(slots: readonly number[]): Promise<void> {
    const { name, map, acting, clock } = this.#options;
    const own = slots.filter((slot) => map().primaryBySlot[slot] === name);
    const over = new AbortController();
    const signal = AbortSignal.any([over.signal, this.#stop.signal]);
    await Promise.race([acting.until(() => own, signal), clock.sleep(actingMsMax, signal)]);
    over.abort();
  }

  async #useSearch(): Promise<void> {
    const { name, dataDir, search, readers, map } = this.#options;
    const places = searchPlaces(this.#options, [...readers.bySlot.keys()]);
    await search?.usePlaces({ places, ...searchedSlots(dataDir, map(), name) });
  }

  /** Resolves once nothing is changed any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
    await this.#left[Symbol.asyncDispose]();
  }
}
