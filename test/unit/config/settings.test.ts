/** Settings: precedence of flags, variables and defaults, and what is refused by name. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { commandNames } from '../../../src/config/command-names.ts';
import { nearestName } from '../../../src/config/nearest-name.ts';
import { readTokenFile } from '../../../src/config/secret-file.ts';
import { flagOf, settingNames, settingsOf, settingTable, variableOf } from '../../../src/config/setting-table.ts';
import { childEnvironment, flagsFor, resolveSettings, splitPair } from '../../../src/config/settings.ts';

describe('the table of settings', () => {
  it('names flag and variable after the setting', () => {
    expect(flagOf('dataDir')).toBe('--data-dir');
    expect(variableOf('http2Port')).toBe('SKYSHARD_HTTP2_PORT');
  });

  it('gives every setting at least one command, a help line and a default inside its range', () => {
    for (const name of settingNames) {
      const row = settingTable[name];
      expect(row.commands.length, name).toBeGreaterThan(0);
      expect(row.help.length, name).toBeGreaterThan(3);
      if (row.kind === 'integer' && row.default !== null) {
        expect(row.default, name).toBeGreaterThanOrEqual(row.min);
        expect(row.default, name).toBeLessThanOrEqual(row.max);
      }
    }
  });

  it('holds no secret itself: a setting about a token names a file', () => {
    for (const name of settingNames) expect(name).not.toMatch(/(token|key|password|secret)$/i);
  });
});

describe('settings', () => {
  it('prefer a flag to a variable and a variable to the default', () => {
    const environment = { SKYSHARD_ROUTER_PORT: '1', SKYSHARD_HTTP2_PORT: '2', PATH: '/bin' };
    const { settings, sourceByName } = resolveSettings('up', { routerPort: '0' }, environment);
    expect([settings.routerPort, settings.http2Port, settings.ingestPort]).toEqual([0, 2, 7402]);
    expect([sourceByName.routerPort, sourceByName.http2Port, sourceByName.ingestPort]).toEqual([
      'flag',
      'variable',
      'default',
    ]);
    expect(Object.isFrozen(settings)).toBe(true);
  });

  it('take several URLs, as repeated flags or separated by commas in a variable', () => {
    expect(resolveSettings('up', { pds: ['http://a', 'http://b/'] }, {}).settings.pds).toEqual([
      'http://a',
      'http://b',
    ]);
    expect(resolveSettings('up', {}, { SKYSHARD_RELAY: 'wss://a,wss://b' }).settings.relay).toEqual([
      'wss://a',
      'wss://b',
    ]);
  });

  it('take the name of a part of a shard, as moves make them', () => {
    expect(resolveSettings('promote', { shard: ['s1~1'] }, {}).settings.shard).toEqual(['s1~1']);
  });

  it('take several names, as repeated flags or separated by commas', () => {
    const namesOf = (beginAgain: readonly string[]): readonly string[] =>
      resolveSettings('up', { beginAgain }, {}).settings.beginAgain;
    expect(namesOf(['0,1', 'ingest'])).toEqual(['0', '1', 'ingest']);
    expect(() => namesOf(['0,'])).toThrow('--begin-again: must be a host name');
  });

  it('take a PDS with its URL in DID documents, and check both', () => {
    const pair = 'http://127.0.0.1:2583=https://pds.example.com';
    expect(resolveSettings('up', { pds: [`${pair}/`] }, {}).settings.pds).toEqual([pair]);
    expect(splitPair(pair)).toEqual(['http://127.0.0.1:2583', 'https://pds.example.com']);
    expect(splitPair('http://a/?x=y')).toEqual(['http://a/?x=y', null]);
    expect(() => resolveSettings('up', { pds: ['http://a=gopher://b'] }, {})).toThrow('--pds');
  });

  it('refuse what is no URL without repeating it, since it may hold a password', () => {
    const refused = (): unknown => resolveSettings('ingest', { plcUrl: 'http://user:pa/ss@host' }, {});
    expect(refused).toThrow(/cannot be read as a URL/);
    expect(refused).not.toThrow(/pa\/ss/);
  });

  it.each([
    ['postgresql://db/bsky?user=u&password=hunter2', '--url: must not hold a password'],
    ['postgresql://db/bsky?PGPASSWORD=hunter2', '--url: must not hold a password'],
    ['postgresql://db/bsky?passfile=hunter2', '--url: must not hold a password'],
    ['postgresql://db/bsky?sslmdoe=hunter2', '--url: has an unknown parameter "sslmdoe"; it takes ?user=, ?schema='],
    ['postgresql://db/bsky?user=hunter2&user=b', '--url: has the parameter "user" more than once'],
    ['postgresql://u:1#hunter2@db/bsky', '--url: must not hold'],
    ['postgresql://db/bsky#hunter2', '--url: must not hold a #'],
    ['postgresql://u:hunter2/x@db/bsky', '--url: must be a URL'],
    ['mysql://hunter2', '--url: must be a URL that begins with postgres:// or postgresql://; not with mysql:'],
  ])('refuse the database %s without repeating a value of it', (url, problem) => {
    const refused = (): unknown => resolveSettings('import postgres', { url }, {});
    expect(refused).toThrow(problem);
    expect(refused).not.toThrow(/hunter2/);
  });

  it('take a database with the parameters that mean something', () => {
    const url = 'postgresql://db:5432/bsky?user=reader&schema=bsky&sslmode=require';
    expect(resolveSettings('import postgres', { url }, {}).settings.url).toBe(url);
  });

  it('refuse an unknown variable by name and suggest the nearest', () => {
    expect(() => resolveSettings('up', {}, { SKYSHARD_ROUTER_PROT: '1' })).toThrow(
      'SKYSHARD_ROUTER_PROT: unknown variable; did you mean SKYSHARD_ROUTER_PORT?',
    );
    expect(() => resolveSettings('status', {}, { SKYSHARD_ROUTER_PORT: '1' })).not.toThrow();
  });

  it.each([
    ['routerPort', 'http'],
    ['routerPort', '65536'],
    ['routerPort', '-1'],
    ['routerPort', '1.5'],
    ['routerPort', ''],
    ['relay', 'ftp://example.com'],
    ['relay', 'wss://user:word@example.com'],
    ['plcUrl', 'plc.directory'],
    ['logLevel', 'inf'],
    ['dataDir', ''],
  ] as const)('refuse %s = "%s" and name the flag', (name, text) => {
    expect(() => resolveSettings('up', { [name]: text }, {})).toThrow(`${flagOf(name)}: must`);
  });

  it('refuse a flag that the command does not take', () => {
    expect(() => resolveSettings('status', { routerPort: '1' }, {})).toThrow(
      '--router-port: is not a flag of "status"',
    );
  });

  it('reach a child process as flags', () => {
    const given = { relay: ['wss://a', 'wss://b'], cursor: '0', allowPrivateHosts: true, lingerMs: '9' } as const;
    const { settings } = resolveSettings('up', given, {});
    const flags = flagsFor('ingest', settings);
    expect(flags).toContain('--relay=wss://b');
    expect(flags).toContain('--cursor=0');
    expect(flags).toContain('--allow-private-hosts');
    expect(flags.join(' ')).not.toContain('--handle-resolver');
    expect(flags.join(' ')).not.toContain('--demo');
  });

  it('do not also reach a child process as variables', () => {
    expect(childEnvironment({ PATH: '/bin', SKYSHARD_MAP: 'x', NONE: undefined })).toEqual({ PATH: '/bin' });
  });

  it('exist for every command', () => {
    for (const command of commandNames) expect(() => resolveSettings(command, {}, {})).not.toThrow();
    expect(settingsOf('config')).toEqual(settingNames);
  });
});

describe('the nearest name', () => {
  it('is the one with the fewest changes, or none when nothing is close', () => {
    expect(nearestName('--data-dri', ['--data-dir', '--map'])).toBe('--data-dir');
    expect(nearestName('--completely-else', ['--data-dir', '--map'])).toBe(null);
  });
});

describe('a token file', () => {
  it('gives its token without white space, and an error that does not hold the token', () => {
    const folder = mkdtempSync(join(tmpdir(), 'skyshard-token-'));
    try {
      const path = join(folder, 'token');
      writeFileSync(path, 'abcdefghijklmnop\n');
      expect(readTokenFile(path, 'adminTokenFile')).toBe('abcdefghijklmnop');
      expect(readTokenFile(null, 'adminTokenFile')).toBe(null);
      writeFileSync(path, 'short-secret');
      expect(() => readTokenFile(path, 'adminTokenFile')).toThrow(/^adminTokenFile: the file must hold one token/);
      expect(() => readTokenFile(join(folder, 'none'), 'adminTokenFile')).toThrow('cannot be read');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
