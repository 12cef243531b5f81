/** The calls that a node answers besides reads: writes, and what is rarely asked. */
import type { SearchPool } from '../search/search-pool.ts';
import type { ShardMap } from '../shardmap/shard-map.ts';
import { didsOfSlotAnswer, didsOfSlotRequest } from '../wire/dids-of-slot.ts';
import type { CallHandler } from '../wire/node-caller.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import { type NodeStatus, nodeStatusMessage } from '../wire/node-status.ts';
import { reposToResyncAnswer, reposToResyncRequest } from '../wire/repos-to-resync.ts';
import { comparePositionsRequest, positionsAnswer, positionsRequest } from '../wire/slot-positions.ts';
import { rebuildRequest } from '../wire/slot-verify.ts';
import { didsOfSlot } from './dids-of-slot.ts';
import { searchHandlers } from './node-search.ts';
import type { PositionComparison } from './position-comparison.ts';
import { logPositionsHandler } from './replica-log-positions.ts';
import type { ReplicaRebuilds } from './replica-rebuilds.ts';
import { quarantineHandlers } from './slot-quarantine.ts';
import { reposOf, type SlotReader } from './slot-reader.ts';
import type { SlotWrites } from './slot-writes.ts';
import { storedRepoHandlers } from './stored-repo.ts';

/** What the calls of a node that are no reads need of it. */
export type HandlerParts = {
  readonly search: SearchPool | null;
  readonly readers: ReadonlyMap<number, SlotReader>;
  readonly status: () => Promise<NodeStatus>;
  readonly map: () => ShardMap;
  readonly node: string;
  readonly writes: SlotWrites;
  readonly comparison: PositionComparison;
  readonly rebuilds: ReplicaRebuilds;
};

/** Returns the handlers of the calls that are no reads, by name. */
export function handlersOf({
  readers,
  status,
  writes,
  comparison,
  rebuilds,
  map,
  node,
  search,
}: HandlerParts): Map<string, CallHandler> {
  // Calls to all nodes are answered for each slot by one of them.
  const primaries = (): Map<number, SlotReader> =>
    new Map([...readers].filter(([slot]) => map().primaryBySlot[slot] === node));
  return new Map<string, CallHandler>([
    [nodeCalls.append, (payload) => writes.append(payload)],
    [nodeCalls.write, (payload) => writes.write(payload)],
    [nodeCalls.digest, (payload) => writes.digest(payload)],
    [nodeCalls.compact, (payload) => writes.compact(payload)],
    ...quarantineHandlers(readers, writes),
    ...storedRepoHandlers(readers, (key) => writes.slotOf(key)),
    ...searchHandlers(search),
    [
      nodeCalls.reposToResync,
      (payload) => reposToResyncAnswer.encode(reposOf(primaries(), reposToResyncRequest.decode(payload))),
    ],
    [
      nodeCalls.didsOf,
      (payload) =>
        didsOfSlotAnswer.encode(didsOfSlot(primaries(), { ...didsOfSlotRequest.decode(payload), slots: map().slots })),
    ],
    [
      nodeCalls.positions,
      (payload) => positionsAnswer.encode(comparison.positions(positionsRequest.decode(payload).slots)),
    ],
    [nodeCalls.logPositions, logPositionsHandler(readers, (slot) => rebuilds.positionOf(slot))],
    [
      nodeCalls.rebuild,
      (payload) => {
        rebuilds.order(rebuildRequest.decode(payload));
        return Buffer.alloc(0);
      },
    ],
    [
      nodeCalls.comparePositions,
      (payload) => {
        void comparison.compare(comparePositionsRequest.decode(payload).node);
        return Buffer.alloc(0);
      },
    ],
    [nodeCalls.status, async () => nodeStatusMessage.encode(await status())],
  ]);
}
