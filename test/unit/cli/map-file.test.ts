/** The shard map's file: which ones are refused, the default, and real ports for port 0. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { runMapValidate } from '../../../src/cli/command/map-validate.ts';
import { readMapFile, readMapOrDefault, withRealPorts } from '../../../src/cli/map-file.ts';
import { resolveSettings } from '../../../src/config/settings.ts';
import { projectRoot } from '../../support/source-scan.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'skyshard-map-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function written(text: string): string {
  const path = join(folder, 'map.json');
  writeFileSync(path, text);
  return path;
}

/** Runs `map validate` on a map whose second node listens on `host`. */
async function validated(host: string, more: object): Promise<{ code: number; out: string }> {
  const nodes = { a: { host: '127.0.0.1', port: 1 }, b: { host, port: 2 } };
  const shards = [{ name: 's', primary: 'a', slots: ['0'] }];
  const map = written(JSON.stringify({ epoch: 7, slots: 1, nodes, shards, ...more }));
  let out = '';
  const print = (text: string): void => {
    out += text;
  };
  const resolved = resolveSettings('map validate', { map }, {});
  const { settings } = resolved;
  const log = (): void => {};
  const code = await runMapValidate({
    settings,
    resolved,
    operands: [],
    environment: {},
    clock: systemClock,
    log,
    print,
  });
  return { code, out };
}

describe('map validate', () => {
  it('warns about a node that would not start without a cluster token', async () => {
    const { code, out } = await validated('10.0.0.5', {});
    expect(code).toBe(0);
    expect(out).toMatch(/warning: node b listens on 10\.0\.0\.5.*no clusterTokenFile/);
    expect(out).not.toContain('node a');
  });

  it.each([
    ['127.0.0.2', {}],
    ['10.0.0.5', { clusterTokenFile: 'token' }],
  ])('does not warn about %s with %j', async (host, more) => {
    expect((await validated(host, more)).out).not.toContain('warning');
  });
});

describe('the map file', () => {
  it('at the root of the project is valid and is the one-box default', () => {
    const { map } = readMapFile(join(projectRoot, 'shard-map.json'));
    expect(map.slots).toBe(16);
    expect([...map.nodes.values()].map(({ host, port }) => `${host}:${port}`)).toEqual(['127.0.0.1:7410']);
  });

  it('of two nodes in ops/ is valid', () => {
    const { map } = readMapFile(join(projectRoot, 'ops', 'two-nodes.json'));
    expect([map.slots, ...map.nodes.keys()]).toEqual([16, 'n0', 'n1']);
  });

  it.each([
    ['{', 'shard map'],
    ['[]', 'top level: must be an object'],
    ['{"epoch":1,"slots":3,"nodes":{},"shards":[]}', 'slots: must be a power of two'],
    ['{"epoch":1,"slots":2,"nodes":{},"shards":[],"token":"x"}', 'unknown key "token"'],
    ['{"epoch":1,"shards":[{"primary":"a","slots":["primary"],"primary" :"b"}]}', 'the key "primary" is there twice'],
  ])('that holds %s is refused by name', (text, expected) => {
    expect(() => readMapFile(written(text))).toThrow(expected);
  });

  it('with replicas is shown with them, and with what they need', async () => {
    const shards = [{ name: 's', primary: 'a', replicas: ['b'], slots: ['0'] }];
    const { code, out } = await validated('127.0.0.1', { shards });
    expect(code).toBe(0);
    expect(out).toMatch(/^s +a +127\.0\.0\.1:\d+ +b +0$/m);
    expect(out).toContain('warning: its replicas need a log on a NATS server');
  });

  it('that is absent is refused by name', () => {
    expect(() => readMapFile(join(folder, 'none.json'))).toThrow(/shard map .*none\.json/);
  });

  it('that is absent and was not asked for is the one-box default', () => {
    const path = join(folder, 'shard-map.json');
    expect(readMapOrDefault(path, false).map.slots).toBe(16);
    expect(() => readMapOrDefault(path, true)).toThrow('shard map');
  });

  it('gets a free port for each node whose port is 0, all different, and keeps the others', async () => {
    const nodes = {
      a: { host: '127.0.0.1', port: 0 },
      b: { host: '127.0.0.1', port: 0, zone: 'west', capacity: 2 },
      c: { host: '127.0.0.1', port: 9 },
    };
    const shards = [{ name: 's', primary: 'a', slots: ['0'] }];
    const file = readMapFile(written(JSON.stringify({ epoch: 7, slots: 1, nodes, shards })));
    const { map, raw } = await withRealPorts(file);
    const ports = [...map.nodes.values()].map(({ port }) => port);
    expect(new Set(ports).size).toBe(3);
    expect(ports.every((port) => port > 0)).toBe(true);
    expect(map.nodes.get('c')!.port).toBe(9);
    expect(map.nodes.get('b')).toMatchObject({ zone: 'west', capacity: 2 });
    expect(raw['epoch']).toBe(7);
  });
});
