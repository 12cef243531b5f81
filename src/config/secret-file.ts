/** Secrets, read from the files that settings and the shard map name. */
import { readFileSync } from 'node:fs';
import { DataPlaneError } from '../base/data-plane-error.ts';

/** Shorter tokens could be guessed. */
const tokenLengthMin = 16;
const tokenLengthMax = 4096;

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

function readText(path: string, name: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new DataPlaneError('ConfigInvalid', `${name}: ${path} cannot be read: ${(cause as Error).message}`, {
      cause,
    });
  }
}
