/** What the page of a router shows of slots, shards and moves, as rows. Pure. */
import type { ShardMap } from '../shardmap/shard-map.ts';
import type { SlotFetch, SlotStatus } from '../wire/node-status.ts';
import { type MovePhase, type MoveProgress, moveProgress } from './move-progress.ts';

/** What the page needs of a node's status. */
export type NodeState = {
  readonly name: string;
  readonly state: string;
  readonly error?: string | undefined;
  readonly epoch?: number | undefined;
  readonly slots?: readonly SlotStatus[] | undefined;
  readonly fetches?: readonly SlotFetch[] | undefined;
  readonly slotMapBytes?: number | undefined;
  readonly freeBytes?: number | undefined;
};

/** Of one answer; slots that are in step come last. */
const movesShown = 100;

/** A slot for the page, in the order of its columns. */
export function slotRow(slot: SlotStatus): (number | string | null)[] {
  const { role, lagMs, behindMs, waiting, outbox, bytes, quarantined } = slot;
  return [slot.slot, role, healthOf(slot), lagMs, behindMs, waiting, outbox, bytes, quarantined];
}

function healthOf({ state, condition }: SlotStatus): string {
  return state !== 'applying' ? state : condition;
}

export type ShardRow = {
  readonly name: string;
  readonly primary: string;
  readonly replicas: readonly string[];
  readonly slots: number;
  /** Copies that are missing, or not as they should be. */
  readonly unwell: number;
  /** The greatest of its primaries; null before the first event. */
  readonly lagMs: number | null;
  /** The greatest of all copies. */
  readonly behindMs: number;
  /** Of its primaries. */
  readonly bytes: number;
};

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

/** The slots that move from one node to another. */
export type MoveGroup = {
  readonly from: string;
  readonly to: string;
  readonly slots: number;
  readonly countByPhase: Readonly<Partial<Record<MovePhase, number>>>;
  /** Of all copies that go there, and of what has come. */
  readonly bytes: number;
  readonly bytesDone: number;
  readonly entriesBehind: number;
};

export type MoveRows = { readonly groups: readonly MoveGroup[]; readonly slots: readonly MoveProgress[] };

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
