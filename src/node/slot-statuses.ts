/** The status of a node's slots, and metrics that sum it. */
import type { Registry } from 'prom-client';
import { registerReadout, sharedReading } from '../metrics/metric.ts';
import type { MetricName } from '../metrics/metric-table.ts';
import { movePhases, moveProgress } from '../router/move-progress.ts';
import type { SearchPool } from '../search/search-pool.ts';
import type { ShardMap } from '../shardmap/shard-map.ts';
import { freeDiskBytes } from '../storage/disk-room.ts';
import type { NodeStatus, SlotStatus } from '../wire/node-status.ts';
import type { ApplyLink } from './apply-link.ts';
import type { ApplyStatus } from './apply-messages.ts';
import type { ReplicaRebuilds } from './replica-rebuilds.ts';

type StatusLink = Pick<ApplyLink, 'status'>;

/** Returns the status of all slots, in their order, and that of the log of the worst off thread. */
async function statusOf(links: readonly StatusLink[]): Promise<ApplyStatus> {
  const statuses = await Promise.all(links.map((link) => link.status()));
  const logs = statuses.map(({ log }) => log);
  return {
    slots: statuses.flatMap(({ slots }) => slots).sort((a, b) => a.slot - b.slot),
    log: logs.find((log) => log !== null && log.problem !== null) ?? logs[0] ?? null,
  };
}

/** Returns the body of `node.status` and of `GET /v1/status`. */
export async function nodeStatus(
  { name, dataDir }: { readonly name: string; readonly dataDir: string },
  map: ShardMap,
  links: readonly ApplyLink[],
  {
    search,
    ...more
  }: Pick<NodeStatus, 'fetches' | 'histograms' | 'slotMapBytes'> & { readonly search: SearchPool | null },
): Promise<NodeStatus> {
  const { slots: statuses, log } = await statusOf(links);
  const { epoch } = map;
  const slots = map.isDoubling && search !== null ? await withIndexes(statuses, search) : statuses;
  const freeBytes = freeDiskBytes(dataDir);
  const upMs = Math.round(process.uptime() * 1000);
  return { role: 'node', name, epoch, pid: process.pid, upMs, slots: [...slots], freeBytes, log, ...more };
}

/** Says of each slot whether searches find what it has by an index of its own. */
async function withIndexes(statuses: readonly SlotStatus[], search: SearchPool): Promise<SlotStatus[]> {
  const { slots } = await search.statusOrEmpty();
  const indexed = new Set(slots.filter(({ isServed }) => isServed).map(({ slot }) => slot));
  return statuses.map((status) => ({ ...status, isIndexed: indexed.has(status.slot) }));
}

/** Moves and copies of a node, as its metrics say how far they are. */
export type SlotArrivals = {
  readonly name: string;
  readonly map: () => ShardMap;
  readonly rebuilds: Pick<ReplicaRebuilds, 'progress' | 'receivedBytes'>;
};

type Statuses = () => Promise<readonly SlotStatus[]>;

/** Registers how far the slots are that move to the node, and copies that it fetches. */
function registerArrivals(registry: Registry, statuses: Statuses, { name, map, rebuilds }: SlotArrivals): void {
  registerReadout(registry, 'skyshard_slots_moving', async () => {
    const own = { name, slots: await statuses(), fetches: rebuilds.progress };
    const arriving = moveProgress(map(), [own]).filter(({ to }) => to === name);
    const bySource = Map.groupBy(arriving, ({ from }) => from);
    return [...bySource].flatMap(([from, moves]) =>
      movePhases.map((state) => ({
        labels: { from, to: name, state },
        value: moves.filter(({ phase }) => phase === state).length,
      })),
    );
  });
  registerReadout(registry, 'skyshard_slot_fetches', () => {
    const failing = rebuilds.progress.filter(({ problem }) => problem !== '').length;
    return [
      { labels: { state: 'arriving' }, value: rebuilds.progress.length - failing },
      { labels: { state: 'failing' }, value: failing },
    ];
  });
  registerReadout(registry, 'skyshard_slot_fetch_left_bytes', () =>
    rebuilds.progress.reduce((sum, { bytes, bytesDone }) => sum + bytes - bytesDone, 0),
  );
  registerReadout(registry, 'skyshard_slot_fetched_bytes_total', () => rebuilds.receivedBytes);
}

/** Registers sums over the node's slots. Each apply thread is asked once for each scrape. */
export function registerSlotMetrics(registry: Registry, links: readonly StatusLink[], arrivals: SlotArrivals): void {
  const statuses = sharedReading(async () => (await statusOf(links)).slots);
  const sum = (name: MetricName, numberOf: (slot: SlotStatus) => number): void =>
    registerReadout(registry, name, async () => (await statuses()).reduce((total, slot) => total + numberOf(slot), 0));
  sum('skyshard_entries_waiting', ({ waiting }) => waiting);
  sum('skyshard_entries_applied_total', ({ cursor }) => cursor);
  sum('skyshard_outbox_effects', ({ outbox }) => outbox);
  sum('skyshard_quarantined_entries', ({ quarantined }) => quarantined);
  const count = (name: MetricName, isCounted: (slot: SlotStatus) => boolean): void =>
    registerReadout(registry, name, async () => (await statuses()).filter(isCounted).length);
  count('skyshard_slots_stopped', ({ state }) => state === 'stopped');
  count('skyshard_slots_without_log', ({ log }) => log !== null);
  count('skyshard_slots_incomplete', ({ condition }) => condition === 'incomplete');
  count('skyshard_slots_replica', ({ role }) => role === 'replica');
  sum('skyshard_replicas_left_behind', ({ leftBehind = [] }) => leftBehind.length);
  sum('skyshard_replicas_left_behind_total', ({ leftBehindCount = 0 }) => leftBehindCount);
  registerReadout(registry, 'skyshard_log_lag_seconds', async () => {
    const all = await statuses();
    return (['primary', 'replica'] as const).map((role) => ({
      labels: { role },
      value: Math.max(0, ...all.filter((slot) => slot.role === role).map(({ behindMs }) => behindMs)) / 1000,
    }));
  });
  registerArrivals(registry, statuses, arrivals);
  sum('skyshard_slots_bytes', ({ bytes }) => bytes);
  registerReadout(
    registry,
    'skyshard_apply_lag_seconds',
    async () => Math.max(0, ...(await statuses()).map(({ lagMs }) => lagMs ?? 0)) / 1000,
  );
}
