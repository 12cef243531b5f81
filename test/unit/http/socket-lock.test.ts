/** A lock with a Unix socket has one holder at most, also where a dead one left its socket. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { lockWithSocket } from '../../../src/http/socket-lock.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'skyshard-socket-lock-'));
  path = join(folder, 'lock.sock');
});
afterEach(() => rmSync(folder, { recursive: true }));

function leaveDeadSocket(): void {
  const code = 'require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))';
  spawnSync(process.execPath, ['-e', code, path]);
  expect(existsSync(path)).toBe(true);
}

it.each([
  ['none was', () => {}],
  ['a dead one left its socket', leaveDeadSocket],
])('of two that take it at once where %s, one gets it', async (_what, prepare) => {
  prepare();
  const outcomes = await Promise.allSettled([lockWithSocket(path), lockWithSocket(path)]);
  const held = outcomes.filter((outcome) => outcome.status === 'fulfilled').map(({ value }) => value);
  const refused = outcomes.filter((outcome) => outcome.status === 'rejected').map(({ reason }) => reason);
  expect(held).toHaveLength(1);
  expect(refused).toMatchObject([{ code: 'DataInUse' }]);
  await expect(lockWithSocket(path)).rejects.toMatchObject({ code: 'DataInUse' });
  expect(readdirSync(folder)).toEqual(['lock.sock']);
  await held[0]![Symbol.asyncDispose]();
  expect(readdirSync(folder)).toEqual([]);
  await (await lockWithSocket(path))![Symbol.asyncDispose]();
});
