/** A disk of its own for a folder, small enough to be filled. */
import { execFileSync } from 'node:child_process';
import { statfsSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** Mounts a disk on a folder. Returns: why that is impossible here, or null. CI must be able to. */
export function mountSmallDisk(folder: string, mebibytes: number): string | null {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', folder], { stdio: 'pipe' });
    return null;
  } catch (thrown) {
    if (process.env['CI'] === 'true') throw thrown;
    return `a full disk needs a tmpfs of its own, which takes root: ${(thrown as Error).message.trim()}`;
  }
}

/** Writes a file so large that its disk has `freeBytes` left, or less if others write meanwhile. */
export function fillDisk(path: string, freeBytes: number): void {
  const { bavail, bsize } = statfsSync(dirname(path));
  try {
    writeFileSync(path, Buffer.alloc(bavail * bsize - Math.ceil(freeBytes)));
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'ENOSPC') throw thrown;
  }
}

/** Takes such a disk from its folder again, with what is on it. */
export function unmountDisk(folder: string): void {
  execFileSync('umount', ['-l', folder]);
}
