/** `skyshard up` with a map of three nodes, and the commands that change the map. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Ended, type RunningCluster, runCommand } from './running-cluster.ts';

export const threeNodes = ['n0', 'n1', 'n2'];

/** Makes a folder with a map of three nodes on free ports; the caller removes it. */
export function threeNodeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'skyshard-up-'));
  const nodes = Object.fromEntries(threeNodes.map((name) => [name, { host: '127.0.0.1', port: 0 }]));
  const shards = [
    { name: 's0', primary: 'n0', slots: ['0'] },
    { name: 's1', primary: 'n1', slots: ['1'] },
    { name: 's2', primary: 'n2', slots: ['2-3'] },
  ];
  writeFileSync(join(folder, 'map.json'), JSON.stringify({ epoch: 1, slots: 4, nodes, shards }));
  return folder;
}

export type MapContent = {
  epoch: number;
  nodes: Record<string, { host: string; port: number; zone?: string }>;
  shards: { name: string; primary: string; slots: string[] }[];
} & Record<string, unknown>;

type Shown = {
  readonly epoch: number;
  readonly digest: string;
  readonly map: MapContent;
  readonly nodes: readonly { readonly name: string; readonly epoch: number | null; readonly preparedEpoch?: number }[];
  readonly others: readonly { readonly role: string; readonly epoch: number }[];
};

/** Returns the map in force, and who has which. */
export async function shownMap({ dataDir }: RunningCluster): Promise<Shown> {
  const shown = await runCommand(['map', 'show', '--json', `--data-dir=${dataDir}`]);
  if (shown.code !== 0) throw new Error(shown.err);
  return JSON.parse(shown.out) as Shown;
}

/** Writes a map into the data folder and pushes it. */
export function pushMap({ dataDir }: RunningCluster, map: object, words: readonly string[] = []): Promise<Ended> {
  const path = join(dataDir, 'next-map.json');
  writeFileSync(path, JSON.stringify(map));
  return runCommand(['map', 'push', path, `--data-dir=${dataDir}`, '--json', ...words]);
}
