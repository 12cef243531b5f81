/**
 * The first file that the single executable runs: unpacks the program and runs it.
 *
 * Owns: the folder of the program, one per build (named by the hash of the archive), which only its
 * owner can read. Refuses: a folder that others own or can write to, since code is loaded from it.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { getAsset, getRawAsset } from 'node:sea';
import { gunzipSync } from 'node:zlib';

const userId = process.getuid?.() ?? 0;

/** Returns whether a folder is ours alone. */
function isPrivate(folder: string): boolean {
  const found = lstatSync(folder, { throwIfNoEntry: false });
  return found?.isDirectory() === true && found.uid === userId && (found.mode & 0o077) === 0;
}

/** Returns the first parent folder that exists, or can be made, and is ours alone. */
function privateParent(): string {
  const cache = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  const candidates = [join(cache, 'skyshard'), join(tmpdir(), `skyshard-${userId}`)];
  for (const folder of candidates) {
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      if (isPrivate(folder)) return folder;
    } catch {
      // Read-only or not ours: try the next one.
    }
  }
  throw new Error(
    `skyshard: no folder to unpack into; make one of these yours alone (mode 0700): ${candidates.join(', ')}`,
  );
}

function writeFile(path: string, bytes: Buffer): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const file = openSync(path, 'wx', 0o700);
  try {
    writeSync(file, bytes);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function unpack(folder: string): void {
  const archive = gunzipSync(Buffer.from(getRawAsset('program') as ArrayBuffer));
  const indexBytes = archive.readUInt32BE(0);
  const index = JSON.parse(archive.toString('utf8', 4, 4 + indexBytes)) as [path: string, bytes: number][];
  let position = 4 + indexBytes;
  for (const [path, bytes] of index) {
    writeFile(join(folder, path), archive.subarray(position, position + bytes));
    position += bytes;
  }
}

/** Returns the program's folder; of several processes that unpack at once, one wins the rename. */
function programFolder(): string {
  const parent = privateParent();
  const folder = join(parent, getAsset('hash', 'utf8'));
  if (isPrivate(folder)) return folder;
  const fresh = join(parent, `unpacking-${process.pid}`);
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { mode: 0o700 });
  unpack(fresh);
  try {
    renameSync(fresh, folder);
  } catch (thrown) {
    rmSync(fresh, { recursive: true, force: true });
    if (!existsSync(folder) || !isPrivate(folder)) throw thrown;
  }
  return folder;
}

const main = join(programFolder(), 'main.js');
createRequire(main)(main);
