/** Boxes as network namespaces: they reach each other until a link is cut, and leave nothing. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Boxes, problemWithBoxes } from '../../ops/boxes.ts';
import { projectRoot } from '../support/source-scan.ts';
import { until } from '../support/until.ts';

const problem = problemWithBoxes();
const script = join(projectRoot, 'ops', 'boxes.ts');
const port = 5_000;
const answering = `require('node:net').createServer((socket) => socket.pipe(socket)).listen(${port}, () => console.log('up'))`;
/** Prints how long an answer takes, in ms, or that there is none. */
const asking = (address: string): string => `
  const begin = performance.now();
  const socket = require('node:net').connect(${port}, '${address}', () => socket.write('x'));
  setTimeout(() => { console.log('none'); process.exit(); }, 4000);
  socket.on('error', () => {}).on('data', () => { console.log(performance.now() - begin); process.exit(); });`;

/** Returns the processes that hold up packets between boxes. */
function delaysOf(name: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      return words.some((word) => word.endsWith('delay-link.py')) && words.includes(`${name}1`);
    } catch {
      // No process, or one that has ended.
      return false;
    }
  });
}

describe.skipIf(problem !== null && process.env['CI'] !== 'true')('boxes', () => {
  let folder: string;
  let boxes: Boxes;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'skyshard-boxes-'));
    boxes = new Boxes(`skyt${process.pid}`, join(folder, 'boxes'));
  });

  afterEach(() => {
    boxes.down();
    rmSync(folder, { recursive: true, force: true });
  });

  function ask(from: number, to: number): string {
    const [program, ...words] = [...boxes.prefixOf(from), process.execPath, '-e', asking(boxes.addressOf(to))];
    return execFileSync(program!, words, { encoding: 'utf8' }).trim();
  }

  it('reach each other but over links that are cut, and late over links that are delayed', async () => {
    boxes.up(3);
    const [program, ...words] = [...boxes.prefixOf(2), process.execPath, '-e', answering];
    const server = spawn(program!, words, { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      await once(server.stdout, 'data');
      expect(Number(ask(1, 2))).toBeGreaterThan(0);
      boxes.cut(1, 2);
      expect(ask(1, 2)).toBe('none');
      expect(Number(ask(3, 2))).toBeGreaterThan(0);
      // The connection and the answer take two ways each.
      boxes.delay(1, 2, 400);
      expect(Number(ask(1, 2))).toBeGreaterThanOrEqual(1_600);
      boxes.cut(3, 2);
      boxes.mend();
      expect(Number(ask(1, 2))).toBeLessThan(1_600);
      expect(Number(ask(3, 2))).toBeGreaterThan(0);
    } finally {
      server.kill('SIGKILL');
    }
  });

  it('have a folder of their own each at one path, and leave nothing', async () => {
    boxes.up(2);
    for (const box of [1, 2]) writeFileSync(join(boxes.folderOf(box), 'name'), String(box));
    const read = (box: number): string => {
      const [program, ...words] = [...boxes.prefixOf(box), 'cat', join(boxes.ownFolder, 'name')];
      return execFileSync(program!, words, { encoding: 'utf8' });
    };
    expect([read(1), read(2)]).toEqual(['1', '2']);
    expect(existsSync(join(boxes.ownFolder, 'name'))).toBe(false);
    expect(() => boxes.up(2)).toThrow('remove them by `down` first');
    expect(() => boxes.prefixOf(3)).toThrow('there are boxes 1 to 2, and no 3');
    expect(() => boxes.cut(1, 1)).toThrow('name two boxes');
    boxes.delay(1, 2, 50);
    expect(delaysOf(boxes.name)).toHaveLength(1);
    boxes.down();
    await until(() => delaysOf(boxes.name).length === 0, 10_000);
    const left = ['netns list', 'link show'].map((words) => execFileSync('ip', words.split(' '), { encoding: 'utf8' }));
    expect(left.join('')).not.toContain(boxes.name);
    expect(existsSync(boxes.folder)).toBe(false);
  });
});

it('are refused without root, in plain words', () => {
  // In a user namespace without a map of users this process is nobody.
  const words = ['--user', process.execPath, '--disable-warning=ExperimentalWarning', script, 'up', '2'];
  const { status, stderr } = spawnSync('unshare', words, { encoding: 'utf8' });
  expect(stderr.trim()).toBe('boxes: network namespaces need root: run it with sudo');
  expect(status).toBe(2);
});

it('are described with all of their commands', () => {
  const text = readFileSync(script, 'utf8');
  const page = readFileSync(join(projectRoot, 'ops', 'cluster.md'), 'utf8');
  for (const command of ['up', 'run', 'cut', 'delay', 'mend', 'down']) {
    expect(text).toContain(`node ops/boxes.ts ${command}`);
    expect(page).toContain(`node ops/boxes.ts ${command}`);
  }
});
