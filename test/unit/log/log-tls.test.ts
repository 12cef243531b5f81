/** The log on a server that encrypts: whom clients trust, and what they say of others. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { LogSession } from '../../../src/log/log-session.ts';
import { parseShardMap } from '../../../src/shardmap/shard-map.ts';
import { NatsServer } from '../../support/nats-server.ts';
import { type Certificate, CertificateAuthority } from '../../support/self-signed-certificate.ts';
import { stopAfterEach } from '../../support/stop-after-each.ts';

const map = parseShardMap({
  epoch: 1,
  slots: 1,
  nodes: { n0: { host: '127.0.0.1', port: 1 } },
  shards: [{ name: 's0', primary: 'n0', slots: ['0'] }],
});
const authority = new CertificateAuthority('an authority');
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'skyshard-tls-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const resources = stopAfterEach();

function fileOf(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

async function serverWith(certified: Certificate | null): Promise<NatsServer> {
  const lines =
    certified === null
      ? []
      : [
          `tls { cert_file: "${fileOf('server.pem', certified.certificate)}"`,
          `key_file: "${fileOf('server.key', certified.key)}" }`,
        ];
  const server = await NatsServer.start('8MB', lines);
  resources.use(server);
  return server;
}

async function connect(url: string, caFile: string | null): Promise<string | null> {
  const streams = { bytesMax: 2 ** 24, copies: 1 };
  const session = await LogSession.open({ urls: [url], credentialsFile: null, caFile, streams }, url, map);
  const { version } = session.facts;
  await session.close();
  return version;
}

it('is reached by those who trust its authority, and by no others', async () => {
  const { url } = await serverWith(authority.certify('127.0.0.1'));
  expect(await connect(url, fileOf('ca.pem', authority.certificate))).toMatch(/^2\./);
  const other = fileOf('other.pem', new CertificateAuthority('another authority').certificate);
  for (const caFile of [other, null])
    await expect(connect(url, caFile)).rejects.toMatchObject({
      code: 'ConfigInvalid',
      message: expect.stringContaining(`the certificate of ${url} is refused: unable to verify`),
      hint: expect.stringContaining('--log-ca-file'),
    });
});

it.each([
  ['of another host', () => authority.certify('127.0.0.2'), 'IP: 127.0.0.1 is not in the cert', 'subjectAltName'],
  ['that has expired', () => authority.certify('127.0.0.1', true), 'certificate has expired', 'that is valid now'],
])('refuses a certificate %s', async (_what, certify, problem, hint) => {
  const { url } = await serverWith(certify());
  await expect(connect(url, fileOf('ca.pem', authority.certificate))).rejects.toMatchObject({
    code: 'ConfigInvalid',
    message: expect.stringContaining(problem),
    hint: expect.stringContaining(hint),
  });
});

it('is refused where it does not encrypt though it must', async () => {
  const { url } = await serverWith(null);
  await expect(connect(url, fileOf('ca.pem', authority.certificate))).rejects.toMatchObject({
    code: 'ConfigInvalid',
    message: expect.stringContaining('does not encrypt'),
    hint: expect.stringContaining('cert_file'),
  });
});

it.each([
  ['is not there', (): string => join(folder, 'nowhere.pem')],
  ['holds no certificate', (): string => fileOf('text.pem', 'no certificate')],
])('says so when the file of the authority %s', async (_what, path) => {
  await expect(connect('nats://127.0.0.1:1', path())).rejects.toMatchObject({
    code: 'ConfigInvalid',
    message: expect.stringContaining('holds no certificate'),
  });
});
