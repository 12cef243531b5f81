/** Whether the slots of a cluster of a test are through with their split. */
import { DataPlaneError } from '../../src/base/data-plane-error.ts';
import type { ShardMap } from '../../src/shardmap/shard-map.ts';
import { type DividedSlot, doublingProgress } from '../../src/shardmap/slot-doubling.ts';
import type { SlotStatus } from '../../src/wire/node-status.ts';

function dividedOf({ slot, slots = 0, knownSlots = 0, isDividing = false, isIndexed }: SlotStatus): DividedSlot {
  return { slot, slots, knownSlots, isDividing, isIndexed };
}

/** Returns whether all copies of all slots are done. A node that cannot be reached is not. */
export async function haveDoubled(
  map: ShardMap,
  statusOf: (node: string) => Promise<readonly SlotStatus[]>,
): Promise<boolean> {
  const said = new Map<string, readonly DividedSlot[]>();
  try {
    for (const node of map.nodes.keys()) said.set(node, (await statusOf(node)).map(dividedOf));
  } catch (thrown) {
    if (thrown instanceof DataPlaneError && thrown.isRetryable) return false;
    throw thrown;
  }
  return [...doublingProgress(map, said).values()].every((phase) => phase === 'done');
}
