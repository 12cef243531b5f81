/**
 * One process per data folder: a pid file that is checked for being stale.
 *
 * LMDB permits two writing processes, but our files do not. A holder is identified by its pid and
 * its start time, so that a reused pid does not keep a dead holder's lock alive.
 */
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { DataPlaneError } from '../../base/data-plane-error.ts';

export type ProcessLock = { release(): void };

/** How long a start waits for a holder that is stopping. */
export const lockWaitMsMax = 10_000;
const attemptPauseMs = 100;

/** Returns the start time, which distinguishes processes of one pid, or '' where it is unknown. */
function startMarkOf(pid: number): string {
  try {
    // The command in parentheses may hold spaces, so count after it: the start time is 20th.
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}

function isAlive(pid: number, startMark: string): boolean {
  try {
    process.kill(pid, 0);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  return startMark === '' || startMark === startMarkOf(pid);
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

/** Returns the pid in a lock file when that process still runs, else null. */
function holderOf(content: string): number | null {
  const [pidText, startMark] = content.trim().split(' ');
  const pid = Number(pidText);
  return Number.isInteger(pid) && pid > 0 && isAlive(pid, startMark ?? '') ? pid : null;
}

/** Tries once. Returns the pid of the living holder, or null when the lock is now ours. */
function tryLock(path: string, content: string): number | null {
  const ownPath = `${path}.${process.pid}`;
  writeFileSync(ownPath, content);
  try {
    // A link is atomic, so nobody reads a half-written lock file.
    linkSync(ownPath, path);
    return null;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'EEXIST') throw thrown;
  } finally {
    rmSync(ownPath, { force: true });
  }
  const found = readText(path);
  const holder = found === null ? null : holderOf(found);
  if (holder !== null) return holder;
  removeStale(path, found ?? '');
  return tryLock(path, content);
}

/** Removes a stale lock, but puts it back when it turns out to be another process's fresh one. */
function removeStale(path: string, staleContent: string): void {
  const movedPath = `${path}.stale.${process.pid}`;
  try {
    renameSync(path, movedPath);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw thrown;
  }
  if (readText(movedPath) !== staleContent) renameSync(movedPath, path);
  else rmSync(movedPath, { force: true });
}

/** Returns the pid of the process that holds the lock `<folder>/<name>.pid`, or null. */
export function lockHolder(folder: string, name: string): number | null {
  const content = readText(join(folder, `${name}.pid`));
  return content === null ? null : holderOf(content);
}

/**
 * Takes the lock `<folder>/<name>.pid`, waiting up to `waitMs` for a holder that is stopping.
 *
 * Errors: DataPlaneError `DataInUse` naming the folder and the pid.
 */
export async function lockFolder(folder: string, name: string, clock: Clock, waitMs: number): Promise<ProcessLock> {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${name}.pid`);
  const content = `${process.pid} ${startMarkOf(process.pid)}\n`;
  const deadlineMs = clock.monotonicMs() + waitMs;
  for (;;) {
    const holder = tryLock(path, content);
    if (holder === null) break;
    if (clock.monotonicMs() >= deadlineMs) {
      throw new DataPlaneError('DataInUse', `${folder}: process ${holder} uses it (${path})`);
    }
    await clock.sleep(attemptPauseMs);
  }
  return {
    release: () => {
      if (readText(path) === content) rmSync(path, { force: true });
    },
  };
}
