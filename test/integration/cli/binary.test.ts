/** The single executable starts anywhere, with nothing installed, and serves. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adminRequest } from '../../../src/cli/admin-request.ts';
import { version } from '../../../src/cli/command-line.ts';
import { callService, listOf } from '../../../src/cli/service-call.ts';
import { clusterFolder, removeFolder, runCommand, startCluster } from '../../support/running-cluster.ts';
import { projectRoot } from '../../support/source-scan.ts';

const timeoutMs = 30_000;
let folder: string;
let home: string;
let program: readonly string[];

beforeAll(() => {
  execFileSync(process.execPath, [join(projectRoot, 'ops', 'build-binary.ts')], { cwd: projectRoot, stdio: 'ignore' });
  folder = clusterFolder();
  home = mkdtempSync(join(tmpdir(), 'skyshard-home-'));
  program = [join(folder, 'skyshard')];
  // One file copied elsewhere, as an operator would.
  copyFileSync(join(projectRoot, 'dist', 'skyshard'), program[0]!);
}, 180_000);

afterAll(() => {
  removeFolder(folder);
  rmSync(home, { recursive: true, force: true });
});

describe('the single executable', () => {
  it('unpacks itself once, into a folder that only its user can read', async () => {
    const first = await runCommand(['--version'], { HOME: home, PATH: '' }, program);
    expect(first).toMatchObject({ code: 0, out: `${version}\n` });
    const cache = join(home, '.cache', 'skyshard');
    expect(readdirSync(cache)).toHaveLength(1);
    expect(statSync(cache).mode & 0o777).toBe(0o700);
    const unpackedMs = statSync(join(cache, readdirSync(cache)[0]!)).ctimeMs;
    await runCommand(['--version'], { HOME: home, PATH: '' }, program);
    expect(statSync(join(cache, readdirSync(cache)[0]!)).ctimeMs).toBe(unpackedMs);
  });

  it('starts a cluster with its addons and apply threads, and answers', async () => {
    const words = ['--demo', '--demo-actors=10', '--demo-records=100', '--demo-rate=0'];
    const cluster = await startCluster(folder, words, program);
    try {
      const { url } = cluster.run.router;
      await adminRequest({ url, path: '/v1/settle', body: {}, token: null, timeoutMs });
      const listed = await adminRequest({
        url: cluster.run.demo!.url,
        path: '/xrpc/com.atproto.sync.listRepos',
        token: null,
        timeoutMs,
      });
      const dids = listOf(listed as Record<string, unknown>, 'repos').map(({ did }) => did);
      expect(dids).toHaveLength(10);
      const actors = listOf(await callService({ url, timeoutMs }, 'GetActors', { dids }), 'actors');
      expect(actors.map(({ exists }) => exists)).toEqual(dids.map(() => true));
    } finally {
      expect(await cluster.stop()).toBe(0);
    }
  }, 120_000);
});
