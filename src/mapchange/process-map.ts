/** Where a process has its shard map from, and what it does with it. */
import { hostname } from 'node:os';
import type { Clock } from '../base/clock.ts';
import type { MapFollower } from '../shardmap/map-follower.ts';
import type { ShardMap } from '../shardmap/shard-map.ts';
import type { ProcessRole } from '../wire/map-messages.ts';
import type { NodeCaller } from '../wire/node-caller.ts';
import { MapPush, type PushBody } from './map-push.ts';
import { MapWatch } from './map-watch.ts';

export type ProcessMapOptions = {
  readonly maps: MapFollower;
  /** Of the nodes of the map in force; a node calls itself by it, too. */
  readonly caller: NodeCaller;
  readonly role: ProcessRole;
  /** Of a node; others name themselves. */
  readonly node?: string;
  readonly note: (message: string, fields: Record<string, unknown>) => void;
  readonly clock: Clock;
};

/** Follows the map from `start` until `stop`. */
export class ProcessMap {
  readonly maps: MapFollower;
  readonly #watch: MapWatch;
  readonly #push: MapPush;

  constructor(options: ProcessMapOptions) {
    const { maps, caller, role, note, clock } = options;
    const name = options.node ?? `${role}-${process.pid}@${hostname()}`;
    this.maps = maps;
    this.#watch = new MapWatch({ maps, caller, role, name, note, clock });
    this.#push = new MapPush({ maps, caller, watch: this.#watch, name, clock });
  }

  start(): void {
    this.#watch.start();
  }

  /** Takes the epoch of a peer's frame. Returns what to wait for if it is newer, or null. */
  saw(epoch: number): Promise<void> | null {
    this.maps.saw(epoch);
    return this.maps.isOutdated ? this.#watch.check() : null;
  }

  /** Asks the nodes for a newer map. Returns the one in force then. */
  async reload(): Promise<ShardMap> {
    await this.#watch.check();
    return this.maps.map;
  }

  show(): Promise<object> {
    return this.#push.show();
  }

  push(body: PushBody): Promise<object> {
    return this.#push.push(body);
  }

  stop(): Promise<void> {
    return this.#watch.stop();
  }
}
