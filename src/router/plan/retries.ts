/** Requests that run again: with a newer map, or at other copies when a node cannot answer. */
import { operatingFailure } from '../../base/data-plane-error.ts';
import type { ShardMap } from '../../shardmap/shard-map.ts';
import type { FanOut } from './fan-out.ts';
import type { Plan } from './plan.ts';

/** How often a read is run, at most, while others have copies of what is asked. */
const runsOfRead = 3;

/** A read whose caller need not see its own write. */
export function mayAskReplicas({ isShared, needsPrimaries = false }: Plan): boolean {
  return isShared && !needsPrimaries;
}

export type RetriesOptions = {
  /** Of the newest map. */
  readonly fanOut: () => FanOut;
  /** Reads the map again; absent: requests are not repeated. */
  readonly reloadMap: (() => Promise<ShardMap>) | undefined;
  readonly useMap: (map: ShardMap) => void;
};

export class Retries {
  readonly #options: RetriesOptions;
  readonly #counts = { repeated: 0, rerouted: 0 };
  #reloading: Promise<void> | null = null;

  constructor(options: RetriesOptions) {
    this.#options = options;
  }

  /** Requests that ran again with another map, or asked other copies. */
  get counts(): { readonly repeated: number; readonly rerouted: number } {
    return this.#counts;
  }

  /**
   * Returns the answer of another run, if what a run by the map of `epoch` threw allows one: a node
   * refused the map, or cannot answer a read for which others have copies. Else throws that.
   */
  async again(
    thrown: unknown,
    { plan, epoch }: { readonly plan: Plan; readonly epoch: number },
    runAgain: () => Promise<Uint8Array> | Uint8Array,
  ): Promise<Uint8Array> {
    const { fanOut, reloadMap } = this.#options;
    let failure = thrown;
    for (let runsLeft = runsOfRead; ; ) {
      const { code } = operatingFailure(failure);
      const hasCopies = mayAskReplicas(plan) && fanOut().hasCopies;
      runsLeft -= hasCopies ? 1 : runsOfRead - 1;
      if (runsLeft < 1) throw failure;
      if (code === 'WrongEpoch' && reloadMap !== undefined) {
        this.#counts.repeated++;
        await this.#reload(epoch, reloadMap);
      } else if ((code === 'Unavailable' || code === 'WrongEpoch') && hasCopies) this.#counts.rerouted++;
      else throw failure;
      try {
        return await runAgain();
      } catch (thrownAgain) {
        failure = thrownAgain;
      }
    }
  }

  /** Reloads the map unless it changed since `epoch`; concurrent requests share one reload. */
  #reload(epoch: number, reloadMap: () => Promise<ShardMap>): Promise<void> {
    const { fanOut, useMap } = this.#options;
    if (fanOut().map.epoch !== epoch) return Promise.resolve();
    this.#reloading ??= (async () => {
      try {
        useMap(await reloadMap());
      } finally {
        this.#reloading = null;
      }
    })();
    return this.#reloading;
  }
}
