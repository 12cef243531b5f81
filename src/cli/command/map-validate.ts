/** `skyshard map validate`: checks the shard map and shows which node serves what. */
import { isLoopback } from '../../config/access-token.ts';
import { hasReplicas, rangesText, type ShardMap } from '../../shardmap/shard-map.ts';
import type { Command } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { readMapFile } from '../map-file.ts';
import { textTable } from '../text-table.ts';

/** Returns what would keep a node from starting although the map itself is valid. */
function warningsOf(map: ShardMap): string[] {
  const ofParts = hasReplicas(map) ? ['its replicas need a log on a NATS server: no node starts without one'] : [];
  if (map.clusterTokenFile !== null) return ofParts;
  const ofTokens = [...map.nodes.values()]
    .filter(({ host }) => !isLoopback(host))
    .map(
      ({ name, host }) =>
        `node ${name} listens on ${host}, which other machines can reach, and the map has no clusterTokenFile: ` +
        'it will not start unless --cluster-token-file is given',
    );
  return [...ofParts, ...ofTokens];
}

export const runMapValidate: Command = async ({ settings, print }) => {
  const { map } = readMapFile(settings.map);
  const shards = map.shards.map((shard) => {
    const node = map.nodes.get(shard.primary)!;
    const { name, primary, replicas, slots } = shard;
    return { shard: name, primary, replicas, address: `${node.host}:${node.port}`, slots };
  });
  const warnings = warningsOf(map);
  if (settings.json) {
    const { epoch, slots, nodes } = map;
    print(`${JSON.stringify({ epoch, slots, nodes: nodes.size, shards, warnings }, null, 2)}\n`);
    return exitCode.done;
  }
  print(
    `${settings.map}: valid, epoch ${map.epoch}, ${map.slots} slots, ${map.nodes.size} nodes, ${shards.length} shards\n\n`,
  );
  const rows = shards.map(({ shard, primary, address, replicas, slots }) => [
    shard,
    primary,
    address,
    replicas.join(',') || '-',
    rangesText(slots),
  ]);
  print(textTable(['shard', 'primary', 'address', 'replicas', 'slots'], rows));
  for (const warning of warnings) print(`\nwarning: ${warning}\n`);
  return exitCode.done;
};
