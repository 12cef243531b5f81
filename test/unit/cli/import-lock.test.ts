/** Two imports never run at once for a data folder, and none is ended while it runs. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { runImportPostgres } from '../../../src/cli/command/import.ts';
import { lockFolder } from '../../../src/cli/process/process-lock.ts';
import { type GivenFlags, resolveSettings } from '../../../src/config/settings.ts';

let dataDir: string;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'skyshard-import-lock-'));
});

afterEach(() => {
  rmSync(dataDir, { recursive: true, force: true });
});

/** Runs the command where neither a map nor a database can be reached. */
function run(flags: GivenFlags): Promise<number> {
  const given = { ...flags, dataDir, routerUrl: 'http://127.0.0.1:9', map: join(dataDir, 'no-map.json') };
  const resolved = resolveSettings('import postgres', given, {});
  const { settings } = resolved;
  const context = { settings, resolved, operands: [], environment: {}, clock: systemClock };
  return runImportPostgres({ ...context, log: () => {}, print: () => {} });
}

it.each<[string, GivenFlags]>([
  ['a second import', { url: 'postgresql://127.0.0.1:9/bsky', withoutIngest: true }],
  ['--stop', { stop: true }],
])('%s is refused while an import runs, and names its process', async (_name, flags) => {
  const lock = await lockFolder(dataDir, 'import', systemClock, 0);
  const refused = { code: 'DataInUse', message: expect.stringContaining(`process ${process.pid}`) };
  await expect(run(flags)).rejects.toMatchObject(refused);
  lock.release();
  // It fails for another reason, and leaves no lock.
  await expect(run(flags)).rejects.toMatchObject({ code: 'ConfigInvalid' });
  expect(readdirSync(dataDir)).toEqual([]);
});
