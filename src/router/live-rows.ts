/** What the page of a router shows of slots, shards and moves, as rows. Pure. */
import type { MoveGroup, MoveRows, ShardRow, SlotRow } from '../dashboard/cluster-rows.ts';
import type { ShardMap } from '../shardmap/shard-map.ts';
import type { SlotFetch, SlotStatus } from '../wire/node-status.ts';
import { type MoveProgress, moveProgress } from './move-progress.ts';

/** What the page needs of a node's status. */
export type NodeState = {
  readonly name: string;
  readonly state: string;
  readonly error?: string | undefined;
  readonly epoch?: number | undefined;
  readonly upMs?: number | undefined;
  readonly slots?: readonly SlotStatus[] | undefined;
  readonly fetches?: readonly SlotFetch[] | undefined;
  readonly slotMapBytes?: number | undefined;
  readonly freeBytes?: number | undefined;
};

/** Of one answer; slots that are in step come last. */
const movesShown = 100;

/** Returns a slot as the page gets it. */
export function slotRow(slot: SlotStatus): SlotRow {
  const { role, lagMs, behindMs, waiting, outbox, bytes, quarantined } = slot;
  return [slot.slot, role, healthOf(slot), lagMs, behindMs, waiting, outbox, bytes, quarantined];
}

function healthOf({ state, condition }: SlotStatus): string {
  return state !== 'applying' ? state : condition;
}

/** Returns how the shards of a map are, as their nodes say. */
export function shardRows({ shards }: ShardMap, nodes: readonly NodeState[]): ShardRow[] {
  const copies = new Map(
    nodes.map(({ name, slots = [] }) => [name, new Map(slots.map((slot) => [slot.slot, slot] as const))] as const),
  );
  return shards.map(({ name, primary, replicas, slots }) => {
    const holders = [primary, ...replicas];
    const all = holders.flatMap((node) => slots.map((slot) => copies.get(node)?.get(slot)));
    const leading = slots.flatMap((slot) => copies.get(primary)?.get(slot) ?? []);
    const lags = leading.flatMap(({ lagMs }) => lagMs ?? []);
    return {
      name,
      primary,
      replicas,
      slots: slots.length,
      unwell: all.filter((copy) => copy === undefined || healthOf(copy) !== 'complete').length,
      lagMs: lags.length === 0 ? null : lags.reduce((a, b) => Math.max(a, b)),
      behindMs: all.reduce((most, copy) => Math.max(most, copy?.behindMs ?? 0), 0),
      bytes: leading.reduce((sum, { bytes }) => sum + bytes, 0),
    };
  });
}

function groupOf(moves: readonly MoveProgress[]): MoveGroup {
  const { from, to } = moves[0]!;
  const sum = (of: (move: MoveProgress) => number): number => moves.reduce((total, move) => total + of(move), 0);
  const counts = Map.groupBy(moves, ({ phase }) => phase);
  const sizeOf = ({ bytes, slotBytes }: MoveProgress): number => Math.max(bytes, slotBytes);
  const isThere = ({ isInStep, entriesBehind, step }: MoveProgress): boolean =>
    step === 'kept' || isInStep || entriesBehind !== null;
  return {
    from,
    to,
    slots: moves.length,
    countByPhase: Object.fromEntries([...counts].map(([phase, of]) => [phase, of.length])),
    bytes: sum(sizeOf),
    bytesDone: sum((move) => (isThere(move) ? sizeOf(move) : move.bytesDone)),
    entriesBehind: sum(({ entriesBehind }) => entriesBehind ?? 0),
  };
}

/** Returns how far moves are, in all and by slot, as nodes say. */
export function moveRows(map: ShardMap, nodes: readonly NodeState[]): MoveRows {
  const all = moveProgress(map, nodes);
  const groups = Map.groupBy(all, ({ from, to }) => `${from} ${to}`);
  const slots = all.toSorted((a, b) => Number(a.isInStep) - Number(b.isInStep)).slice(0, movesShown);
  return { groups: [...groups.values()].map(groupOf), slots };
}
