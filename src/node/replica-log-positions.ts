/** How far the replicas of slots have their logs: what comes after, the log server must retain. */
import { operatingFailure } from '../base/data-plane-error.ts';
import { readPosition } from '../log/log-position.ts';
import type { ReplicaPosition, StreamPosition } from '../log/log-trimmer.ts';
import type { ShardMap } from '../shardmap/shard-map.ts';
import { slotTables } from '../slot/table/slot-state.ts';
import { logPositionsAnswer, logPositionsRequest } from '../wire/log-positions.ts';
import type { CallHandler, NodeCaller } from '../wire/node-caller.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import { decodeOfPeer } from '../wire/peer-bytes.ts';
import type { SlotReader } from './slot-reader.ts';

const askMsMax = 5_000;

/**
 * Answers how far this node has the logs of slots; of one that it will begin again from a copy, how
 * far that has it.
 */
export function logPositionsHandler(
  readers: ReadonlyMap<number, SlotReader>,
  copyPosition: (slot: number) => StreamPosition | undefined,
): CallHandler {
  const positionOf = (slot: number): StreamPosition | undefined => {
    const reader = readers.get(slot);
    reader?.environment.refreshReads();
    return reader === undefined ? undefined : readPosition(reader.environment.table(slotTables.log));
  };
  return (payload) => {
    const { slots } = logPositionsRequest.decode(payload);
    const positions = slots.flatMap((slot) => {
      const at = copyPosition(slot) ?? positionOf(slot);
      return at === undefined ? [] : [{ slot, created: at.created, seq: at.seq }];
    });
    return logPositionsAnswer.encode({ positions });
  };
}

/** Returns by slot how far each of its replicas has its log. */
export async function askReplicaPositions(
  slots: readonly number[],
  map: ShardMap,
  caller: NodeCaller,
): Promise<ReadonlyMap<number, readonly ReplicaPosition[]>> {
  const positions = new Map(slots.map((slot): [number, ReplicaPosition[]] => [slot, []]));
  const slotsByNode = new Map<string, number[]>();
  for (const shard of map.shards) {
    const own = shard.slots.filter((slot) => positions.has(slot));
    if (own.length === 0) continue;
    for (const node of shard.replicas) slotsByNode.set(node, [...(slotsByNode.get(node) ?? []), ...own]);
  }
  const askOne = async ([node, asked]: [string, number[]]): Promise<void> => {
    const answered = await positionsAt(node, asked, caller).catch((thrown: unknown) => {
      operatingFailure(thrown);
      return null;
    });
    for (const slot of asked)
      positions.get(slot)!.push({ node, at: answered?.get(slot) ?? null, isKnown: answered !== null });
  };
  await Promise.all([...slotsByNode].map(askOne));
  return positions;
}

/** Returns how far a node has the logs of slots that it has. Errors: DataPlaneError. */
export async function positionsAt(
  node: string,
  slots: readonly number[],
  caller: NodeCaller,
): Promise<ReadonlyMap<number, StreamPosition>> {
  const payload = logPositionsRequest.encode({ slots: [...slots] });
  const answer = await caller.call({ node, method: nodeCalls.logPositions, payload, timeoutMs: askMsMax });
  const { positions } = decodeOfPeer(nodeCalls.logPositions, () => logPositionsAnswer.decode(answer), 'Internal');
  return new Map(positions.map(({ slot, created, seq }) => [slot, { created, seq }]));
}
