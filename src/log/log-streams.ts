/**
 * Which stream and subject of a NATS server hold the log of a slot.
 *
 * A subject has one slot's log. Slots are grouped into a few streams, since a stream costs the
 * server files, memory and a quorum of its own; their number never changes, or logs would move.
 */
import type { ShardMap } from '../shardmap/shard-map.ts';

export type LogStream = { readonly name: string; readonly subjects: string };

const streamsMax = 4;
/** Of a map that gives its cluster no name. */
const namelessCluster = 'cluster';

function prefixOf({ cluster }: ShardMap): string {
  return `skyshard-${cluster === '' ? namelessCluster : cluster}`;
}

function groupOf(slot: number): number {
  return slot % streamsMax;
}

/** Returns the stream with the log of a slot. */
export function streamOfSlot(map: ShardMap, slot: number): LogStream {
  const prefix = prefixOf(map);
  return { name: `${prefix}-${groupOf(slot)}`, subjects: `${prefix}.${groupOf(slot)}.*` };
}

/** Returns the subject of a slot's log. */
export function subjectOfSlot(map: ShardMap, slot: number): string {
  return `${prefixOf(map)}.${groupOf(slot)}.${slot}`;
}

/** Returns the subject, of the stream of a slot, of notes which say that slots of it split. */
export function subjectOfSplits(map: ShardMap, slot: number): string {
  return `${prefixOf(map)}.${groupOf(slot)}.splits`;
}

/** Fewer slots have fewer streams, and would have more of them once they are doubled. */
export const slotsToDoubleMin = streamsMax;

/** Returns the streams of all slots of a cluster. */
export function streamsOf(map: ShardMap): LogStream[] {
  return Array.from({ length: Math.min(streamsMax, map.slots) }, (_unused, slot) => streamOfSlot(map, slot));
}
