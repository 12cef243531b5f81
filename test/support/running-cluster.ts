/** `skyshard up` for tests, in its own process and folder, on free ports. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type RunFile, readRunFile } from '../../src/cli/process/run-file.ts';
import { makeMemoryFolder } from './memory-folder.ts';
import { projectRoot } from './source-scan.ts';
import { until } from './until.ts';

const mainPath = join(projectRoot, 'src', 'cli', 'main.ts');
const freePorts = ['--router-port=0', '--http2-port=0', '--ingest-port=0', '--demo-port=0'];

/** What a process has of the environment of the tests. */
function environmentOf(program: Program): NodeJS.ProcessEnv {
  const { PATH, HOME, NODE_OPTIONS } = process.env;
  return program === sourceProgram ? { PATH, HOME, NODE_OPTIONS } : { PATH, HOME };
}

export type Ended = { readonly code: number | null; readonly out: string; readonly err: string };

/** The program to run: the source under this Node, unless a test passes another. */
export type Program = readonly string[];

export const sourceProgram: Program = [process.execPath, mainPath];

/** Runs one command and waits for its end. */
export async function runCommand(
  words: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  program: Program = sourceProgram,
  folder = projectRoot,
): Promise<Ended> {
  const child = spawn(program[0]!, [...program.slice(1), ...words], {
    cwd: folder,
    env: { ...environmentOf(program), ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const printed = collect(child);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, ...printed };
}

function collect(child: ChildProcess): { out: string; err: string } {
  const printed = { out: '', err: '' };
  child.stdout!.on('data', (chunk: Buffer) => {
    printed.out += chunk.toString();
  });
  child.stderr!.on('data', (chunk: Buffer) => {
    printed.err += chunk.toString();
  });
  return printed;
}

export type RunningCluster = {
  readonly dataDir: string;
  readonly run: RunFile;
  readonly printed: { readonly out: string; readonly err: string };
  /** The exit code, once the process has ended. */
  readonly ended: Promise<number | null>;
  /** Sends a stop request. Returns: the exit code, once the process has ended. */
  stop(): Promise<number | null>;
};

const twoShards = [
  { name: 's0', primary: 'n0', replicas: [], slots: ['0-1'] },
  { name: 's1', primary: 'n1', replicas: [], slots: ['2-3'] },
];
const oneShard = [{ name: 's0', primary: 'n0', replicas: [], slots: ['0-3'] }];

/** Makes a folder with a map of one or two nodes on free ports; the caller removes it. */
export function clusterFolder(nodeCount: 1 | 2 = 2): string {
  const folder = makeMemoryFolder('skyshard-up-');
  const shards = nodeCount === 1 ? oneShard : twoShards;
  const nodes = Object.fromEntries(shards.map(({ primary }) => [primary, { host: '127.0.0.1', port: 0 }]));
  writeFileSync(join(folder, 'map.json'), JSON.stringify({ epoch: 1, slots: 4, nodes, shards }));
  return folder;
}

/** Makes such a folder with the example in ops/, but for its ports, which are free ones. */
export function exampleFolder(): string {
  const folder = makeMemoryFolder('skyshard-up-');
  const example = readFileSync(join(projectRoot, 'ops', 'two-nodes.json'), 'utf8');
  writeFileSync(join(folder, 'map.json'), example.replaceAll(/"port": \d+/g, '"port": 0'));
  return folder;
}

/** Makes a folder whose own shard-map.json is that of one node, with 16 slots, on a free port. */
export function ownMapFolder(): string {
  const folder = makeMemoryFolder('skyshard-up-');
  const map = readFileSync(join(projectRoot, 'shard-map.json'), 'utf8');
  writeFileSync(join(folder, 'shard-map.json'), map.replaceAll(/"port": \d+/g, '"port": 0'));
  return folder;
}

/** Removes a folder that `clusterFolder` made. */
export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
}

/** Returns the flags of `up` in a folder: its data, its `map.json`, if any, and free ports. */
export function upFlags(folder: string): string[] {
  const map = join(folder, 'map.json');
  return [`--data-dir=${join(folder, 'data')}`, ...(existsSync(map) ? [`--map=${map}`] : []), ...freePorts];
}

/** Starts `skyshard up` in a folder of `clusterFolder` and waits until it is up. */
export async function startCluster(
  folder: string,
  words: readonly string[],
  program: Program = sourceProgram,
): Promise<RunningCluster> {
  const dataDir = join(folder, 'data');
  const child = spawn(program[0]!, [...program.slice(1), 'up', ...upFlags(folder), ...words], {
    cwd: folder,
    env: environmentOf(program),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const printed = collect(child);
  const closed = once(child, 'close') as Promise<[number | null]>;
  try {
    await until(() => {
      if (child.exitCode !== null) throw new Error(`up ended with ${child.exitCode}:\n${printed.err}`);
      return printed.out.includes('skyshard is up');
    }, 90_000);
  } catch (thrown) {
    child.kill('SIGTERM');
    await closed;
    throw new Error(`${(thrown as Error).message}\n${printed.out}\n${printed.err}`);
  }
  const ended = closed.then(([code]) => code);
  const stop = async (): Promise<number | null> => {
    child.kill('SIGTERM');
    return ended;
  };
  return { dataDir, run: readRunFile(dataDir)!, printed, ended, stop };
}
