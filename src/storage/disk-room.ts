/** What a disk must have left, and writes that fail since it has not. */
import { statfsSync } from 'node:fs';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { brokenDiskCodes, fullCodes } from './storage-failure.ts';

/**
 * Free bytes that the map and the disk must have before a transaction begins.
 *
 * Pages that a transaction copies are paid by pages that earlier ones freed; what it adds is not.
 * At most it takes two batches and a chunk (3 MiB), which as JSON are 14 times as much (45 MiB with
 * the log), and one entry that is the largest: 2 MB of blocks in the log, 4 MiB of JSON, and 20,000
 * mentions both withdrawn and sent, whose effects or notices take 35 MiB with it.
 */
export const freeBytesMin = 96 * 2 ** 20;

/**
 * Returns what was thrown by a write, as DataPlaneError `StorageFull` if that is why. EIO while the
 * disk has room means a broken disk, which waiting would not fix.
 */
export function asStorageError(thrown: unknown, path: string): unknown {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  const isFull = fullCodes.has(code) || (brokenDiskCodes.has(code) && freeDiskBytes(path) < freeBytesMin);
  return isFull ? new DataPlaneError('StorageFull', `writing to ${path} failed`, { cause: thrown }) : thrown;
}

/** Errors: DataPlaneError `StorageFull` when the disk of a folder has too little left. */
export function requireDiskRoomIn(path: string, moreBytes: number): void {
  const missing = freeBytesMin + moreBytes - freeDiskBytes(path);
  if (missing <= 0) return;
  const lacks = moreBytes === 0 ? '' : `: ${missing} bytes are missing`;
  throw new DataPlaneError('StorageFull', `the disk of ${path} is full${lacks}`);
}

/** Returns what the disk of a folder has left. Units: bytes. */
export function freeDiskBytes(path: string): number {
  const disk = statfsSync(path);
  return disk.bavail * disk.bsize;
}
