/** One running node with every slot in a folder of its own, and a client that calls it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { startNode } from '../../src/node/node-process.ts';
import { parseShardMap, type ShardMap } from '../../src/shardmap/shard-map.ts';
import { NodeClient } from '../../src/wire/node-client.ts';

/** The node is `n0` of the map. */
export type LoneNode = AsyncDisposable & {
  readonly map: ShardMap;
  readonly client: NodeClient;
  readonly registry: Registry;
  /** What the node has said, oldest first. */
  readonly notes: readonly string[];
};

function mapJson(slots: number, port: number): object {
  const shards = [{ name: 's0', primary: 'n0', slots: [`0-${slots - 1}`] }];
  return { epoch: 1, slots, nodes: { n0: { host: '127.0.0.1', port } }, shards };
}

export async function startLoneNode(options: {
  slots: number;
  applyThreads: number;
  clusterToken?: string;
  /** See NodeOptions. */
  searchThreads?: number;
  slotMapBytes?: number;
  /** Stays where it is; by default a temporary one, removed with the node. */
  folder?: string;
}): Promise<LoneNode> {
  const { slots, applyThreads, clusterToken = null, searchThreads = 0, slotMapBytes = 2 ** 28 } = options;
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'skyshard-lone-node-'));
  const registry = new Registry();
  const notes: string[] = [];
  const node = await startNode({
    name: 'n0',
    mapJson: mapJson(slots, 0),
    dataDir: folder,
    host: '127.0.0.1',
    port: 0,
    slotMapBytes,
    lingerMs: 1,
    applyThreads,
    searchThreads,
    prefetchReads: false,
    recordCacheMib: 1,
    adminToken: null,
    clusterToken,
    registry,
    note: (message, fields) => void notes.push(`${message} ${JSON.stringify(fields)}`),
  });
  const map = parseShardMap(mapJson(slots, node.port));
  const client = new NodeClient({ map, clusterToken });
  return {
    map,
    client,
    registry,
    notes,
    [Symbol.asyncDispose]: async () => {
      await client[Symbol.asyncDispose]();
      await node.close();
      if (options.folder === undefined) rmSync(folder, { recursive: true, force: true });
    },
  };
}
