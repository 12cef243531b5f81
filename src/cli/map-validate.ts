/** `skyshard map validate`: checks the shard map and shows who serves what. */
import type { Command } from './command.ts';
import { exitCode } from './exit-code.ts';
import { readMapFile } from './map-file.ts';
import { textTable } from './text-table.ts';

/** Prints ascending slots as ranges, such as `0-7,12`. */
function rangesText(slots: readonly number[]): string {
  const ranges: [number, number][] = [];
  for (const slot of slots) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === slot - 1) last[1] = slot;
    else ranges.push([slot, slot]);
  }
  return ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(',');
}

/** Checks the map. */
export const runMapValidate: Command = async ({ settings, print }) => {
  const { map } = readMapFile(settings.map);
  const shards = map.shards.map((shard) => {
    const node = map.nodes.get(shard.primary)!;
    return { shard: shard.name, primary: shard.primary, address: `${node.host}:${node.port}`, slots: shard.slots };
  });
  if (settings.json) {
    print(`${JSON.stringify({ epoch: map.epoch, slots: map.slots, nodes: map.nodes.size, shards }, null, 2)}\n`);
    return exitCode.done;
  }
  print(
    `${settings.map}: valid, epoch ${map.epoch}, ${map.slots} slots, ${map.nodes.size} nodes, ${shards.length} shards\n\n`,
  );
  const rows = shards.map(({ shard, primary, address, slots }) => [shard, primary, address, rangesText(slots)]);
  print(textTable(['shard', 'primary', 'address', 'slots'], rows));
  return exitCode.done;
};
