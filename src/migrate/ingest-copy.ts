/**
 * The state of ingest in a folder of backups: its cursors, queues, rules and erasures.
 *
 * It is copied before the slots, so that what they hold is at least what it knows to be there; what
 * came in later it reads from its sources again.
 */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { copyFile, open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { requireDiskRoomIn } from '../storage/disk-room.ts';
import { syncFolder, writeDurably } from '../storage/durable-file.ts';
import { environmentFiles } from '../storage/environment.ts';
import { copyLiveEnvironment } from '../storage/live-copy.ts';
import type { BackupFolder, IngestCopy } from './backup-folder.ts';

/** Of which cluster it is, and how far it has seen the slots. */
const smallFiles = ['cluster', 'slots-seen.json'] as const;
const incoming = 'ingest';

/** True where a folder holds the state of ingest. */
export function isIngestThere(ingestFolder: string): boolean {
  return existsSync(join(ingestFolder, environmentFiles.data));
}

async function digestOfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const bytes of createReadStream(path, { highWaterMark: 2 ** 20 })) hash.update(bytes as Buffer);
  return hash.digest('hex');
}

/** Copies the state, also while ingest runs. Returns what the copy is, once it is on disk. */
export async function backUpIngest(folder: BackupFolder, ingestFolder: string): Promise<IngestCopy> {
  const to = folder.incomingPath(incoming);
  rmSync(to, { recursive: true, force: true });
  mkdirSync(to, { recursive: true, mode: 0o700 });
  requireDiskRoomIn(to, statSync(join(ingestFolder, environmentFiles.data)).size);
  // Before the state, which is never behind them.
  const files = Object.fromEntries(
    smallFiles.flatMap((name) => {
      const path = join(ingestFolder, name);
      return existsSync(path) ? [[name, readFileSync(path, 'utf8')]] : [];
    }),
  );
  await copyLiveEnvironment(ingestFolder, to);
  const path = join(to, environmentFiles.data);
  const fileDigest = await digestOfFile(path);
  const copy = { name: `ingest-${fileDigest.slice(0, 16)}`, bytes: statSync(path).size, fileDigest, files };
  folder.keep(incoming, copy.name);
  return copy;
}

/** Errors: DataPlaneError `ConfigInvalid` for a copy that is not what the backup says of it. */
export async function checkIngestCopy(path: string, { name, bytes, fileDigest }: IngestCopy): Promise<void> {
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  if (size === bytes && (await digestOfFile(path)) === fileDigest) return;
  const problem = size === undefined ? 'it is not there' : 'its bytes are not those that were written';
  throw new DataPlaneError('ConfigInvalid', `the copy ${name} is refused: ${problem}`, {
    hint: 'Restore from another backup; `skyshard backup list` lists them.',
  });
}

/**
 * Puts a copy in the place of ingest's folder.
 *
 * Errors: DataPlaneError `ConfigInvalid` where the folder holds a state, or the copy is damaged.
 */
export async function restoreIngest(folder: BackupFolder, copy: IngestCopy, ingestFolder: string): Promise<void> {
  if (isIngestThere(ingestFolder))
    throw new DataPlaneError('ConfigInvalid', `${ingestFolder} holds the state of ingest already`, {
      hint: 'Move it away first: nothing is restored over data that is there.',
    });
  mkdirSync(ingestFolder, { recursive: true, mode: 0o700 });
  requireDiskRoomIn(ingestFolder, copy.bytes);
  const to = join(ingestFolder, environmentFiles.data);
  const arriving = `${to}.restoring`;
  await copyFile(join(folder.copyPath(copy.name), environmentFiles.data), arriving);
  try {
    await checkIngestCopy(arriving, copy);
    const file = await open(arriving, 'r+');
    await file.sync().finally(() => file.close());
    for (const [name, text] of Object.entries(copy.files)) writeDurably(join(ingestFolder, name), text);
    // Last: a folder without a state is taken for a new one.
    await rename(arriving, to);
    syncFolder(ingestFolder);
  } finally {
    rmSync(arriving, { force: true });
  }
}
