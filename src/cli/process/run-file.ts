/** `<data>/run.json`: what runs and where it listens, for other commands, scripts and tests. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { reachCrashPoint } from '../../base/crash-point.ts';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { openObjectShape, readShape, recordShape, textShape } from '../../config/json-shape.ts';
import { lockHolder } from './process-lock.ts';

const processEntries = { pid: v.number(), host: textShape, port: v.number(), url: textShape };
const processShape = openObjectShape(processEntries);

const runShape = openObjectShape({
  version: textShape,
  /** Of `skyshard up`. */
  pid: v.number(),
  startedAt: textShape,
  /** Path of the map that all processes use, with real ports. */
  map: textShape,
  epoch: v.number(),
  router: openObjectShape({ ...processEntries, http2Port: v.number(), http2Url: textShape }),
  ingest: processShape,
  nodes: recordShape(textShape, processShape),
  demo: v.nullable(processShape),
});

export type RunningProcess = Readonly<v.InferOutput<typeof processShape>>;

/** A newer version may have written more keys into the file. */
export type RunFile = Readonly<v.InferOutput<typeof runShape>>;

function pathIn(dataDir: string): string {
  return join(dataDir, 'run.json');
}

/** Replaces a file atomically: readers see the old or the new content, never a part. */
export function writeWhole(path: string, text: string): void {
  const newPath = `${path}.new`;
  writeFileSync(newPath, text);
  reachCrashPoint('file-before-replace');
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

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new DataPlaneError('ConfigInvalid', `${path} cannot be read: ${(thrown as Error).message}`);
  }
}

/**
 * Returns the run file of a data folder, or null when there is none.
 *
 * Errors: DataPlaneError `ConfigInvalid` naming the file and what is wrong with it.
 */
export function readRunFile(dataDir: string): RunFile | null {
  const path = pathIn(dataDir);
  const value = readJson(path);
  if (value === undefined) return null;
  return readShape(runShape, value, (problem) => {
    throw new DataPlaneError('ConfigInvalid', `${path}: ${problem}`);
  });
}

/**
 * Returns the address of a running process: the given URL, else the one in the run file.
 *
 * Errors: DataPlaneError `Unavailable` when there is neither, saying whether there soon is.
 */
export function urlOf(process: 'router' | 'ingest', given: string | null, dataDir: string): string {
  const url = given ?? readRunFile(dataDir)?.[process].url;
  if (url !== undefined) return url;
  const pid = lockHolder(dataDir, 'up');
  if (pid !== null)
    throw new DataPlaneError('Unavailable', `\`skyshard up\` on ${dataDir} (process ${pid}) starts or stops`, {
      hint: 'Ask again once it has printed where it listens.',
    });
  throw new DataPlaneError('Unavailable', `nothing runs on ${dataDir} (no run.json)`, {
    hint: `Start it with \`skyshard up\`, or say where it is by --data-dir or --${process}-url.`,
  });
}
