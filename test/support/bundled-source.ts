/**
 * The program and other processes of tests as a bundle, made once for a run of all tests.
 *
 * A run starts hundreds of processes, and most of what one does until it is ready is loading some
 * seven hundred files. `stripped-source-hook.ts` has those that begin with an entry load its bundle
 * instead, as long as no file that went in has changed.
 */
import { hash } from 'node:crypto';
import { readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import type { Plugin } from 'rolldown';
import { bundleProgram } from '../../ops/program-bundle.ts';
import { replaceFile, sourceCacheFolder } from './stripped-source.ts';

const root = join(import.meta.dirname, '..', '..');
const manifestPath = join(sourceCacheFolder, 'bundle.json');
/** Processes of tests, beside the program. */
const children = ['test/support/node-child.ts', 'test/support/ingest-child.ts', 'test/faults/writer-child.ts'];

/** What the hook reads. All paths of inputs and entries are below the project. */
export type BundleManifest = {
  readonly folder: string;
  /** Names of files by entries. */
  readonly entries: Readonly<Record<string, string>>;
  readonly inputs: readonly (readonly [path: string, bytes: number, modifiedMs: number])[];
};

/** Files find others beside themselves: where they are, and not where the bundle is. */
const keptFolders: Plugin = {
  name: 'kept-folders',
  transform: (code, id) =>
    id.includes('node_modules') ? null : code.replaceAll('import.meta.dirname', JSON.stringify(dirname(id))),
};

function isCurrent(): boolean {
  try {
    const { inputs } = JSON.parse(readFileSync(manifestPath, 'utf8')) as BundleManifest;
    return inputs.every(([path, bytes, modifiedMs]) => {
      const { size, mtimeMs } = statSync(join(root, path));
      return size === bytes && mtimeMs === modifiedMs;
    });
  } catch {
    return false;
  }
}

/** Brings the bundle up to date, of which `stripSource` tells the processes of tests. */
export async function bundleSource(): Promise<void> {
  if (isCurrent()) return;
  const made = join(sourceCacheFolder, `making-bundle-${process.pid}`);
  const further = new Map(children.map((path) => [basename(path, '.ts'), join(root, path)]));
  const { entries, inputs } = await bundleProgram(made, further, [keptFolders]);
  writeFileSync(join(made, 'package.json'), '{"type":"module"}\n');
  const own = inputs.filter((path) => path.startsWith(`${root}/`) && !path.includes('node_modules'));
  // It says which packages went in.
  own.push(join(root, 'package-lock.json'));
  const manifest = {
    entries: Object.fromEntries([...entries].map(([name, path]) => [relative(root, path), `${name}.js`])),
    inputs: own.map((path) => {
      const { size, mtimeMs } = statSync(path);
      return [relative(root, path), size, mtimeMs] as const;
    }),
  };
  const folder = `bundle-${hash('sha1', JSON.stringify(manifest))}`;
  for (const name of readdirSync(sourceCacheFolder)) {
    if (name.startsWith('bundle-')) rmSync(join(sourceCacheFolder, name), { recursive: true });
  }
  renameSync(made, join(sourceCacheFolder, folder));
  replaceFile(manifestPath, JSON.stringify({ folder, ...manifest } satisfies BundleManifest));
}
