/** The processes that bench/ingest.ts measures, started by the command line, and their source. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../src/base/clock.ts';
import { withRealPorts } from '../src/cli/map-file.ts';
import { slotPath } from '../src/node/data-folder.ts';
import { type NodeCounts, settle } from '../src/router/settle.ts';
import { parseShardMap, type ShardMap } from '../src/shardmap/shard-map.ts';
import { nodeCalls } from '../src/wire/node-calls.ts';
import { NodeClient } from '../src/wire/node-client.ts';
import { searchCatchUpRequest } from '../src/wire/search-messages.ts';
import { type BenchChild, startChild } from './child-process.ts';

export type IngestClusterOptions = {
  /** An empty folder. */
  readonly folder: string;
  readonly slots: number;
  readonly framesPath: string;
  readonly nodeWords: readonly string[];
  readonly ingestWords: readonly string[];
  readonly nodeFlags: readonly string[];
  /** `#identity` events of a second relay, whose look-ups never end; 0 for none. */
  readonly hanging: number;
};

export type IngestProgress = {
  readonly receivedSeq: number;
  readonly doneSeq: number;
  readonly identitiesPending: number;
};

const nodeNames = ['n0', 'n1'] as const;
const mainPath = join(import.meta.dirname, '..', 'src', 'cli', 'main.ts');
const readyMsMax = 120_000;
const askMsMax = 60_000;

async function ask(url: string): Promise<Record<string, unknown>> {
  const response = await fetch(url, { signal: AbortSignal.timeout(askMsMax) });
  if (!response.ok) throw new Error(`${url} answers ${response.status}: ${await response.text()}`);
  return (await response.json()) as Record<string, unknown>;
}

function portOf(child: BenchChild): number {
  const { ports, port } = child.ready as { ports?: { port: number }; port?: number };
  return ports?.port ?? port!;
}

export class IngestCluster {
  readonly dataDir: string;
  readonly nodes: readonly BenchChild[];
  readonly ingest: BenchChild;
  readonly #map: ShardMap;

  private constructor(dataDir: string, map: ShardMap, nodes: readonly BenchChild[], ingest: BenchChild) {
    this.dataDir = dataDir;
    this.nodes = nodes;
    this.ingest = ingest;
    this.#map = map;
  }

  /** Starts the nodes and the source; `begin` lets ingest follow it. */
  static async start(
    options: IngestClusterOptions,
  ): Promise<{ begin(): Promise<IngestCluster>; stop(): Promise<void> }> {
    const { folder, slots, framesPath, nodeFlags } = options;
    const started: BenchChild[] = [];
    const stop = async (): Promise<void> => {
      for (const child of started.splice(0).reverse()) await child[Symbol.asyncDispose]();
    };
    const start = async (script: string, words: readonly string[]): Promise<BenchChild> => {
      const child = await startChild(script, words, { readyMsMax, nodeFlags });
      // A full pipe would block a child that prints.
      child.process.stdout?.resume();
      started.push(child);
      return child;
    };
    try {
      const { path: mapPath, map } = await writeMap(folder, slots);
      const dataDir = join(folder, 'data');
      const shared = [`--map=${mapPath}`, `--data-dir=${dataDir}`, '--log-level=warn'];
      const source = await start(join(import.meta.dirname, 'ingest-source.ts'), [framesPath, String(options.hanging)]);
      const nodes = await Promise.all(
        nodeNames.map((name) => start(mainPath, ['node', name, ...shared, ...options.nodeWords])),
      );
      const url = `http://127.0.0.1:${portOf(source)}`;
      // Generated commits are not signed.
      const { hangingPort } = source.ready as { hangingPort: number };
      const followed = [
        `--relay=${url}`,
        ...(options.hanging > 0 ? [`--relay=http://127.0.0.1:${hangingPort}`] : []),
        '--verify=off',
        `--plc-url=${url}`,
        `--handle-resolver=${url}`,
        '--allow-private-hosts',
      ];
      const words = ['ingest', ...shared, '--ingest-port=0', '--cursor=0', ...followed, ...options.ingestWords];
      const begin = async (): Promise<IngestCluster> =>
        new IngestCluster(dataDir, map, nodes, await start(mainPath, words));
      return { begin, stop };
    } catch (thrown) {
      await stop();
      throw thrown;
    }
  }

  folderOf(slot: number): string {
    const node = nodeNames[Math.floor((slot * nodeNames.length) / this.#map.slots)]!;
    return slotPath(join(this.dataDir, `node-${node}`), slot);
  }

  async ingestProgress(): Promise<IngestProgress> {
    const status = await ask(`http://127.0.0.1:${portOf(this.ingest)}/v1/status`);
    const [source] = status['sources'] as {
      receivedSeq: number | null;
      doneSeq: number | null;
      dropped: Record<string, number>;
    }[];
    const dropped = Object.entries(source!.dropped);
    if (dropped.length > 0) throw new Error(`ingest dropped events: ${JSON.stringify(dropped)}`);
    return {
      receivedSeq: source!.receivedSeq ?? 0,
      doneSeq: source!.doneSeq ?? 0,
      identitiesPending: status['identitiesPending'] as number,
    };
  }

  /** Waits until searches find all that is applied; at once without an index. */
  async searchCaughtUp(timeoutMs: number): Promise<void> {
    const client = new NodeClient({ map: this.#map, clusterToken: null });
    const payload = searchCatchUpRequest.encode({ timeoutMs });
    for (const node of nodeNames) await client.call({ node, method: nodeCalls.searchCatchUp, payload, timeoutMs });
    await client[Symbol.asyncDispose]();
  }

  /** Waits until every slot has applied its whole log, effects included. */
  async settled(timeoutMs: number): Promise<void> {
    const round = (): Promise<NodeCounts[]> =>
      Promise.all(
        this.nodes.map(async (node, index) => {
          const status = await ask(`http://127.0.0.1:${portOf(node)}/v1/status`);
          return { name: nodeNames[index]!, slots: status['slots'] as NonNullable<NodeCounts['slots']> };
        }),
      );
    await settle(round, timeoutMs, systemClock);
  }
}

async function writeMap(folder: string, slots: number): Promise<{ readonly path: string; readonly map: ShardMap }> {
  const address = { host: '127.0.0.1', port: 0 };
  const half = slots / 2;
  const wanted = {
    epoch: 1,
    slots,
    nodes: Object.fromEntries(nodeNames.map((name) => [name, address])),
    shards: nodeNames.map((name, index) => ({
      name: `s${index}`,
      primary: name,
      replicas: [],
      slots: [`${index * half}-${(index + 1) * half - 1}`],
    })),
  };
  const { raw, map } = await withRealPorts({ raw: wanted, map: parseShardMap(wanted) });
  mkdirSync(folder, { recursive: true });
  const path = join(folder, 'shard-map.json');
  writeFileSync(path, JSON.stringify(raw));
  return { path, map };
}
