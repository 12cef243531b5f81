/** The run file is checked before a command trusts it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { lockFolder } from '../../../src/cli/process/process-lock.ts';
import { type RunFile, readRunFile, urlOf, writeRunFile } from '../../../src/cli/process/run-file.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'skyshard-run-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const listening = { pid: 2, host: '127.0.0.1', port: 3, url: 'http://127.0.0.1:3' };
const run: RunFile = {
  version: '1',
  pid: 1,
  startedAt: '2026-01-01T00:00:00Z',
  map: 'map.json',
  epoch: 7,
  router: { ...listening, http2Port: 4, http2Url: 'http://127.0.0.1:4' },
  ingest: listening,
  nodes: { n0: listening },
  demo: null,
};

describe('the run file', () => {
  it('is read as it was written, even when a newer version wrote more', () => {
    writeRunFile(folder, run);
    expect(readRunFile(folder)).toEqual(run);
    writeFileSync(join(folder, 'run.json'), JSON.stringify({ ...run, search: listening }));
    expect(readRunFile(folder)).toEqual(run);
    expect(urlOf('router', null, folder)).toBe(listening.url);
  });

  it('that is absent is null', () => {
    expect(readRunFile(folder)).toBeNull();
  });

  it('that is not there yet is told from one where nothing runs', async () => {
    expect(() => urlOf('router', null, folder)).toThrow('nothing runs on');
    const lock = await lockFolder(folder, 'up', systemClock, 0);
    expect(() => urlOf('router', null, folder)).toThrow(`(process ${process.pid}) starts or stops`);
    lock.release();
    expect(() => urlOf('router', null, folder)).toThrow('nothing runs on');
  });

  it.each([
    ['{', 'run.json cannot be read'],
    [JSON.stringify({ ...run, pid: 'x' }), 'run.json: pid: '],
    [JSON.stringify({ ...run, router: listening }), 'run.json: router.http2Port: '],
  ])('that holds %s is refused by name', (text, problem) => {
    writeFileSync(join(folder, 'run.json'), text);
    expect(() => readRunFile(folder)).toThrow(problem);
  });
});
