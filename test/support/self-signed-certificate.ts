/** Makes certificates without a tool: just enough of X.509 and DER for tests. */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { systemClock } from '../../src/base/clock.ts';

/** One DER value: tag, length, content. */
function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  const length = content.length;
  const head = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...head]), content]);
}

const tag = {
  boolean: 0x01,
  integer: 0x02,
  bits: 0x03,
  octets: 0x04,
  oid: 0x06,
  utf8: 0x0c,
  utcTime: 0x17,
  sequence: 0x30,
  set: 0x31,
  ipAddress: 0x87,
  explicit0: 0xa0,
  explicit3: 0xa3,
} as const;

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

/** As PEM. */
export type Certificate = { readonly certificate: string; readonly key: string };

type Issuer = { readonly name: Buffer; readonly key: KeyObject };

function extension(oid: string, content: Buffer): Buffer {
  return der(tag.sequence, der(tag.oid, Buffer.from(oid, 'hex')), der(tag.octets, content));
}

/** Valid until tomorrow, or yesterday; signed by itself where there is no issuer. */
function issue(
  commonName: string,
  extensions: readonly Buffer[],
  { issuer, isExpired = false }: { readonly issuer?: Issuer; readonly isExpired?: boolean } = {},
): Certificate & { readonly issuer: Issuer } {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const dayMs = 86_400_000;
  const nowMs = systemClock.nowMs();
  const own = { name: nameOf(commonName), key: privateKey };
  const by = issuer ?? own;
  const serial = Buffer.concat([Buffer.from([1]), randomBytes(8)]);
  const v3 = der(tag.explicit0, der(tag.integer, Buffer.from([2])));
  const body = der(
    tag.sequence,
    ...(extensions.length === 0 ? [] : [v3]),
    der(tag.integer, serial),
    ecdsaWithSha256,
    by.name,
    der(tag.sequence, utcTime(nowMs - 2 * dayMs), utcTime(nowMs + (isExpired ? -dayMs : dayMs))),
    own.name,
    publicKey.export({ type: 'spki', format: 'der' }),
    ...(extensions.length === 0 ? [] : [der(tag.explicit3, der(tag.sequence, ...extensions))]),
  );
  const signature = der(tag.bits, Buffer.from([0]), sign('sha256', body, by.key));
  const certificate = der(tag.sequence, body, ecdsaWithSha256, signature);
  return {
    certificate: pem('CERTIFICATE', certificate),
    key: String(privateKey.export({ type: 'pkcs8', format: 'pem' })),
    issuer: own,
  };
}

export function selfSignedCertificate(commonName = 'skyshard'): Certificate {
  const { certificate, key } = issue(commonName, []);
  return { certificate, key };
}

/** An authority of its own, whose `certificate` those trust who trust it. */
export class CertificateAuthority {
  readonly certificate: string;
  readonly #issuer: Issuer;

  constructor(commonName: string) {
    const isAuthority = der(tag.sequence, der(tag.boolean, Buffer.from([255])));
    const { certificate, issuer } = issue(commonName, [extension('551d13', isAuthority)]);
    this.certificate = certificate;
    this.#issuer = issuer;
  }

  /** Certifies a server at an IPv4 address. */
  certify(address: string, isExpired = false): Certificate {
    const ip = der(tag.ipAddress, Buffer.from(address.split('.').map(Number)));
    return issue('a server', [extension('551d11', der(tag.sequence, ip))], { issuer: this.#issuer, isExpired });
  }
}
