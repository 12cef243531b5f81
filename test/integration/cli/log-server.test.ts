/** `skyshard up` and its processes with a log on a NATS server that asks for a token. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { adminRequest } from '../../../src/cli/admin-request.ts';
import { NatsServer } from '../../support/nats-server.ts';
import {
  clusterFolder,
  removeFolder,
  runCommand,
  sourceProgram,
  startCluster,
  upFlags,
} from '../../support/running-cluster.ts';
import { CertificateAuthority } from '../../support/self-signed-certificate.ts';
import { stopAfterEach } from '../../support/stop-after-each.ts';
import { until } from '../../support/until.ts';

const secret = 'a-token-that-nobody-may-read';
const testMsMax = 240_000;
const waitMsMax = 60_000;

const resources = stopAfterEach();

/** Runs a command and kills it once it has printed anything. Returns the signal that ended it. */
async function killedAtFirstLine(words: readonly string[]): Promise<string | null> {
  const { PATH, HOME } = process.env;
  const [program, ...first] = sourceProgram;
  const child = spawn(program!, [...first, ...words], { env: { PATH, HOME }, stdio: ['ignore', 'pipe', 'inherit'] });
  child.stdout.once('data', () => child.kill('SIGKILL'));
  const [, signal] = (await once(child, 'close')) as [number | null, string | null];
  return signal;
}

describe('skyshard up --log', () => {
  it(
    'follows the log of a server, says how safe it is, and never shows the token',
    async () => {
      const server = await NatsServer.start('8MB', [`authorization { token: "${secret}" }`]);
      resources.defer(() => server[Symbol.asyncDispose]());
      const folder = clusterFolder();
      resources.defer(() => removeFolder(folder));
      const credentials = join(folder, 'credentials');
      writeFileSync(credentials, `${secret}\n`, { mode: 0o600 });
      const demo = ['--demo', '--demo-actors=10', '--demo-records=200', '--demo-rate=0'];
      const flags = [`--log=${server.url}`, `--log-credentials-file=${credentials}`, `--log-bytes-max=${2 ** 28}`];
      const cluster = await startCluster(folder, [...demo, ...flags]);
      resources.defer(async () => void (await cluster.stop()));
      const { url } = cluster.run.router;
      const settle = () => adminRequest({ url, path: '/v1/settle', body: {}, token: null, timeoutMs: waitMsMax });
      expect(await settle()).toMatchObject({ settled: true, by: 'quiescence' });
      const showStatus = () => runCommand(['status', `--data-dir=${cluster.dataDir}`]);
      const good = await showStatus();
      expect(good.out).toContain(`the log is at ${server.url}, NATS 2.`);
      expect(good.out).toContain('warning: one copy');
      expect(good.out).not.toContain('and its log');

      await server.kill();
      await until(async () => (await showStatus()).out.includes('ingest and its log'), waitMsMax);
      const lost = await showStatus();
      expect(lost.out).toContain('n0 and its log: ');
      expect(lost.out).toContain('and their log: ');
      await server.up();
      await until(async () => !(await showStatus()).out.includes('and its log'), waitMsMax);
      expect(await settle()).toMatchObject({ settled: true });
      expect(await cluster.stop()).toBe(0);

      const embedded = await runCommand(['node', 'n0', `--data-dir=${cluster.dataDir}`, `--map=${cluster.run.map}`]);
      expect(embedded.code).not.toBe(0);
      expect(embedded.err).toContain('the log of a slot is on a server');
      expect(embedded.err).toContain('skyshard log migrate folders');
      for (const text of [cluster.printed.out, cluster.printed.err, good.out, lost.out])
        expect(text).not.toContain(secret);

      const migrate = (home: string, ...more: string[]) =>
        runCommand(['log', 'migrate', home, `--data-dir=${cluster.dataDir}`, ...flags, ...more]);
      const plan = await migrate('folders', '--dry-run');
      expect(plan.err).toBe('');
      expect(plan.out.match(/would be carried to the folders/g)).toHaveLength(4);
      expect(await killedAtFirstLine(['log', 'migrate', 'folders', `--data-dir=${cluster.dataDir}`, ...flags])).toBe(
        'SIGKILL',
      );
      const home = await migrate('folders', '--json');
      expect(home.code).toBe(0);
      const carried = home.out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { wasThere: boolean });
      expect(carried).toHaveLength(4);
      expect(carried[0]!.wasThere).toBe(true);

      const again = await startCluster(folder, demo);
      resources.defer(async () => void (await again.stop()));
      const settled = { url: again.run.router.url, path: '/v1/settle', body: {}, token: null, timeoutMs: waitMsMax };
      expect(await adminRequest(settled)).toMatchObject({ settled: true });
      expect((await showStatus()).out).not.toMatch(/incomplete|the log is at/);
      expect((await migrate('server')).err).toContain('DataInUse');
      expect(await again.stop()).toBe(0);
      const there = await migrate('server');
      expect(there.out.match(/is carried to the server/g)).toHaveLength(4);
      const served = await runCommand(['node', 'n0', `--data-dir=${cluster.dataDir}`, `--map=${cluster.run.map}`]);
      expect(served.err).toContain('the log of a slot is on a server');
    },
    testMsMax,
  );

  it(
    'follows the log of a server that encrypts, and refuses one whose certificate nobody signed that it trusts',
    async () => {
      const folder = clusterFolder();
      resources.defer(() => removeFolder(folder));
      const fileOf = (name: string, text: string): string => {
        writeFileSync(join(folder, name), text);
        return join(folder, name);
      };
      const authority = new CertificateAuthority('an authority');
      const { certificate, key } = authority.certify('127.0.0.1');
      const files = `cert_file: "${fileOf('nats.pem', certificate)}", key_file: "${fileOf('nats.key', key)}"`;
      const server = await NatsServer.start('8MB', [`tls { ${files} }`]);
      resources.defer(() => server[Symbol.asyncDispose]());
      const log = [`--log=${server.url}`, `--log-bytes-max=${2 ** 28}`];
      const other = fileOf('other.pem', new CertificateAuthority('another authority').certificate);
      const refused = await runCommand(['up', ...upFlags(folder), ...log, `--log-ca-file=${other}`]);
      expect(refused.code).not.toBe(0);
      expect(refused.err).toContain(`the certificate of ${server.url} is refused`);
      expect(refused.err).toContain('Name the certificate of the authority that signed the server by `--log-ca-file`');
      const demo = ['--demo', '--demo-actors=10', '--demo-records=200', '--demo-rate=0'];
      const ca = `--log-ca-file=${fileOf('ca.pem', authority.certificate)}`;
      const cluster = await startCluster(folder, [...demo, ...log, ca]);
      resources.defer(async () => void (await cluster.stop()));
      const { url } = cluster.run.router;
      const settle = { url, path: '/v1/settle', body: {}, token: null, timeoutMs: waitMsMax };
      expect(await adminRequest(settle)).toMatchObject({ settled: true, by: 'quiescence' });
      const { out } = await runCommand(['status', `--data-dir=${cluster.dataDir}`]);
      expect(out).toContain(`the log is at ${server.url}, NATS 2.`);
      expect(out).not.toContain('and its log');
    },
    testMsMax,
  );

  it('refuses a URL with a secret or anything else after the port, and repeats none of it', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'skyshard-log-flags-'));
    resources.defer(() => rmSync(dataDir, { recursive: true, force: true }));
    const urls = [
      `nats://${secret}@127.0.0.1`,
      `nats://me:${secret}@127.0.0.1`,
      `nats://127.0.0.1:4222/?auth=${secret}`,
    ];
    for (const url of urls) {
      const { code, out, err } = await runCommand(['ingest', `--data-dir=${dataDir}`, `--log=${url}`]);
      expect(code).toBe(2);
      expect(err).toContain('--log: must');
      expect(out + err).not.toContain(secret);
    }
  });
});
