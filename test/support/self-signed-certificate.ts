/** Makes self-signed certificates without a tool: just enough of X.509 and DER for tests. */
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { systemClock } from '../../src/base/clock.ts';

/** One DER value: tag, length, content. */
function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  const length = content.length;
  const head = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...head]), content]);
}

const tag = { integer: 0x02, bits: 0x03, oid: 0x06, utf8: 0x0c, utcTime: 0x17, sequence: 0x30, set: 0x31 } as const;

const ecdsaWithSha256 = der(tag.sequence, der(tag.oid, Buffer.from('2a8648ce3d040302', 'hex')));

function nameOf(commonName: string): Buffer {
  const attribute = der(
    tag.sequence,
    der(tag.oid, Buffer.from('550403', 'hex')),
    der(tag.utf8, Buffer.from(commonName)),
  );
  return der(tag.sequence, der(tag.set, attribute));
}

function utcTime(timeMs: number): Buffer {
  return der(tag.utcTime, Buffer.from(`${new Date(timeMs).toISOString().replace(/[-:T]/g, '').slice(2, 14)}Z`));
}

function pem(label: string, content: Buffer): string {
  const lines = content.toString('base64').match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}

/** Returns certificate and key as PEM, valid from yesterday to tomorrow. */
export function selfSignedCertificate(commonName = 'skyshard'): { certificate: string; key: string } {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const dayMs = 86_400_000;
  const nowMs = systemClock.nowMs();
  const name = nameOf(commonName);
  const serial = Buffer.concat([Buffer.from([1]), randomBytes(8)]);
  const body = der(
    tag.sequence,
    der(tag.integer, serial),
    ecdsaWithSha256,
    name,
    der(tag.sequence, utcTime(nowMs - dayMs), utcTime(nowMs + dayMs)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
  );
  const signature = der(tag.bits, Buffer.from([0]), sign('sha256', body, privateKey));
  const certificate = der(tag.sequence, body, ecdsaWithSha256, signature);
  return {
    certificate: pem('CERTIFICATE', certificate),
    key: String(privateKey.export({ type: 'pkcs8', format: 'pem' })),
  };
}
