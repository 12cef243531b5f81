/** `skyshard log migrate`: carries the logs of this machine's slots to a server, or back. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { LogSession } from '../../log/log-session.ts';
import { mapAtStart } from '../../mapchange/map-store.ts';
import { slotPath } from '../../node/data-folder.ts';
import { carryToFolder, carryToServer, type LogHome, logHomes, planSlotLog } from '../../node/log-migration.ts';
import { isSlotThere } from '../../node/slot-folders.ts';
import { parseShardMap, type ShardMap } from '../../shardmap/shard-map.ts';
import type { Command, CommandContext } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { readMapFile } from '../map-file.ts';
import { logServerOf } from '../process/log-server.ts';
import { lockStopped } from '../process/stopped-folders.ts';

/** The folder of a node, the slots that are in it, and the map that it starts with. */
type NodeFolder = {
  readonly node: string;
  readonly dataDir: string;
  readonly slots: readonly number[];
  readonly map: ShardMap;
};

function homeOf(operand: string | undefined): LogHome {
  const home = logHomes.find((each) => each === operand);
  if (home !== undefined) return home;
  throw new DataPlaneError('InvalidArgument', `the log goes to ${logHomes.join(' or ')}, not to "${operand}"`);
}

/** The map that `up` wrote to the data folder, unless another one is given. */
function mapOf({ settings, resolved }: CommandContext, nodeFolder: string): ShardMap {
  const beside = join(settings.dataDir, 'shard-map.json');
  const path = resolved.sourceByName.map === 'default' && existsSync(beside) ? beside : settings.map;
  return parseShardMap(mapAtStart(readMapFile(path).raw, nodeFolder).json);
}

function nodeFoldersIn(context: CommandContext): NodeFolder[] {
  const { dataDir } = context.settings;
  const names = existsSync(dataDir) ? readdirSync(dataDir).filter((name) => name.startsWith('node-')) : [];
  return names.sort().flatMap((name) => {
    const folder = join(dataDir, name);
    if (!existsSync(join(folder, 'slots'))) return [];
    const map = mapOf(context, folder);
    if (map.isDoubling)
      throw new DataPlaneError('ConfigInvalid', `the slots of ${folder} are being doubled`, {
        hint: 'Start the cluster, end that with `skyshard slots double`, then carry the logs over.',
      });
    const slots = Array.from({ length: map.slots }, (_unused, slot) => slot);
    const there = slots.filter((slot) => isSlotThere(folder, slot));
    return [{ node: name.slice('node-'.length), dataDir: folder, slots: there, map }];
  });
}

type SlotWork = Omit<NodeFolder, 'slots'> & { readonly slot: number; readonly session: LogSession };

/** Does the work of one slot. Returns the line and the JSON that say what was done. */
async function workOn(context: CommandContext, home: LogHome, work: SlotWork): Promise<[string, object]> {
  const { slot, node, session, map, dataDir } = work;
  const { settings, clock } = context;
  const place = { slot, slots: map.slots, path: slotPath(dataDir, slot), mapBytes: settings.slotMapBytes };
  if (settings.dryRun) {
    const plan = await planSlotLog(place, session);
    const waits = plan.waiting === 0 ? '' : `, and ${plan.waiting} messages wait there`;
    const does = plan.home === home ? 'stays where it is' : `would be carried to the ${home}`;
    const line = `slot ${slot} of ${node}: its log, at ${plan.cursor}, is in the ${plan.home}${waits}; it ${does}`;
    return [line, { node, slot, ...plan }];
  }
  const carried = await (home === 'server' ? carryToServer(place, session) : carryToFolder(place, session, clock));
  const { cursor, applied, wasThere } = carried;
  const also = applied === 0 ? '' : `, after ${applied} entries that it had yet to apply`;
  const did = wasThere ? `was in the ${home} already` : `is carried to the ${home}${also}`;
  return [`slot ${slot} of ${node}: its log, at ${cursor}, ${did}`, { node, slot, home, ...carried }];
}

export const runLogMigrate: Command = async (context) => {
  const { settings, operands, print } = context;
  const home = homeOf(operands[0]);
  const server = logServerOf(settings, home === 'server' && !settings.dryRun);
  if (server === null) throw new DataPlaneError('ConfigInvalid', '--log: must name the server, in both directions');
  const folders = nodeFoldersIn(context);
  const total = folders.reduce((count, { slots }) => count + slots.length, 0);
  if (total === 0) throw new DataPlaneError('ConfigInvalid', `${settings.dataDir} has no slots of a node`);
  const release = await lockStopped(context, folders);
  let done = 0;
  const show = (line: string, json: object): void => {
    done++;
    print(settings.json ? `${JSON.stringify({ ...json, done, total })}\n` : `${line} (${done} of ${total})\n`);
  };
  try {
    for (const folder of folders) {
      const session = await LogSession.open(server, server.urls[0]!, folder.map);
      try {
        for (const slot of folder.slots) show(...(await workOn(context, home, { ...folder, slot, session })));
      } finally {
        await session.close();
      }
    }
  } finally {
    await release();
  }
  if (!settings.json && !settings.dryRun) {
    const how = home === 'server' ? 'with this --log' : 'without --log';
    print(`start all nodes, and ingest, ${how}, once the folders of all machines are carried\n`);
  }
  return exitCode.done;
};
