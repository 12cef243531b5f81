/** What is said of how safe a log on a server is, and of files with what the server asks for. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { durabilityWarning, readLogCredentials } from '../../../src/log/log-server.ts';

describe('a warning about the server of the log', () => {
  const warn = (version: string | null, copies: number | null): string | null =>
    durabilityWarning({ url: 'nats://127.0.0.1', version, copies });

  it('says that one copy on a server before 2.10 is for trial', () => {
    for (const version of ['2.9.10', '2.2.0', '1.4.1']) expect(warn(version, 1)).toMatch(/for trial: it acknowledges/);
  });

  it('names the setting by which one copy is safe since then', () => {
    for (const version of ['2.10.0', '2.11.3', '3.0.0']) expect(warn(version, 1)).toContain('`sync_interval: always`');
  });

  it('says nothing where more servers have each entry, and before one is known', () => {
    expect([warn('2.9.10', 3), warn('2.12.0', 3), warn(null, null), warn('2.9.10', null)]).toEqual(Array(4).fill(null));
  });
});

describe('a file with what the server asks for', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'skyshard-credentials-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function fileOf(text: string): string {
    const path = join(folder, 'credentials');
    writeFileSync(path, text);
    return path;
  }

  it('holds a token, a user with a password, or the credentials of NATS', () => {
    expect(readLogCredentials(fileOf('a-token\n'))).toEqual({ kind: 'token', token: 'a-token' });
    const pair = { kind: 'password', user: 'me', password: 'pass:word' };
    expect(readLogCredentials(fileOf('me:pass:word\n'))).toEqual(pair);
    expect(readLogCredentials(fileOf('-----BEGIN NATS USER JWT-----\nx\n'))).toMatchObject({ kind: 'creds' });
  });

  it('is refused otherwise, and nothing of it is repeated', () => {
    for (const text of ['', 'two\nsecrets', 'a secret', 'x'.repeat(4_097)]) {
      const read = (): unknown => readLogCredentials(fileOf(text));
      expect(read).toThrow('holds no credentials of NATS');
      expect(read).not.toThrow(/secret|xxx/);
    }
    expect(() => readLogCredentials(join(folder, 'nowhere'))).toThrow('cannot be read');
  });
});
