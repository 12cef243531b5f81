/** An entry that ends the process is set aside once it was named at two deaths. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { projectRoot } from '../support/source-scan.ts';

const child = join(projectRoot, 'test/support/dying-slot-child.ts');
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'skyshard-died-'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Starts the process once. Returns what it printed, or null when it was killed. */
function start(...texts: string[]): { cursor: number; kept: { seq: number; did: string; reason: string }[] } | null {
  const { signal, stdout, stderr } = spawnSync(process.execPath, [child, join(folder, 'slot'), ...texts], {
    encoding: 'utf8',
  });
  if (signal === 'SIGKILL') return null;
  expect(stderr).toBe('');
  return JSON.parse(stdout) as never;
}

const poisonedAt = (index: number) => [{ seq: index + 1, did: `did:web:n${index}.example`, reason: 'process-died' }];

describe('an entry at which the process dies', () => {
  it('alone in its transaction is set aside after the second death', () => {
    expect([start('poison'), start('poison')]).toEqual([null, null]);
    expect(start('poison')).toEqual({ cursor: 1, kept: poisonedAt(0) });
    expect(start('good')).toEqual({ cursor: 2, kept: poisonedAt(0) });
  });

  it('among others is found by naming each, and the others are applied', () => {
    const batch = ['good', 'good', 'poison', 'good'];
    // The first death says only that it was in this batch.
    expect([start(...batch), start(...batch), start(...batch)]).toEqual([null, null, null]);
    expect(start(...batch)).toEqual({ cursor: 4, kept: poisonedAt(2) });
  });

  it('is not blamed for the deaths at another', () => {
    expect([start('poison 1'), start('poison 2')]).toEqual([null, null]);
    expect(start('good')).toEqual({ cursor: 1, kept: [] });
  });
});
