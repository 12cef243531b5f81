/** The digest of a shard map: equal for maps that say the same, however they are written down. */
import { createHash } from 'node:crypto';
import type { ShardMap, ShardMove } from './shard-map.ts';

function partsOf({ from, to, step, isPaused, bytesPerSecond, p99MsMax }: ShardMove): unknown[] {
  return [from, to, step, isPaused, bytesPerSecond, ...(p99MsMax === null ? [] : [p99MsMax])];
}

/**
 * Returns the digest, in hex.
 *
 * Files of tokens and certificates are each machine's own, so they are not part of it.
 */
export function digestOf({ cluster, epoch, slots, isDoubling, nodes, shards, lease }: ShardMap): string {
  const named = <Named extends { readonly name: string }>(all: Iterable<Named>): Named[] =>
    [...all].sort((a, b) => (a.name < b.name ? -1 : 1));
  const content = [
    cluster,
    epoch,
    slots,
    named(nodes.values()).map(({ name, host, port, zone, capacity }) => [name, host, port, zone, capacity]),
    named(shards).map(({ name, primary, replicas, slots: own, move }) => {
      const moves = move === null ? [] : [partsOf(move)];
      return [name, primary, [...replicas].sort(), own, ...moves];
    }),
    lease === null ? null : [lease.holder, lease.untilMs],
    ...(isDoubling ? ['doubling'] : []),
  ];
  return createHash('sha256').update(JSON.stringify(content)).digest('hex');
}
