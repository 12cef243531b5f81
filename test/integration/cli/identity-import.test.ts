/** `skyshard identity import` against a running ingest: what it prints, its exit code. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { IngestHarness } from '../../support/ingest-harness.ts';
import { type Ended, runCommand } from '../../support/running-cluster.ts';

const did = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa';

let harness: IngestHarness;
let folder: string;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'skyshard-import-'));
  harness = await IngestHarness.create();
  await harness.start();
});
afterEach(async () => {
  await harness.close();
  rmSync(folder, { recursive: true, force: true });
});

function importFile(file: string, ...words: string[]): Promise<Ended> {
  const url = `--ingest-url=http://127.0.0.1:${harness.ingest.port}`;
  return runCommand(['identity', 'import', file, ...words, url, `--data-dir=${folder}`]);
}

it('ends at the end of the file, and says what it brought', async () => {
  const file = join(folder, 'export.jsonl');
  const operation = {
    type: 'create',
    signingKey: 'did:key:zQ3sh',
    handle: 'a.example',
    service: 'https://pds.example',
  };
  writeFileSync(file, `${JSON.stringify({ did, operation, createdAt: '2023-01-01T00:00:00.000Z' })}\nbad\n`);
  const ended = await importFile(file);
  expect(ended, ended.err).toMatchObject({ code: 0 });
  expect(ended.out).toMatch(/1 imported, 0 known already, 0 gone; skipped: 1 not-json\n$/);
  expect(harness.log.of('identity', did)).toHaveLength(1);
  const again = await importFile(file, '--json');
  expect(JSON.parse(again.out.trim().split('\n').at(-1)!)).toMatchObject({ lines: 2, imported: 1, isRunning: false });
});

it('of a file that is no export fails and says what to give', async () => {
  const file = join(folder, 'text');
  writeFileSync(file, 'some\ntext\n');
  expect(await importFile(file)).toMatchObject({
    code: 2,
    err: expect.stringMatching(/no export of the directory: none of its 2 lines .*\n {2}Give an export/),
  });
  expect(await importFile(file, '--stop')).toMatchObject({
    code: 0,
    out: expect.stringContaining('stopped; 0 imported'),
  });
});

it('names a file that cannot be read', async () => {
  expect(await importFile(join(folder, 'absent.jsonl'))).toMatchObject({
    code: 1,
    err: expect.stringMatching(/NotFound: .*the file cannot be read: ENOENT/),
  });
});
