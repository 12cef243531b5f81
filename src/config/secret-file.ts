/** Secrets, read from the files that settings and the shard map name. */
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { DataPlaneError } from '../base/data-plane-error.ts';

/** Shorter tokens could be guessed. */
const tokenLengthMin = 16;
const tokenLengthMax = 4096;
/** Of a token that we make. */
const tokenBytes = 32;

/**
 * Makes a file with a new token unless there is one, and closes it to everyone but its owner.
 *
 * The caller holds the lock of the folder. A file is never replaced: processes may use its token.
 */
export function keepTokenFile(path: string): void {
  if (existsSync(path)) return chmodSync(path, 0o600);
  const newPath = `${path}.new`;
  // That of a killed start may have other permissions.
  rmSync(newPath, { force: true });
  const text = `${randomBytes(tokenBytes).toString('base64url')}\n`;
  writeFileSync(newPath, text, { mode: 0o600, flush: true });
  renameSync(newPath, path);
}

/**
 * Returns the token in a file without the white space around it, or null when no file is named.
 *
 * Errors: DataPlaneError `ConfigInvalid`, without the token, when the file holds no valid one.
 */
export function readTokenFile(path: string | null, name: string): string | null {
  if (path === null) return null;
  const token = readText(path, name).trim();
  if (token.length < tokenLengthMin || token.length > tokenLengthMax || !/^[\x21-\x7e]+$/.test(token)) {
    throw new DataPlaneError(
      'ConfigInvalid',
      `${name}: the file must hold one token of ${tokenLengthMin} or more printable characters and nothing else`,
    );
  }
  return token;
}

/**
 * Returns the key in a file that someone else's service asks for, or null when no file is named.
 *
 * Errors: as `readTokenFile`, but how long it is, its maker decides.
 */
export function readKeyFile(path: string | null, name: string): string | null {
  if (path === null) return null;
  const key = readText(path, name).trim();
  if (key.length <= tokenLengthMax && /^[\x21-\x7e]+$/.test(key)) return key;
  throw new DataPlaneError('ConfigInvalid', `${name}: the file must hold one key and nothing else`);
}

/** True for a token of ours that nobody has made yet; a key comes from who asks for it. */
function isNewToken(cause: unknown, name: string): boolean {
  return (cause as NodeJS.ErrnoException).code === 'ENOENT' && /token/i.test(name);
}

function readText(path: string, name: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const message = `${name}: ${path} cannot be read: ${(cause as Error).message}`;
    const hint = `Copy it from another machine of the cluster; the first one makes it: (umask 077; openssl rand -hex 32 > ${path})`;
    throw new DataPlaneError('ConfigInvalid', message, isNewToken(cause, name) ? { cause, hint } : { cause });
  }
}
