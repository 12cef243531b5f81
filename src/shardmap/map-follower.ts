/**
 * The shard map of one process: the one in force, and the one that it has promised to take.
 *
 * Owns: which map is in force, whether it is known to be out of date, and what of both is durable.
 * Refuses: a second map of an epoch, and what `checkMapChange` refuses. Until a map was pushed, the
 * file is read again when a peer has a newer epoch; from then on files say only where tokens and
 * certificates are.
 */
import type { Clock } from '../base/clock.ts';
import { DataPlaneError, operatingFailure } from '../base/data-plane-error.ts';
import { checkMapChange } from './map-change.ts';
import { digestOf } from './map-digest.ts';
import { parseShardMap, type ShardMap } from './shard-map.ts';

/** The parsed JSON of a map. */
export type MapJson = Readonly<Record<string, unknown>>;

export type HeldMap = { readonly json: MapJson; readonly map: ShardMap; readonly digest: string };

/** What a process has stored; `committed` is null until a map was pushed. */
export type StoredMaps = { readonly committed: MapJson | null; readonly prepared: MapJson | null };

/** Keys of a map that are each machine's own. */
const ownKeys = ['adminTokenFile', 'clusterTokenFile', 'tls'] as const;

/** Returns the JSON of a map without what is a machine's own. */
export function sharedPartOf(json: MapJson): MapJson {
  return Object.fromEntries(
    Object.entries(json).filter(([key]) => key !== '$schema' && !(ownKeys as readonly string[]).includes(key)),
  );
}

/** Returns a map that came from elsewhere, with what is this machine's own from `ownJson`. */
export function heldMapOf(json: MapJson, ownJson: MapJson): HeldMap {
  const own = Object.fromEntries(ownKeys.flatMap((key) => (ownJson[key] == null ? [] : [[key, ownJson[key]]])));
  const whole = { ...sharedPartOf(json), ...own };
  const map = parseShardMap(whole);
  return { json: whole, map, digest: digestOf(map) };
}

export type MapFollowerOptions = {
  /** The JSON of the map that the process starts with. */
  readonly mapJson: MapJson;
  /** What was stored before; absent: nothing. */
  readonly stored?: StoredMaps;
  /** Returns when both are on disk. */
  readonly store: (maps: StoredMaps) => void;
  /** Reads the JSON of the file again. Errors: DataPlaneError. */
  readonly read: () => unknown;
  /** Throws a DataPlaneError for a map that this process cannot take. */
  readonly check?: (map: ShardMap) => void;
  /** Puts a newer map in force. Returns why this process must start again for that, or null. */
  readonly adopt: (newest: HeldMap) => string | null;
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
  #held: HeldMap;
  #prepared: HeldMap | null = null;
  /** The push by which the promise was made last. */
  #preparedBy = '';
  #isPushed: boolean;
  /** The highest that a peer had. */
  #seenEpoch: number;
  #notedEpoch = 0;
  #readMs = Number.NEGATIVE_INFINITY;

  constructor(options: MapFollowerOptions) {
    const { mapJson, stored } = options;
    this.#options = options;
    const map = parseShardMap(mapJson);
    this.#held = { json: mapJson, map, digest: digestOf(map) };
    this.#isPushed = (stored?.committed ?? null) !== null;
    const prepared = stored?.prepared ?? null;
    if (prepared !== null) {
      const held = heldMapOf(prepared, mapJson);
      if (held.map.epoch > map.epoch) this.#prepared = held;
    }
    this.#seenEpoch = map.epoch;
  }

  get map(): ShardMap {
    return this.#held.map;
  }

  get held(): HeldMap {
    return this.#held;
  }

  get prepared(): HeldMap | null {
    return this.#prepared;
  }

  /** The highest that a peer had, or that of the map in force. */
  get seenEpoch(): number {
    return Math.max(this.#seenEpoch, this.map.epoch);
  }

  /** True while a peer has a newer map than this process could adopt. */
  get isOutdated(): boolean {
    return this.#seenEpoch > this.map.epoch;
  }

  /** Returns why this process may not answer for slots, any of which it may have lost, or null. */
  refusal(): string | null {
    return epochRefusal(this.map.epoch, this.#seenEpoch);
  }

  /** Takes the epoch of a peer's frame. */
  saw(epoch: number): void {
    if (epoch <= this.map.epoch) return;
    this.#seenEpoch = Math.max(this.#seenEpoch, epoch);
    const nowMs = this.#options.clock.monotonicMs();
    if (this.#isPushed || nowMs - this.#readMs < readPauseMs) return;
    this.#readMs = nowMs;
    this.#noteProblem(this.#readFile());
  }

  /** Says once for each epoch why a newer map is not in force. */
  #noteProblem(problem: string | null): void {
    if (!this.isOutdated || this.#notedEpoch === this.#seenEpoch) return;
    this.#notedEpoch = this.#seenEpoch;
    const [epoch, own] = [this.#seenEpoch, this.map.epoch];
    const why = problem ?? 'it is asked for; if no node has it, give this process the same map file';
    this.#options.note(`a peer has the shard map of epoch ${epoch}, this process that of ${own}: ${why}`, {
      epoch,
      own,
    });
  }

  /** Returns why the file's map is not in force, or null if it is or is not newer. */
  #readFile(): string | null {
    try {
      const json = this.#options.read() as MapJson;
      const map = parseShardMap(json);
      if (map.epoch <= this.map.epoch) return null;
      if (map.slots !== this.map.slots) return `its file has ${map.slots} slots instead of ${this.map.slots}`;
      return this.#adopt({ json, map, digest: digestOf(map) });
    } catch (thrown) {
      return operatingFailure(thrown).message;
    }
  }

  /**
   * Promises to take a map, durably unless `isDry`, and no other of its epoch.
   *
   * `push` names who asks, so that only the last one can take its promise back.
   * Errors: DataPlaneError `ConfigInvalid` for a map that cannot be taken; nothing is changed then.
   */
  prepare(json: MapJson, holder: string | null, push: string, isDry: boolean): void {
    const next = heldMapOf(json, this.#held.json);
    const nowMs = this.#options.clock.nowMs();
    const isNew = checkMapChange(this.map, next.map, { nowMs, holder });
    if (!isNew) return;
    this.#requirePromisable(next);
    this.#options.check?.(next.map);
    if (isDry) return;
    this.#preparedBy = push;
    const before = this.#prepared;
    if (before?.digest === next.digest) return;
    this.#prepared = next;
    try {
      this.#store();
    } catch (thrown) {
      // What is not on disk is no promise, and is not to be taken for one when it is asked again.
      this.#prepared = before;
      throw thrown;
    }
  }

  #requirePromisable({ map: { epoch }, digest }: HeldMap): void {
    const prepared = this.#prepared;
    if (prepared === null || epoch > prepared.map.epoch || digest === prepared.digest) return;
    const hint = `Push that map again, or another one with epoch ${prepared.map.epoch + 1}.`;
    const what = `a map of epoch ${prepared.map.epoch} with other contents is prepared and may be in force elsewhere`;
    throw new DataPlaneError('ConfigInvalid', `shard map: ${what}`, { hint });
  }

  /** Takes the promise of a push back that committed nowhere. */
  abandon(digest: string, push: string): void {
    if (this.#prepared?.digest !== digest || this.#preparedBy !== push) return;
    this.#prepared = null;
    this.#store();
  }

  /** Holds a map ready that nodes have promised to take, of which this process has no say. */
  expect(json: MapJson): void {
    const next = heldMapOf(json, this.#held.json);
    if (next.map.epoch > this.map.epoch) this.#prepared = next;
  }

  /**
   * Puts a map in force that a majority of the nodes has promised to take.
   *
   * Errors: DataPlaneError `ConfigInvalid` for an older one or another of the same epoch;
   * `WrongEpoch` when this process must start again for it, which comes back with that map.
   */
  commit(json: MapJson): void {
    const next = heldMapOf(json, this.#held.json);
    // A lease binds who prepares; what is committed elsewhere is past that.
    const holder = this.map.lease?.holder ?? null;
    const rules = { nowMs: this.#options.clock.nowMs(), holder, isDecided: true };
    if (!checkMapChange(this.map, next.map, rules)) return;
    this.#isPushed = true;
    this.#options.store({ committed: next.json, prepared: null });
    this.#prepared = null;
    const problem = this.#adopt(next);
    if (problem !== null) throw new DataPlaneError('WrongEpoch', problem);
  }

  /** Says that a newer map of a peer could not be had. */
  missed(problem: string | null): void {
    this.#noteProblem(problem);
  }

  #store(): void {
    const committed = this.#isPushed ? this.#held.json : null;
    this.#options.store({ committed, prepared: this.#prepared?.json ?? null });
  }

  #adopt(next: HeldMap): string | null {
    const problem = this.#options.adopt(next);
    if (problem === null) this.#held = next;
    else this.#seenEpoch = Math.max(this.#seenEpoch, next.map.epoch);
    if (this.#prepared !== null && this.#prepared.map.epoch <= next.map.epoch) this.#prepared = null;
    return problem;
  }
}
