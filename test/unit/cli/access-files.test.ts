/** Whom a secret is shown to. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readBsyncAccess } from '../../../src/cli/access-files.ts';
import { type GivenFlags, resolveSettings } from '../../../src/config/settings.ts';

describe('the key of bsync', () => {
  const folder = mkdtempSync(join(tmpdir(), 'skyshard-key-'));
  const bsyncKeyFile = join(folder, 'key');
  beforeAll(() => writeFileSync(bsyncKeyFile, 'a-key\n'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const accessWith = (flags: GivenFlags) => readBsyncAccess(resolveSettings('ingest', flags, {}).settings);

  it.each(['https://bsync.example', 'http://127.0.0.1:3000', 'http://localhost:3000', 'http://[::1]:3000'])(
    'goes to %s',
    (bsyncUrl) => {
      expect(accessWith({ bsyncUrl, bsyncKeyFile })).toEqual({ url: bsyncUrl, key: 'a-key' });
    },
  );

  it.each(['http://bsync.example', 'http://10.0.0.7:3000', 'http://127.0.0.1.example'])(
    'goes to %s in clear text only where the operator allows it',
    (bsyncUrl) => {
      expect(() => accessWith({ bsyncUrl, bsyncKeyFile })).toThrow(/--bsync-key-file: the key would go to .+ in clear/);
      expect(accessWith({ bsyncUrl, bsyncKeyFile, allowCleartextBsync: true })?.key).toBe('a-key');
      expect(accessWith({ bsyncUrl })).toEqual({ url: bsyncUrl, key: null });
    },
  );
});
