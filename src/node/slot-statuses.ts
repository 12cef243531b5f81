/** The status of a node's slots, and metrics that sum it. */
import type { Registry } from 'prom-client';
import { registerReadout, sharedReading } from '../metrics/metric.ts';
import type { MetricName } from '../metrics/metric-table.ts';
import type { ShardMap } from '../shardmap/shard-map.ts';
import type { NodeStatus, SlotStatus } from '../wire/node-status.ts';
import type { ApplyLink } from './apply-link.ts';

type StatusLink = Pick<ApplyLink, 'status'>;

async function slotStatuses(links: readonly StatusLink[]): Promise<SlotStatus[]> {
  const lists = await Promise.all(links.map((link) => link.status()));
  return lists.flat().sort((a, b) => a.slot - b.slot);
}

/** Returns the body of `node.status` and of `GET /v1/status`. */
export async function nodeStatus(name: string, map: ShardMap, links: readonly ApplyLink[]): Promise<NodeStatus> {
  return { role: 'node', name, epoch: map.epoch, pid: process.pid, slots: await slotStatuses(links) };
}

/** Registers sums over the node's slots. Each apply thread is asked once for each scrape. */
export function registerSlotMetrics(registry: Registry, links: readonly StatusLink[]): void {
  const statuses = sharedReading(() => slotStatuses(links));
  const sum = (name: MetricName, field: 'waiting' | 'outbox' | 'quarantined' | 'bytes' | 'cursor'): void =>
    registerReadout(registry, name, async () => (await statuses()).reduce((total, slot) => total + slot[field], 0));
  sum('skyshard_entries_waiting', 'waiting');
  sum('skyshard_entries_applied_total', 'cursor');
  sum('skyshard_outbox_effects', 'outbox');
  sum('skyshard_quarantined_entries', 'quarantined');
  const count = (name: MetricName, isCounted: (slot: SlotStatus) => boolean): void =>
    registerReadout(registry, name, async () => (await statuses()).filter(isCounted).length);
  count('skyshard_slots_stopped', ({ state }) => state === 'stopped');
  count('skyshard_slots_incomplete', ({ condition }) => condition === 'incomplete');
  sum('skyshard_slots_bytes', 'bytes');
  registerReadout(
    registry,
    'skyshard_apply_lag_seconds',
    async () => Math.max(0, ...(await statuses()).map(({ lagMs }) => lagMs ?? 0)) / 1000,
  );
}
