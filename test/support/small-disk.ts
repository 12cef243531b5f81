/** A disk of its own for a folder, small enough to be filled. */
import { execFileSync } from 'node:child_process';

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
