/** What a node tells of its slots: status for operators and settling, sums for dashboards. */
import type { Registry } from '../metrics/registry.ts';
import type { RecordCache } from '../read/cache/record-cache.ts';
import type { ShardMap } from '../shardmap/shard-map.ts';
import type { NodeStatus, SlotStatus } from '../wire/node-status.ts';
import type { ApplyLink } from './apply-link.ts';

/** What is asked of an apply thread here. */
type StatusLink = Pick<ApplyLink, 'status'>;

async function slotStatuses(links: readonly StatusLink[]): Promise<SlotStatus[]> {
  const lists = await Promise.all(links.map((link) => link.status()));
  return lists.flat().sort((a, b) => a.slot - b.slot);
}

/** Returns the body of `node.status` and of `GET /v1/status`. */
export async function nodeStatus(name: string, map: ShardMap, links: readonly ApplyLink[]): Promise<NodeStatus> {
  return { role: 'node', name, epoch: map.epoch, pid: process.pid, slots: await slotStatuses(links) };
}

/** Registers how often a serving thread finds records in its memory, and how much of that it sets aside. */
export function registerRecordCacheMetrics(registry: Registry, cache: RecordCache): void {
  const one = (kind: 'gauge' | 'counter', name: string, help: string, read: () => number): void =>
    registry.readout(kind, `skyshard_node_record_cache_${name}`, help, [], () => [{ labelValues: [], value: read() }]);
  one('counter', 'hits', 'Reads of records answered from memory.', () => cache.hitCount);
  one('counter', 'misses', 'Reads of records that went to storage.', () => cache.missCount);
  one('gauge', 'bytes', 'Memory set aside for records, outside the JavaScript heap.', () => cache.reservedBytes);
}

/**
 * Registers sums over the node's slots.
 *
 * Returns: a function that asks each apply thread once; the sums are those of its last answer, so it goes before each print.
 */
export function registerSlotMetrics(registry: Registry, links: readonly StatusLink[]): () => Promise<void> {
  let latest: readonly SlotStatus[] = [];
  const sum = (field: 'waiting' | 'outbox' | 'bytes' | 'cursor') => () => [
    { labelValues: [], value: latest.reduce((total, slot) => total + slot[field], 0) },
  ];
  registry.readout('gauge', 'skyshard_node_waiting_entries', 'Entries that wait to be applied.', [], sum('waiting'));
  registry.readout(
    'gauge',
    'skyshard_node_outbox_effects',
    'Effects not yet known to be at their target.',
    [],
    sum('outbox'),
  );
  registry.readout('gauge', 'skyshard_node_slots_bytes', 'Bytes of all slots of this node.', [], sum('bytes'));
  registry.readout(
    'counter',
    'skyshard_node_applied_entries',
    'Entries applied since the slots were made.',
    [],
    sum('cursor'),
  );
  registry.readout('gauge', 'skyshard_node_lag_ms', 'Largest lag of any slot.', [], () => [
    { labelValues: [], value: Math.max(0, ...latest.map((slot) => slot.lagMs ?? 0)) },
  ]);
  return async () => {
    latest = await slotStatuses(links);
  };
}
