/**
 * The source without its types, stripped once for all processes and threads of a run of tests.
 *
 * A run starts hundreds of them; of the time that one takes to load, half is this work. Positions
 * and names stay those of the source.
 */
import { hash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

const root = join(import.meta.dirname, '..', '..');
export const sourceCacheFolder: string = join(root, 'node_modules', '.cache', 'stripped-source');
const folders = ['src', 'bench', ...['support', 'simulation', 'faults'].map((name) => join('test', name))];
const hookPath = join(import.meta.dirname, 'stripped-source-hook.ts');

/** Other runs may read the file meanwhile. */
export function replaceFile(path: string, text: string): void {
  const written = `${path}.${process.pid}`;
  writeFileSync(written, text);
  renameSync(written, path);
}

/** What is stored ends with the hash of its source. */
function strip(path: string, cached: string): void {
  const source = readFileSync(path, 'utf8');
  const mark = `\n//${hash('sha1', source)}`;
  try {
    if (readFileSync(cached, 'utf8').endsWith(mark)) return;
  } catch {
    mkdirSync(dirname(cached), { recursive: true });
  }
  replaceFile(cached, stripTypeScriptTypes(source) + mark);
}

/** Brings the cache up to date. Returns the words with which a Node process reads it. */
export function stripSource(): string[] {
  for (const folder of folders) {
    for (const name of readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })) {
      if (name.endsWith('.ts')) strip(join(root, folder, name), join(sourceCacheFolder, folder, name));
    }
  }
  const hook = join(sourceCacheFolder, 'hook.mjs');
  strip(hookPath, hook);
  return ['--import', pathToFileURL(hook).href];
}
