/** Where the log is when it is on NATS servers, and what is known of them without their client. */
import { readFileSync } from 'node:fs';
import { DataPlaneError } from '../base/data-plane-error.ts';
import type { LogServerStatus } from '../wire/node-status.ts';

export type LogServer = {
  /** `nats://host:port` each: servers of one cluster, of which any will do. */
  readonly urls: readonly string[];
  /** The file with the credentials for them; null where they ask for none. */
  readonly credentialsFile: string | null;
  /** The file with the authority of their certificates; absent: those that Node trusts. */
  readonly caFile?: string | null;
  /** How streams are made and trimmed; null for those who only use what is there. */
  readonly streams: StreamLimits | null;
};

export type StreamLimits = {
  /** How old what a replica lacks may be before the log is trimmed all the same; absent: any. */
  readonly ageMsMax?: number;
  /** Of all streams together, which refuse what does not fit. */
  readonly bytesMax: number;
  /** How many servers have each entry. */
  readonly copies: number;
};

export type LogCredentials =
  | { readonly kind: 'creds'; readonly bytes: Uint8Array }
  | { readonly kind: 'password'; readonly user: string; readonly password: string }
  | { readonly kind: 'token'; readonly token: string };

const credsMark = '-----BEGIN NATS USER JWT-----';
const credentialsHint = 'Name a .creds file of NATS, or a file with one line: a token, or <user>:<password>.';

/**
 * Reads credentials anew, as they may have been replaced since the last connect.
 *
 * Errors: DataPlaneError `ConfigInvalid`, which never repeats what the file holds.
 */
export function readLogCredentials(path: string): LogCredentials {
  const bytes = readBytes(path);
  const text = bytes.toString('utf8').trim();
  if (text.includes(credsMark)) return { kind: 'creds', bytes };
  if (!/^[\x21-\x7e]{1,4096}$/.test(text)) {
    throw new DataPlaneError('ConfigInvalid', `${path} holds no credentials of NATS`, { hint: credentialsHint });
  }
  const colon = text.indexOf(':');
  if (colon <= 0) return { kind: 'token', token: text };
  return { kind: 'password', user: text.slice(0, colon), password: text.slice(colon + 1) };
}

function readBytes(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new DataPlaneError('ConfigInvalid', `${path} cannot be read: ${(cause as Error).message}`, { cause });
  }
}

/** What a connection has shown of a server, and of the streams on it. */
export type ServerFacts = Pick<LogServerStatus, 'url' | 'version' | 'copies'>;

/** Since this version, a server can be told to write each entry to disk before it acknowledges. */
const syncingVersion = [2, 10] as const;

/** Returns what may be lost by how a server has its log; null where nothing is known to be. */
export function durabilityWarning({ version, copies }: ServerFacts): string | null {
  if (version === null || copies === null || copies > 1) return null;
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [majorMin, minorMin] = syncingVersion;
  if (major > majorMin || (major === majorMin && minor >= minorMin))
    return `one copy on NATS ${version}: only with \`sync_interval: always\` in its configuration is an acknowledged entry on disk, and the server does not say`;
  return `one copy on NATS ${version}, for trial: it acknowledges an entry up to two minutes before that is on disk`;
}
