import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readMapFile, readMapOrDefault, withRealPorts } from '../../../src/cli/map-file.ts';
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

describe('the map file', () => {
  it('at the root of the project is valid and is the one-box default', () => {
    const { map } = readMapFile(join(projectRoot, 'shard-map.json'));
    expect(map.slots).toBe(16);
    expect([...map.nodes.values()].map(({ host, port }) => `${host}:${port}`)).toEqual([
      '127.0.0.1:7410',
      '127.0.0.1:7411',
    ]);
  });

  it.each([
    ['{', 'shard map'],
    ['[]', 'top level: must be an object'],
    ['{"epoch":1,"slots":3,"nodes":{},"shards":[]}', 'slots: must be a power of two'],
    ['{"epoch":1,"slots":2,"nodes":{},"shards":[],"token":"x"}', 'unknown key "token"'],
  ])('that holds %s is refused by name', (text, expected) => {
    expect(() => readMapFile(written(text))).toThrow(expected);
  });

  it('that is not there is refused by name', () => {
    expect(() => readMapFile(join(folder, 'none.json'))).toThrow(/shard map .*none\.json/);
  });

  it('that nobody asked for and that is not there is the one-box default', () => {
    const path = join(folder, 'shard-map.json');
    expect(readMapOrDefault(path, false).map.slots).toBe(16);
    expect(() => readMapOrDefault(path, true)).toThrow('shard map');
  });

  it('gets a free port for each node whose port is 0, all different, and keeps the others', async () => {
    const nodes = {
      a: { host: '127.0.0.1', port: 0 },
      b: { host: '127.0.0.1', port: 0 },
      c: { host: '127.0.0.1', port: 9 },
    };
    const shards = [{ name: 's', primary: 'a', slots: ['0'] }];
    const file = readMapFile(written(JSON.stringify({ epoch: 7, slots: 1, nodes, shards })));
    const { map, raw } = await withRealPorts(file);
    const ports = [...map.nodes.values()].map(({ port }) => port);
    expect(new Set(ports).size).toBe(3);
    expect(ports.every((port) => port > 0)).toBe(true);
    expect(map.nodes.get('c')!.port).toBe(9);
    expect(raw['epoch']).toBe(7);
  });
});
