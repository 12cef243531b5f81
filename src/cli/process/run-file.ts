/** `<data>/run.json`: what runs now and where it listens, for the other commands, scripts and tests. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DataPlaneError } from '../../base/data-plane-error.ts';

/** One listening process. */
export type RunningProcess = {
  readonly pid: number;
  readonly host: string;
  readonly port: number;
  readonly url: string;
};

/** The whole cluster of one `skyshard up`. */
export type RunFile = {
  readonly version: string;
  /** Of `skyshard up`. */
  readonly pid: number;
  readonly startedAt: string;
  /** Path of the map that all processes use, with real ports. */
  readonly map: string;
  readonly epoch: number;
  readonly router: RunningProcess & { readonly http2Port: number; readonly http2Url: string };
  readonly ingest: RunningProcess;
  readonly nodes: Readonly<Record<string, RunningProcess>>;
  readonly demo: RunningProcess | null;
};

function pathIn(dataDir: string): string {
  return join(dataDir, 'run.json');
}

/** Writes a file so that readers see the old or the new content, never a part. */
export function writeWhole(path: string, text: string): void {
  const newPath = `${path}.new`;
  writeFileSync(newPath, text);
  renameSync(newPath, path);
}

/** Writes the run file of a data folder. */
export function writeRunFile(dataDir: string, run: RunFile): void {
  writeWhole(pathIn(dataDir), `${JSON.stringify(run, null, 2)}\n`);
}

/** Removes the run file: nothing runs any more. */
export function removeRunFile(dataDir: string): void {
  rmSync(pathIn(dataDir), { force: true });
}

/** Returns the run file of a data folder, or null when nothing is said to run there. */
export function readRunFile(dataDir: string): RunFile | null {
  try {
    return JSON.parse(readFileSync(pathIn(dataDir), 'utf8')) as RunFile;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new DataPlaneError('ConfigInvalid', `${pathIn(dataDir)} cannot be read: ${(thrown as Error).message}`);
  }
}

/**
 * Returns the address of a running process: the given URL, else the one in the run file.
 *
 * Errors: DataPlaneError `Unavailable` when neither is there.
 */
export function urlOf(process: 'router' | 'ingest', given: string | null, dataDir: string): string {
  const url = given ?? readRunFile(dataDir)?.[process].url;
  if (url !== undefined) return url;
  throw new DataPlaneError('Unavailable', `nothing runs on ${dataDir} (no run.json)`, {
    hint: `Start it with \`skyshard up\`, or say where it is by --data-dir or --${process}-url.`,
  });
}
