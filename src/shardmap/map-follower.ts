/**
 * The shard map of one process, read again when a peer's frames carry a newer epoch.
 *
 * Owns: which map is in force, and whether it is known to be out of date. Refuses: a map of another
 * number of slots, since no process can change that while it runs.
 */
import type { Clock } from '../base/clock.ts';
import { operatingFailure } from '../base/data-plane-error.ts';
import type { ShardMap } from './shard-map.ts';

export type MapFollowerOptions = {
  readonly map: ShardMap;
  /** Reads the file again. Errors: DataPlaneError. */
  readonly read: () => ShardMap;
  /** Puts a newer map in force. Returns why this process cannot, or null. */
  readonly adopt: (map: ShardMap) => string | null;
  /** Called once for each epoch that this process cannot have. */
  readonly note: (message: string, fields: Record<string, unknown>) => void;
  readonly clock: Clock;
};

/** The file is read at most this often. */
const readPauseMs = 1_000;

/** Returns why a process may not answer for slots while a peer has a newer map, or null. */
export function epochRefusal(ownEpoch: number, seenEpoch: number): string | null {
  if (seenEpoch <= ownEpoch) return null;
  return `this process has the shard map of epoch ${ownEpoch}, and a peer that of ${seenEpoch}`;
}

export class MapFollower {
  readonly #options: MapFollowerOptions;
  #map: ShardMap;
  /** The highest that a peer had. */
  #seenEpoch: number;
  #notedEpoch = 0;
  #readMs = Number.NEGATIVE_INFINITY;

  constructor(options: MapFollowerOptions) {
    this.#options = options;
    this.#map = options.map;
    this.#seenEpoch = options.map.epoch;
  }

  get map(): ShardMap {
    return this.#map;
  }

  /** True while a peer has a newer map than this process could adopt. */
  get isOutdated(): boolean {
    return this.#seenEpoch > this.#map.epoch;
  }

  /** Returns why this process may not answer for slots, any of which it may have lost, or null. */
  refusal(): string | null {
    return epochRefusal(this.#map.epoch, this.#seenEpoch);
  }

  /** Takes the epoch of a peer's frame. */
  saw(epoch: number): void {
    if (epoch <= this.#map.epoch) return;
    this.#seenEpoch = Math.max(this.#seenEpoch, epoch);
    const nowMs = this.#options.clock.monotonicMs();
    if (nowMs - this.#readMs < readPauseMs) return;
    this.#readMs = nowMs;
    const problem = this.#follow();
    if (!this.isOutdated || this.#notedEpoch === this.#seenEpoch) return;
    this.#notedEpoch = this.#seenEpoch;
    const { epoch: own } = this.#map;
    const why = problem ?? 'give this process the same map file';
    this.#options.note(`a peer has the shard map of epoch ${epoch}, this process that of ${own}: ${why}`, {
      epoch,
      own,
    });
  }

  /** Reads the file now, and returns the map in force. Errors: DataPlaneError. */
  reload(): ShardMap {
    this.#adopt(this.#options.read());
    return this.#map;
  }

  /** Returns why the file's map is not in force, or null if it is or is not newer. */
  #follow(): string | null {
    try {
      return this.#adopt(this.#options.read());
    } catch (thrown) {
      return operatingFailure(thrown).message;
    }
  }

  #adopt(map: ShardMap): string | null {
    if (map.epoch <= this.#map.epoch) return null;
    if (map.slots !== this.#map.slots) return `its file has ${map.slots} slots instead of ${this.#map.slots}`;
    const problem = this.#options.adopt(map);
    if (problem === null) this.#map = map;
    else this.#seenEpoch = Math.max(this.#seenEpoch, map.epoch);
    return problem;
  }
}
