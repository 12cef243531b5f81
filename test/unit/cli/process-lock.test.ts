/** Who holds the lock of a data folder, and when a stale lock is taken over. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { lockFolder } from '../../../src/cli/process/process-lock.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'skyshard-lock-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** The start time of a process in ticks, from Linux. */
function startMarkOf(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]!;
}

/** Takes the lock, which then names this process and refuses others, and releases it. */
async function expectTakenOver(): Promise<void> {
  const lock = await lockFolder(folder, 'up', systemClock, 0);
  const own = `${process.pid} ${startMarkOf(process.pid)}\n`;
  expect(readFileSync(join(folder, 'up.pid'), 'utf8')).toBe(own);
  await expect(lockFolder(folder, 'up', systemClock, 0)).rejects.toMatchObject({ code: 'DataInUse' });
  expect(readFileSync(join(folder, 'up.pid'), 'utf8')).toBe(own);
  lock.release();
  expect(readdirSync(folder)).toEqual([]);
}

describe('the lock of a data folder', () => {
  it('is refused while another process holds it, and names that process', async () => {
    const holder = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
    try {
      writeFileSync(join(folder, 'up.pid'), `${holder.pid} ${startMarkOf(holder.pid!)}\n`);
      await expect(lockFolder(folder, 'up', systemClock, 0)).rejects.toMatchObject({
        code: 'DataInUse',
        message: expect.stringContaining(`process ${holder.pid} uses it`),
      });
      const waiting = lockFolder(folder, 'up', systemClock, 20_000);
      holder.kill('SIGKILL');
      (await waiting).release();
    } finally {
      holder.kill('SIGKILL');
    }
  });

  it('is taken over from a holder that is gone', async () => {
    const dead = spawn(process.execPath, ['-e', '']);
    await once(dead, 'exit');
    writeFileSync(join(folder, 'up.pid'), `${dead.pid} 1\n`);
    await expectTakenOver();
  });

  it('is taken over when its pid now belongs to a process that started at another time', async () => {
    writeFileSync(join(folder, 'up.pid'), `${process.ppid} 1\n`);
    await expectTakenOver();
  });

  it.each(['', 'garbage', '-1 x', '0'])('is taken over from a file that names no process: "%s"', async (content) => {
    writeFileSync(join(folder, 'up.pid'), content);
    await expectTakenOver();
  });

  it('is separate for each name, and creates the folder', async () => {
    const below = join(folder, 'new');
    const one = await lockFolder(below, 'node-n0', systemClock, 0);
    const two = await lockFolder(below, 'node-n1', systemClock, 0);
    await expect(lockFolder(below, 'node-n0', systemClock, 0)).rejects.toMatchObject({ code: 'DataInUse' });
    one.release();
    two.release();
  });
});
