/**
 * A control group that bounds the memory of processes, file pages included, and counts page faults.
 *
 * Uses control groups of version 2, or of version 1 with the memory controller. Needs root.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const groupRoot = '/sys/fs/cgroup';

export type MemoryBound = {
  /** A program and its arguments that start a command inside the group. */
  readonly prefix: readonly string[];
  /** Bounds the group from now on. Units: bytes. */
  limit(bytes: number): void;
  /** Memory in use: file pages, and all else, including the kernel's for it. Units: bytes. */
  used(): { readonly pages: number; readonly others: number };
  /** Removes the group, whose processes have ended. */
  remove(): void;
};

/** Creates a group, or returns null where that is not allowed. */
export function createMemoryBound(name: string): MemoryBound | null {
  const isV2 = existsSync(join(groupRoot, 'cgroup.controllers'));
  const folder = isV2 ? join(groupRoot, name) : join(groupRoot, 'memory', name);
  try {
    if (isV2) writeFileSync(join(groupRoot, 'cgroup.subtree_control'), '+memory');
    mkdirSync(folder);
  } catch {
    return null;
  }
  const limitFile = join(folder, isV2 ? 'memory.max' : 'memory.limit_in_bytes');
  if (!existsSync(limitFile)) {
    rmdirSync(folder);
    return null;
  }
  return {
    prefix: ['sh', '-c', 'echo $$ > "$0/cgroup.procs" && exec "$@"', folder],
    limit: (bytes) => writeFileSync(limitFile, String(Math.round(bytes))),
    used: () => {
      const stat = readFileSync(join(folder, 'memory.stat'), 'latin1');
      const pages = Number((isV2 ? /^file (\d+)/m : /^cache (\d+)/m).exec(stat)?.[1] ?? 0);
      const all = readFileSync(join(folder, isV2 ? 'memory.current' : 'memory.usage_in_bytes'), 'latin1');
      return { pages, others: Number(all) - pages };
    },
    remove: () => rmdirSync(folder),
  };
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Returns the bytes on disk of all files below a folder. */
export function diskBytes(folder: string): number {
  return filesBelow(folder).reduce((bytes, file) => bytes + statSync(file).blocks * 512, 0);
}

/** Makes the system drop the cached pages of all files below a folder. */
export function dropPages(folder: string): void {
  for (const file of filesBelow(folder)) {
    execFileSync('dd', [`if=${file}`, 'iflag=nocache', 'count=0', 'status=none'], { stdio: 'ignore' });
  }
}

/** Page faults that read from the disk: of all threads, and of the first, which has the sockets. */
export type MajorFaults = { readonly all: number; readonly socketThread: number };

export function majorFaults(pid: number): MajorFaults {
  const faultsOf = (path: string): number => {
    const stat = readFileSync(path, 'latin1');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[9]);
  };
  return { all: faultsOf(`/proc/${pid}/stat`), socketThread: faultsOf(`/proc/${pid}/task/${pid}/stat`) };
}
