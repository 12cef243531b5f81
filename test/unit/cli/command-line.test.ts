/** What the CLI parses and refuses, and what it prints: help, errors, log lines, tables. */
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { DataPlaneError } from '../../../src/base/data-plane-error.ts';
import { parseCommandLine, version } from '../../../src/cli/command-line.ts';
import { errorText, exitCode, exitCodeOf } from '../../../src/cli/exit-code.ts';
import { createJsonLog } from '../../../src/cli/json-log.ts';
import { createTextLog, lineOfChild } from '../../../src/cli/process-log.ts';
import { bytesText, textTable } from '../../../src/cli/text-table.ts';
import { commandNames } from '../../../src/config/command-names.ts';
import { flagOf, settingsOf } from '../../../src/config/setting-table.ts';

function textOf(words: readonly string[]): string {
  const parsed = parseCommandLine(words);
  if (parsed.kind !== 'text') throw new Error('expected text');
  return parsed.text;
}

describe('the command line', () => {
  it('gives command, operands and flags', () => {
    expect(parseCommandLine(['node', 'n0', '--linger-ms', '3', '--data-dir=x'])).toEqual({
      kind: 'run',
      line: { command: 'node', operands: ['n0'], flags: { lingerMs: '3', dataDir: 'x' } },
    });
    expect(parseCommandLine(['map', 'validate', '--json'])).toMatchObject({
      kind: 'run',
      line: { command: 'map validate', flags: { json: true } },
    });
    expect(parseCommandLine(['up', '--pds', 'http://a', '--pds=http://b'])).toMatchObject({
      kind: 'run',
      line: { flags: { pds: ['http://a', 'http://b'] } },
    });
  });

  it.each([
    [['up', '--router-prot=1'], 'Did you mean --router-port?'],
    [['staus'], 'Did you mean status?'],
    [['status', '--router-port', '1'], "unknown option '--router-port'"],
    [['node'], "missing required argument 'name'"],
    [['router', 'surplus'], 'too many arguments'],
    [['map', 'valdate'], 'validate'],
  ])('refuses %j', (words, expected) => {
    expect(textOf(words)).toContain(expected);
    expect(parseCommandLine(words)).toMatchObject({ isMisuse: true });
  });

  it.each([
    [['import', 'postgres', '--ulr=postgresql://u:hunter2@db/bsky'], "unknown option '--ulr'"],
    [['import', 'postgres', 'postgresql://u:hunter2@db/bsky'], 'too many arguments'],
  ])('does not repeat a value, which may be a secret, after %j', (words, expected) => {
    expect(textOf(words)).toContain(expected);
    expect(textOf(words)).not.toContain('hunter2');
  });

  it.each([
    [['nonsense'], '`skyshard --help` lists the commands.'],
    [['repo', 'nonsense'], '`skyshard repo --help` lists its commands.'],
    [['node', 'n0', '--nonsense'], '`skyshard node --help` shows what it takes.'],
    [['quarantine', 'show'], "missing required argument 'slot/seq'\n  `skyshard quarantine show --help` shows"],
  ])('says after %j what to run next', (words, expected) => {
    expect(textOf(words)).toContain(expected);
  });

  it('shows every flag of a command with its variable and default', () => {
    for (const command of commandNames) {
      const help = textOf([...command.split(' '), '--help']);
      for (const name of settingsOf(command)) expect(help).toContain(flagOf(name));
    }
    expect(textOf(['up', '--help'])).toMatch(/SKYSHARD_ROUTER_PORT/);
  });

  it('prints its version and, without a command, its help', () => {
    expect(parseCommandLine(['--version'])).toEqual({ kind: 'text', text: `${version}\n`, isMisuse: false });
    expect(textOf([])).toContain('Usage: skyshard');
  });
});

describe('an operating error', () => {
  it('is printed with its code and the next step, and has an exit code', () => {
    const error = new DataPlaneError('Unavailable', 'n0 cannot be reached');
    expect(errorText(error)).toBe(
      'skyshard: Unavailable: n0 cannot be reached\n  Run `skyshard status` to see which node is down.\n',
    );
    expect(exitCodeOf(error)).toBe(exitCode.failed);
    const known = new DataPlaneError('Unavailable', 'nothing runs', { hint: 'Start it.' });
    expect(errorText(known)).toBe('skyshard: Unavailable: nothing runs\n  Start it.\n');
    expect(exitCodeOf(new DataPlaneError('ConfigInvalid', 'x'))).toBe(exitCode.misused);
  });
});

describe('the process log', () => {
  it('prints one line per message at or above its level, and no content forges another', () => {
    const lines: string[] = [];
    const log = createTextLog('warn', { ...systemClock, nowMs: () => 0 }, (line) => lines.push(line));
    log('info', 'not printed');
    log('error', 'bad\nthing', { host: 'a b', count: 3, name: 'x\ny' });
    expect(lines).toEqual(['1970-01-01T00:00:00.000Z error bad thing host="a b" count=3 name="x\\ny"\n']);
  });

  it('are one JSON object each for collectors, with the process where a supervisor prints them', () => {
    const lines: string[] = [];
    const clock = { ...systemClock, nowMs: () => 0 };
    const log = createJsonLog('warn', clock, (line) => lines.push(line));
    log('info', 'not printed');
    log('error', 'bad\nthing', { count: 3 });
    const time = '1970-01-01T00:00:00.000Z';
    expect(lines.map((line) => JSON.parse(line))).toEqual([{ time, level: 'error', message: 'bad\nthing', count: 3 }]);
    expect(lines[0]!.match(/\n/g)).toHaveLength(1);
    expect(JSON.parse(lineOfChild('n0', lines[0]!.trimEnd(), 'json', clock))).toMatchObject({
      process: 'n0',
      count: 3,
    });
    expect(JSON.parse(lineOfChild('n0', 'a crash', 'json', clock))).toEqual({
      process: 'n0',
      time,
      level: 'error',
      message: 'a crash',
    });
    expect(lineOfChild('n0', 'a line', 'text', clock)).toBe('[n0] a line');
  });
});

describe('tables', () => {
  it('align texts left and numbers right', () => {
    expect(
      textTable(
        ['slot', 'size'],
        [
          [1, 'a'],
          [12, 'bc'],
        ],
      ),
    ).toBe('slot  size\n   1  a\n  12  bc\n');
    expect([bytesText(512), bytesText(1536), bytesText(3 * 2 ** 30)]).toEqual(['512 B', '1.5 KiB', '3.0 GiB']);
  });
});
