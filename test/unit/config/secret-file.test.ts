/** The file of a token that we make: private, made once, whole. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { keepTokenFile, readTokenFile } from '../../../src/config/secret-file.ts';

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'skyshard-secret-'));
  path = join(folder, 'cluster-token');
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

const modeOf = (): number => statSync(path).mode & 0o777;

it('a token is made once, and only its owner can read it', () => {
  keepTokenFile(path);
  const token = readTokenFile(path, 'a test');
  expect([token?.length, modeOf()]).toEqual([43, 0o600]);
  chmodSync(path, 0o644);
  keepTokenFile(path);
  expect([readTokenFile(path, 'a test'), modeOf()]).toEqual([token, 0o600]);
});

it("what a killed start left is replaced; an operator's token is kept", () => {
  writeFileSync(`${path}.new`, 'half', { mode: 0o644 });
  keepTokenFile(path);
  expect([readTokenFile(path, 'a test')?.length, modeOf()]).toEqual([43, 0o600]);
  writeFileSync(path, 'a token of the operator\n');
  keepTokenFile(path);
  expect(readFileSync(path, 'utf8')).toBe('a token of the operator\n');
});
