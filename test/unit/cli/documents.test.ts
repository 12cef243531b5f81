/** README.md, ARCHITECTURE.md and ops/ agree with the source. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { inputLimits } from '../../../src/atproto/input-limits.ts';
import {
  compactionCrashPoints,
  fileCrashPoints,
  ingestCrashPoints,
  mapCrashPoints,
  nodeCrashPoints,
  splitCrashPoints,
} from '../../../src/base/crash-point.ts';
import { connectStatus, errorTable } from '../../../src/base/data-plane-error.ts';
import { exitCode } from '../../../src/cli/exit-code.ts';
import { commandNames, ingestCommands, operatorCommands, recordCommands } from '../../../src/config/command-names.ts';
import { flagOf, settingNames, settingTable } from '../../../src/config/setting-table.ts';
import { serviceMethods } from '../../../src/proto/generated/bsky-service.ts';
import { weightByMethod } from '../../../src/router/plan/weight.ts';
import { planByMethod } from '../../../src/router/plans/service.ts';
import { curlLines } from '../../support/curl-lines.ts';
import { projectFiles, projectRoot, readSource } from '../../support/source-scan.ts';

const textOf = (path: string): string => readFileSync(join(projectRoot, path), 'utf8');
const readme = textOf('README.md');

/** Returns the cells of every table row in a text whose first cell matches. */
function rowsOf(text: string, firstCell: RegExp): string[][] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .map((line) => line.slice(2, -2).split(/ ?(?<!\\)\| /))
    .filter(([first]) => firstCell.test(first!));
}

/** Returns the value of a constant such as `64 * 2 ** 10`. */
function productOf(expression: string): number {
  return expression.split(/(?<!\*)\*(?!\*)/).reduce((product, factor) => {
    const [base, exponent = 1] = factor.split('**').map((text) => Number(text.replaceAll('_', '')));
    return product * base! ** exponent;
  }, 1);
}

/** Returns every operators' endpoint of the code, such as `router POST /v1/tags`. */
function routesOfCode(): string[] {
  return projectFiles().flatMap((path) => {
    const [, listener] = /^src\/(node|router|ingest)\//.exec(path) ?? [];
    if (listener === undefined) return [];
    const routes = textOf(path).matchAll(/\b(get|post|delete)Route\(\s*'(\/v1\/[^']*)'/g);
    return [...routes].map(([, verb, route]) => `${listener} ${verb!.toUpperCase()} ${route}`);
  });
}

const documents = ['README.md', 'ARCHITECTURE.md', ...projectFiles().filter((path) => /^ops\/[^/]*\.md$/.test(path))];

describe('documents', () => {
  it.each(documents)('%s: every path in backticks exists', (document) => {
    const named = textOf(document).matchAll(/`((?:src|test|ops|bench)\/[\w./-]*)`/g);
    const isThere = (path: string): boolean => [path, `${path}.ts`].some((each) => existsSync(join(projectRoot, each)));
    expect([...named].map(([, path]) => path!).filter((path) => !isThere(path))).toEqual([]);
  });
});

describe('ops/invariants.md', () => {
  const invariants = textOf('ops/invariants.md');

  it('numbers its rows, each with code and a test', () => {
    const rows = rowsOf(invariants, /^\d+$/);
    expect(rows.map(([number]) => Number(number))).toEqual(rows.map((_row, index) => index + 1));
    for (const [number, , code, test] of rows) {
      expect(code, number).toMatch(/^`src\//);
      expect(test, number).toMatch(/^`test\/.*\.test\.ts`$/);
    }
  });

  it('lists the crash points with the file of each', () => {
    const rows = rowsOf(invariants, /^`[a-z-]+`$/);
    const points = [
      ...nodeCrashPoints,
      ...compactionCrashPoints,
      ...splitCrashPoints,
      ...ingestCrashPoints,
      ...mapCrashPoints,
      ...fileCrashPoints,
    ];
    expect(rows.map(([point]) => point)).toEqual(points.map((point) => `\`${point}\``));
    for (const [point, file] of rows) expect(textOf(file!.slice(1, -1))).toContain(`'${point!.slice(1, -1)}'`);
  });
});

describe('README.md', () => {
  it('lists exactly the methods that are built', () => {
    const table = /### Methods\n([\s\S]*?)\n## /.exec(readme)![1]!;
    const listed = table
      .split('\n')
      .filter((line) => /^\| [a-z]/.test(line))
      .flatMap((line) => line.match(/\b[A-Z][A-Za-z0-9]+\b/g) ?? []);
    expect(listed.sort()).toEqual([...planByMethod.keys()].sort());
    for (const method of listed) expect(serviceMethods.map(([name]) => name)).toContain(method);
  });

  it('lists the methods that weigh more than one item, by weight', () => {
    const listed = rowsOf(readme, /^\d+ items$/).flatMap(([weight, methods]) =>
      methods!.split(', ').map((method) => [method, Number.parseInt(weight!, 10)]),
    );
    expect(listed).toEqual([...weightByMethod]);
    for (const [method] of listed) expect([...planByMethod.keys()]).toContain(method);
  });

  it('lists every setting with its default and its commands', () => {
    const rows = rowsOf(readme, /^`--/);
    expect(rows.map(([flag]) => flag)).toEqual(settingNames.map((name) => `\`${flagOf(name)}\``));
    for (const [index, name] of settingNames.entries()) {
      const { default: fallback, commands } = settingTable[name];
      const shown = fallback === null || fallback === false || typeof fallback === 'object' ? '' : `\`${fallback}\``;
      expect(rows[index]![1], name).toBe(fallback === false ? 'off' : shown);
      expect(rows[index]![2], name).toBe(commands.join(', '));
    }
  });

  it('lists every bench', () => {
    const benches = projectFiles().filter((path) => /^bench\/[a-z-]+\.ts$/.test(path));
    const declared = benches.filter((path) => /^export const question\b/m.test(readSource(path).code));
    const listed = rowsOf(/## Benches\n([\s\S]*?)\n## /.exec(readme)![1]!, /^`/).map(([cell]) => cell);
    expect(listed.sort()).toEqual(declared.map((path) => `\`${path.slice('bench/'.length, -'.ts'.length)}\``).sort());
  });

  it('names every command and every exit code', () => {
    for (const name of commandNames) expect(readme).toMatch(new RegExp(`\`(?:skyshard )?${name}\\b`));
    expect(rowsOf(readme, /^\d+$/).map(([code]) => Number(code))).toEqual(Object.values(exitCode));
  });
});

describe('ops/security.md', () => {
  const routes = rowsOf(textOf('ops/security.md'), /^(?:node|router|ingest)$/).map(([listener, route, token]) => ({
    name: `${listener} ${route!.slice(1, -1)}`,
    token: `${listener}: ${token}`,
  }));

  it('lists every endpoint of operators', () => {
    expect(routesOfCode().length).toBeGreaterThan(45);
    expect(routes.map(({ name }) => name).sort()).toEqual(routesOfCode().sort());
  });

  it('says which token each listener wants', () => {
    const files = {
      node: 'src/node/node-server.ts',
      router: 'src/router/router-server.ts',
      ingest: 'src/ingest/ingest-server.ts',
    };
    const wanted = Object.entries(files).map(([listener, file]) => {
      const [, tokens] = /\btokens: .*\[([^\]]+)\],/.exec(textOf(file))!;
      return `${listener}: ${tokens!
        .split(', ')
        .map((token) => token.replace('Token', ''))
        .join(' or ')}`;
    });
    expect([...new Set(routes.map(({ token }) => token))].sort()).toEqual(wanted.sort());
  });

  it('lists every limit of input with its value', () => {
    const rows = rowsOf(
      textOf('ops/security.md'),
      /^(?:message|commit|record|chunk|repo|document|listing|cbor)[A-Za-z]+M(?:ax|in)$/,
    );
    const shown = Object.fromEntries(rows.map(([name, , value]) => [name, Number(value!.replaceAll(',', ''))]));
    expect(shown).toEqual(inputLimits);
  });

  it('lists other limits with the values of the files that it names', () => {
    const rows = rowsOf(textOf('ops/security.md'), /^[a-zA-Z]+$/).filter((row) => row[4]?.startsWith('`src/'));
    expect(rows.length).toBeGreaterThan(40);
    for (const [name, , value, , file] of rows) {
      const code = textOf(file!.slice(1, -1));
      const values = [...code.matchAll(new RegExp(`\\b${name}\\b\\s*[:=]\\s*([\\d_ *+-]+?) ?[;,}\\n]`, 'g'))].map(
        ([, expression]) => productOf(expression!),
      );
      expect(values, `${name} in ${file}`).toContain(Number(value!.replaceAll(',', '')));
    }
  });
});

describe('ops/operating.md', () => {
  const lines = curlLines('ops/operating.md');

  it('has a curl line for every endpoint that takes a body, and no other', () => {
    const isEffect = (route: string): boolean => !route.includes(' GET ');
    const shown = new Set(lines.map(({ listener, verb, path }) => `${listener} ${verb} ${path}`));
    expect(routesOfCode().filter((route) => isEffect(route) && !shown.has(route))).toEqual([]);
    const known = new Set(routesOfCode());
    const services = new Set(serviceMethods.map(([name]) => `router POST /bsky.Service/${name}`));
    expect([...shown].filter((route) => !known.has(route) && !services.has(route))).toEqual([]);
  });

  it('has JSON in every curl line', () => {
    expect(lines.length).toBe(textOf('ops/operating.md').match(/\bcurl (?:-s )?(?:-X DELETE )?"/g)?.length);
    for (const { body, text } of lines) expect(() => JSON.parse(body ?? '{}'), text).not.toThrow();
  });

  it('names every command that asks ingest or decides something', () => {
    const shown = textOf('ops/operating.md');
    expect([...operatorCommands, ...recordCommands, ...ingestCommands].filter((name) => !shown.includes(name))).toEqual(
      [],
    );
  });
});

describe('ops/errors.md', () => {
  it('lists every error code with its gRPC status, whether a retry may help, its meaning and its next step', () => {
    const rows = rowsOf(textOf('ops/errors.md'), /^[A-Z][A-Za-z]+$/);
    expect(rows.map(([code]) => code)).toEqual(Object.keys(errorTable));
    for (const [code, status, http, again, meaning, hint] of rows) {
      const row = errorTable[code as keyof typeof errorTable];
      expect(status).toContain(`(${row.grpc})`);
      expect(Number(http), code).toBe(connectStatus[row.grpc].http);
      expect([again, meaning, hint!.replaceAll('\\|', '|')]).toEqual([
        row.isRetryable ? 'yes' : 'no',
        row.meaning,
        row.hint,
      ]);
    }
  });
});
