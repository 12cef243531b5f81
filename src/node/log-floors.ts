/** How far the replicas of slots have their logs: what comes after, the log server must retain. */
import { operatingFailure } from '../base/data-plane-error.ts';
import { readPosition } from '../log/log-position.ts';
import type { ShardMap } from '../shardmap/shard-map.ts';
import { slotTables } from '../slot/table/slot-state.ts';
import { logPositionsAnswer, logPositionsRequest } from '../wire/log-positions.ts';
import type { CallHandler, NodeCaller } from '../wire/node-caller.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import { decodeOfPeer } from '../wire/peer-bytes.ts';
import type { SlotReader } from './slot-reader.ts';

const askMsMax = 5_000;

/** Answers how far this node has the logs of slots. */
export function logPositionsHandler(readers: ReadonlyMap<number, SlotReader>): CallHandler {
  return (payload) => {
    const { slots } = logPositionsRequest.decode(payload);
    const positions = slots.flatMap((slot) => {
      const reader = readers.get(slot);
      reader?.environment.refreshReads();
      const at = reader === undefined ? undefined : readPosition(reader.environment.table(slotTables.log));
      return at === undefined ? [] : [{ slot, created: at.created, seq: at.seq }];
    });
    return logPositionsAnswer.encode({ positions });
  };
}

/**
 * Returns by slot the seq up to which all its replicas have the log; infinite for one that has no
 * replica, and none for one of which a replica has nothing, or does not answer.
 */
export async function askLogFloors(
  slots: readonly number[],
  map: ShardMap,
  caller: NodeCaller,
): Promise<ReadonlyMap<number, number>> {
  const floors = new Map(slots.map((slot) => [slot, Number.POSITIVE_INFINITY]));
  const wantedByNode = new Map<string, number[]>();
  for (const shard of map.shards) {
    const own = shard.slots.filter((slot) => floors.has(slot));
    for (const node of shard.replicas) wantedByNode.set(node, [...(wantedByNode.get(node) ?? []), ...own]);
  }
  const askOne = async ([node, wanted]: [string, number[]]): Promise<void> => {
    if (wanted.length === 0) return;
    const seqs = await positionsAt(node, wanted, caller);
    for (const slot of wanted) {
      const seq = seqs.get(slot);
      if (seq === undefined) floors.delete(slot);
      else if (floors.has(slot)) floors.set(slot, Math.min(seq, floors.get(slot)!));
    }
  };
  await Promise.all([...wantedByNode].map(askOne));
  return floors;
}

async function positionsAt(node: string, slots: number[], caller: NodeCaller): Promise<ReadonlyMap<number, number>> {
  const payload = logPositionsRequest.encode({ slots });
  try {
    const answer = await caller.call({ node, method: nodeCalls.logPositions, payload, timeoutMs: askMsMax });
    const { positions } = decodeOfPeer(nodeCalls.logPositions, () => logPositionsAnswer.decode(answer), 'Internal');
    return new Map(positions.map(({ slot, seq }) => [slot, seq]));
  } catch (thrown) {
    operatingFailure(thrown);
    return new Map();
  }
}
