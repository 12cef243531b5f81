/**
 * A one-box skyshard for benches: nodes and router as an operator starts them, on prepared data.
 *
 * Owns: loading a network straight into the slots' logs, once per network, slot count and data
 * format; later runs start on the same folders. Benches measure the processes, by their ids.
 */
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readMapFile, withRealPorts } from '../src/cli/map-file.ts';
import type { OutsideEntry } from '../src/entry/entry.ts';
import { RemoteLog } from '../src/log/remote-log.ts';
import { parseShardMap } from '../src/shardmap/shard-map.ts';
import { NodeClient } from '../src/wire/node-client.ts';
import { benchCacheFolder, cachedFolder } from './bench-cache.ts';
import { type BenchChild, startChild } from './child-process.ts';
import { PoolGatherer, type RequestPools } from './request-pools.ts';
import { networkKey, type ServingEntry, type ServingNetworkOptions, servingEntries } from './serving-network.ts';

const projectDir = join(import.meta.dirname, '..');
const mainScript = join(projectDir, 'src/cli/main.ts');
const settleTimeoutMs = 600_000;
/** Sources that decide the bytes of slots and logs. */
const formatFolders = ['src/atproto', 'src/entry', 'src/log', 'src/slot', 'src/storage'];

export type BoxOptions = ProcessOptions & {
  /** Runs on a copy of the data, so that several boxes can run at once. */
  readonly onCopy?: boolean;
  readonly network: ServingNetworkOptions;
  readonly print: (line: string) => void;
};

export type ProcessOptions = {
  readonly slots: number;
  readonly nodes: number;
  /** The router runs in the process of the last node, instead of one of its own. */
  readonly edge?: boolean;
  readonly nodeFlags?: readonly string[];
  /** A program that starts the nodes; see `startChild`. */
  readonly nodePrefix?: readonly string[];
  /** Flags of `skyshard node`. */
  readonly nodeSettings?: readonly string[];
  /** Called once all entries are applied, with the router's port. */
  readonly whenSettled?: (port: number) => Promise<void>;
};

export type Box = {
  readonly port: number;
  readonly http2Port: number;
  readonly pools: RequestPools;
  /** Process ids by name: `router`, `n0`, `n1`, … */
  readonly pids: Readonly<Record<string, number>>;
  readonly dataDir: string;
  [Symbol.asyncDispose](): Promise<void>;
};

function formatHash(): string {
  const hash = createHash('sha256');
  for (const folder of formatFolders) {
    const files = readdirSync(join(projectDir, folder), { recursive: true, encoding: 'utf8' });
    for (const file of files.filter((name) => name.endsWith('.ts')).sort())
      hash.update(readFileSync(join(projectDir, folder, file)));
  }
  return hash.digest('hex').slice(0, 12);
}

function mapOf(slots: number, nodes: number): object {
  const perNode = slots / nodes;
  const names = Array.from({ length: nodes }, (_unused, index) => `n${index}`);
  return {
    epoch: 1,
    slots,
    nodes: Object.fromEntries(names.map((name) => [name, { host: '127.0.0.1', port: 0 }])),
    shards: names.map((name, index) => ({
      name: `s${index}`,
      primary: name,
      slots: [`${index * perNode}-${(index + 1) * perNode - 1}`],
    })),
  };
}

/** Starts nodes and a router on a data folder that holds a map. */
async function startProcesses(
  dataDir: string,
  options: ProcessOptions,
): Promise<{ children: BenchChild[]; names: string[] }> {
  const mapPath = join(dataDir, 'shard-map.json');
  writeFileSync(mapPath, JSON.stringify(mapOf(options.slots, options.nodes)));
  const { raw, map } = await withRealPorts(readMapFile(mapPath));
  writeFileSync(mapPath, JSON.stringify(raw));
  const shared = ['--data-dir', dataDir, '--map', mapPath, '--log-level', 'error'];
  const started = { nodeFlags: options.nodeFlags ?? [], env: { UV_THREADPOOL_SIZE: '16' }, readyMsMax: 60_000 };
  const names = [...map.nodes.keys(), ...(options.edge === true ? [] : ['router'])];
  const routerPorts = ['--router-port', '0', '--http2-port', '0'];
  const edge = options.edge === true ? ['--edge', ...routerPorts] : [];
  const words = (name: string): string[] =>
    name === 'router'
      ? ['router', ...routerPorts, ...shared]
      : ['node', name, ...(name === names.at(-1) ? edge : []), ...(options.nodeSettings ?? []), ...shared];
  const prefixOf = (name: string) => (name === 'router' ? [] : (options.nodePrefix ?? []));
  const start = (of: readonly string[]): Promise<PromiseSettledResult<BenchChild>[]> =>
    Promise.allSettled(of.map((name) => startChild(mainScript, words(name), { ...started, prefix: prefixOf(name) })));
  // A router that comes before its nodes waits seconds until it tries to reach them again.
  const outcomes = await start([...map.nodes.keys()]);
  if (options.edge !== true) outcomes.push(...(await start(['router'])));
  const children = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed === undefined) return { children, names };
  await stopAll(children);
  throw failed.reason;
}

/** Stops the router first, so that no request meets a stopped node. */
async function stopAll(children: readonly BenchChild[]): Promise<void> {
  for (const child of [...children].reverse()) await child[Symbol.asyncDispose]();
}

type ReadyPorts = { readonly port: number; readonly routerPort?: number; readonly http2Port: number };

/** Returns where a router answers. */
function portsOf(child: BenchChild): Pick<Box, 'port' | 'http2Port'> {
  const { ports } = child.ready as { readonly ports: ReadyPorts };
  return { port: ports.routerPort ?? ports.port, http2Port: ports.http2Port };
}

/** Loads the network, and keeps the keys that requests use. */
async function load(dataDir: string, options: BoxOptions): Promise<void> {
  const gatherer = new PoolGatherer();
  await loadEntries(dataDir, options, gathered(options.network, gatherer));
  writeFileSync(join(dataDir, 'pools.json'), JSON.stringify(gatherer.pools(options.network.seed)));
}

function* gathered(network: ServingNetworkOptions, gatherer: PoolGatherer): Generator<ServingEntry> {
  for (const entry of servingEntries(network, (kind, key) => gatherer.addExtra(kind, key))) {
    if (entry.kind === 'commit') gatherer.add(entry);
    yield entry;
  }
}

/** Appends entries to new slots, and waits until all are applied, effects included. */
export async function loadEntries(
  dataDir: string,
  options: ProcessOptions,
  entries: Iterable<OutsideEntry>,
): Promise<void> {
  mkdirSync(dataDir, { recursive: true });
  const { children } = await startProcesses(dataDir, options);
  try {
    const map = parseShardMap(JSON.parse(readFileSync(join(dataDir, 'shard-map.json'), 'utf8')));
    const caller = new NodeClient({ map });
    const log = new RemoteLog({ caller, map: () => map });
    // Entries of one chunk share a promise.
    const durable = new Set<Promise<void>>();
    try {
      for (const entry of entries) {
        durable.add(log.append(entry.did, entry));
        await log.waitForCapacity();
      }
      await Promise.all(durable);
      const { port } = portsOf(children.at(-1)!);
      await settle(port);
      await options.whenSettled?.(port);
    } finally {
      await log[Symbol.asyncDispose]();
      await caller[Symbol.asyncDispose]();
    }
  } finally {
    await stopAll(children);
  }
}

async function settle(port: number): Promise<void> {
  const answer = await fetch(`http://127.0.0.1:${port}/v1/settle`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ timeoutMs: settleTimeoutMs }),
  });
  if (!answer.ok) throw new Error(`settle: ${answer.status} ${await answer.text()}`);
}

/** Prepares a box's data unless an earlier run did. Returns its folder. */
export async function preparedBox(options: BoxOptions): Promise<string> {
  const { records } = options.network;
  const name = `box-${networkKey(options.network)}-${options.slots}-${options.nodes}-`;
  const key = `${name}${formatHash()}`;
  mkdirSync(benchCacheFolder(), { recursive: true });
  for (const old of readdirSync(benchCacheFolder())) {
    if (old.startsWith(name) && old !== key) rmSync(join(benchCacheFolder(), old), { recursive: true, force: true });
  }
  return cachedFolder(key, (folder) => {
    options.print(`loading ${records} records into ${options.slots} slots`);
    // Loading runs without the limits that this bench puts on its nodes.
    const { nodePrefix: _prefix, nodeSettings: _settings, ...unbound } = options;
    return load(folder, unbound);
  });
}

/** Starts a box over a network, which is loaded first unless an earlier run did. */
export async function startBox(options: BoxOptions): Promise<Box> {
  const prepared = await preparedBox(options);
  const dataDir = options.onCopy === true ? mkdtempSync(join(benchCacheFolder(), 'box-copy-')) : prepared;
  if (dataDir !== prepared) cpSync(prepared, dataDir, { recursive: true });
  const pools = JSON.parse(readFileSync(join(dataDir, 'pools.json'), 'utf8')) as RequestPools;
  const { children, names } = await startProcesses(dataDir, options);
  return {
    ...portsOf(children.at(-1)!),
    pools,
    pids: Object.fromEntries(names.map((name, index) => [name, children[index]!.pid])),
    dataDir,
    [Symbol.asyncDispose]: async () => {
      await stopAll(children);
      if (dataDir !== prepared) rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
