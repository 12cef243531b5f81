/** `skyshard map validate`: checks the shard map and shows which node serves what. */
import { isLoopback } from '../../config/access-token.ts';
import type { ShardMap } from '../../shardmap/shard-map.ts';
import type { Command } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { readMapFile } from '../map-file.ts';
import { textTable } from '../text-table.ts';

/** Formats ascending slots as ranges, such as `0-7,12`. */
function rangesText(slots: readonly number[]): string {
  const ranges: [number, number][] = [];
  for (const slot of slots) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === slot - 1) last[1] = slot;
    else ranges.push([slot, slot]);
  }
  return ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(',');
}

/** Returns what would keep a node from starting although the map itself is valid. */
function warningsOf(map: ShardMap): string[] {
  if (map.clusterTokenFile !== null) return [];
  return [...map.nodes.values()]
    .filter(({ host }) => !isLoopback(host))
    .map(
      ({ name, host }) =>
        `node ${name} listens on ${host}, which other machines can reach, and the map has no clusterTokenFile: ` +
        'it will not start unless --cluster-token-file is given',
    );
}

export const runMapValidate: Command = async ({ settings, print }) => {
  const { map } = readMapFile(settings.map);
  const shards = map.shards.map((shard) => {
    const node = map.nodes.get(shard.primary)!;
    return { shard: shard.name, primary: shard.primary, address: `${node.host}:${node.port}`, slots: shard.slots };
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
  const rows = shards.map(({ shard, primary, address, slots }) => [shard, primary, address, rangesText(slots)]);
  print(textTable(['shard', 'primary', 'address', 'slots'], rows));
  for (const warning of warnings) print(`\nwarning: ${warning}\n`);
  return exitCode.done;
};
