/** How connections to the log server are encrypted, and what it means when that fails. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { DataPlaneError } from '../base/data-plane-error.ts';

/** For the client of NATS, which passes all of it on to `tls.connect`. */
export type LogEncryption = { readonly tls: { readonly ca: string; readonly host: string } };

const untrusted = 'Name the certificate of the authority that signed the server by `--log-ca-file`.';
const hintByCode: Readonly<Record<string, string>> = {
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted,
  UNABLE_TO_GET_ISSUER_CERT: untrusted,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted,
  SELF_SIGNED_CERT_IN_CHAIN: untrusted,
  DEPTH_ZERO_SELF_SIGNED_CERT: untrusted,
  CERT_SIGNATURE_FAILURE: untrusted,
  CERT_HAS_EXPIRED: 'Give the server a certificate that is valid now, or set the clock of this machine.',
  CERT_NOT_YET_VALID: 'Give the server a certificate that is valid now, or set the clock of this machine.',
  ERR_TLS_CERT_ALTNAME_INVALID:
    'The certificate must have the host of `--log` as a subjectAltName: DNS:<name>, or IP:<address>.',
};

/**
 * Returns how to connect to a server that must have a certificate of the authority in a file.
 *
 * The host is named since the client passes addresses on as no name at all, and what is checked
 * then is `localhost`. Errors: DataPlaneError `ConfigInvalid` for a file without a certificate.
 */
export function encryptionFor(caFile: string | null, url: string): LogEncryption | Record<string, never> {
  if (caFile === null) return {};
  const ca = readAuthority(caFile);
  return { tls: { ca, host: new URL(url).hostname.replace(/^\[|\]$/g, '') } };
}

/** Reads the file anew, as it may have been replaced since. Errors: `ConfigInvalid`. */
export function readAuthority(path: string): string {
  try {
    const text = readFileSync(path, 'utf8');
    new X509Certificate(text);
    return text;
  } catch (cause) {
    throw new DataPlaneError('ConfigInvalid', `${path} holds no certificate: ${(cause as Error).message}`, {
      cause,
      hint: 'Name a file with certificates in PEM, those of who signs for the log servers.',
    });
  }
}

/** Returns the error of a connection that could not be encrypted as it must be, or null. */
export function encryptionError(url: string, thrown: unknown): DataPlaneError | null {
  const { code, message } = thrown as Error & { readonly code?: unknown };
  const hint = typeof code === 'string' ? hintByCode[code] : undefined;
  if (hint !== undefined)
    return new DataPlaneError('ConfigInvalid', `the certificate of ${url} is refused: ${message}`, {
      cause: thrown,
      hint,
    });
  if (message !== "server does not support 'tls'") return null;
  return new DataPlaneError('ConfigInvalid', `${url} does not encrypt, which \`--log-ca-file\` asks for`, {
    cause: thrown,
    hint: 'Configure `tls { cert_file: …, key_file: … }` in nats-server, or leave the flag out.',
  });
}
