/**
 * `npm run build:binary`: one executable, `dist/skyshard`, that needs neither Node nor npm to run.
 *
 * Node's single-executable support runs one CommonJS file and stores assets, but native addons and
 * worker threads need files. So the asset is an archive of the bundled program and the few packages
 * with addons; the CommonJS file (`binary-loader.ts`) unpacks it once and runs the program.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, relative, sep } from 'node:path';
import { gzipSync } from 'node:zlib';
// postject has no declarations of its own.
// @ts-expect-error
import { inject } from 'postject';
import { rolldown } from 'rolldown';
import { bundleProgram, wholePackages } from './program-bundle.ts';

const root = join(import.meta.dirname, '..');
const outFolder = join(root, 'dist');
const bundleFolder = join(outFolder, 'bundle');
const binaryPath = join(outFolder, 'skyshard');
/** The text in Node's own binary that marks whether it holds an application. */
const sentinel = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

/** Files of those packages that the program never reads. */
const leftOut = /\.(?:d\.[cm]?ts|map|md|cpp|h|c|gyp|markdown)$|^dependencies\//;

type PackedFile = { readonly path: string; readonly bytes: Buffer };

/** Builds the page of servers, and puts it beside the program, as `page-files.ts` expects it. */
function packPage(): void {
  const script = join(root, 'src', 'dashboard', 'build-page.ts');
  const files = execFileSync(process.execPath, [script], { maxBuffer: 4 * 1024 * 1024 });
  writeFileSync(join(bundleFolder, 'dashboard.json'), files);
}

async function bundleLoader(path: string): Promise<void> {
  const bundle = await rolldown({ cwd: root, input: join(root, 'ops', 'binary-loader.ts'), platform: 'node' });
  await bundle.write({ file: path, format: 'cjs' });
  await bundle.close();
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Returns the folders of packages and all that they need, including installed optional ones. */
function packageFolders(names: readonly string[]): Map<string, string> {
  const folders = new Map<string, string>();
  const visit = (name: string, from: string): void => {
    const folder = findPackage(name, from);
    if (folder === null || folders.has(folder)) return;
    folders.set(folder, name);
    const { dependencies = {}, optionalDependencies = {} } = JSON.parse(
      readFileSync(join(folder, 'package.json'), 'utf8'),
    ) as { dependencies?: object; optionalDependencies?: object };
    for (const needed of Object.keys({ ...dependencies, ...optionalDependencies })) visit(needed, folder);
  };
  for (const name of names) visit(name, root);
  return folders;
}

function findPackage(name: string, from: string): string | null {
  for (let folder = from; ; folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', name);
    if (statSync(candidate, { throwIfNoEntry: false })?.isDirectory()) return candidate;
    if (folder === root || folder === dirname(folder)) return null;
  }
}

/** Returns whether an addon is for this machine and this Node; packages ship several. */
function isForThisMachine(path: string): boolean {
  const name = basename(path);
  if (!name.endsWith('.node')) return true;
  if (/musl/.test(name)) return false;
  const uws = /^uws_(\w+?)_(\w+?)_(\d+)\.node$/.exec(name);
  if (uws === null) return true;
  return uws[1] === process.platform && uws[2] === process.arch && uws[3] === process.versions.modules;
}

function collectFiles(): PackedFile[] {
  const packed: PackedFile[] = [{ path: 'package.json', bytes: Buffer.from('{"type":"module"}\n') }];
  for (const file of filesBelow(bundleFolder))
    packed.push({ path: relative(bundleFolder, file), bytes: readFileSync(file) });
  for (const folder of packageFolders(wholePackages).keys()) {
    for (const file of filesBelow(folder)) {
      const inside = relative(folder, file).split(sep).join('/');
      if (inside.startsWith('node_modules/') || leftOut.test(inside) || !isForThisMachine(file)) continue;
      packed.push({ path: relative(root, file).split(sep).join('/'), bytes: readFileSync(file) });
    }
  }
  return packed;
}

/** Packs an archive: a length, a JSON list of [path, bytes], then the files; all compressed. */
function packArchive(files: readonly PackedFile[]): Buffer {
  const index = Buffer.from(JSON.stringify(files.map(({ path, bytes }) => [path, bytes.length])));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(index.length);
  return gzipSync(Buffer.concat([length, index, ...files.map(({ bytes }) => bytes)]), { level: 6 });
}

async function build(): Promise<void> {
  rmSync(outFolder, { recursive: true, force: true });
  mkdirSync(bundleFolder, { recursive: true });
  const { entries } = await bundleProgram(bundleFolder);
  console.log(`entries: ${[...entries.keys()].join(', ')}`);
  packPage();
  const loaderPath = join(outFolder, 'loader.cjs');
  await bundleLoader(loaderPath);
  const files = collectFiles();
  const archive = packArchive(files);
  const archivePath = join(outFolder, 'program.archive');
  writeFileSync(archivePath, archive);
  const hashPath = join(outFolder, 'program.hash');
  writeFileSync(hashPath, createHash('sha256').update(archive).digest('hex').slice(0, 32));
  const configPath = join(outFolder, 'sea.json');
  const blobPath = join(outFolder, 'sea.blob');
  const config = {
    main: loaderPath,
    output: blobPath,
    disableExperimentalSEAWarning: true,
    assets: { program: archivePath, hash: hashPath },
  };
  writeFileSync(configPath, JSON.stringify(config));
  execFileSync(process.execPath, ['--experimental-sea-config', configPath], { stdio: 'inherit' });
  copyFileSync(process.execPath, binaryPath);
  chmodSync(binaryPath, 0o755);
  await inject(binaryPath, 'NODE_SEA_BLOB', readFileSync(blobPath), { sentinelFuse: sentinel });
  for (const path of [loaderPath, archivePath, hashPath, configPath, blobPath]) rmSync(path);
  rmSync(bundleFolder, { recursive: true });
  const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;
  const inside = files.reduce((sum, { bytes }) => sum + bytes.length, 0);
  console.log(
    `${relative(root, binaryPath)}: ${megabytes(statSync(binaryPath).size)}, ${files.length} files of ${megabytes(inside)} inside`,
  );
}

await build();
// postject's WebAssembly keeps the process alive.
process.exit(0);
