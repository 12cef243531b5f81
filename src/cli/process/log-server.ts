/** Where the settings say that the log is. */
import { DataPlaneError } from '../../base/data-plane-error.ts';
import type { Settings } from '../../config/settings.ts';
import { type LogServer, readLogCredentials } from '../../log/log-server.ts';
import { readAuthority } from '../../log/log-tls.ts';

type LogSettings = Pick<
  Settings,
  'log' | 'logCredentialsFile' | 'logCaFile' | 'logCopies' | 'logBytesMax' | 'logHoursMax'
>;

/** Refuses what a NATS URL does not have, without repeating it: it may be a secret. */
function requirePlain(url: string): string {
  const { host, pathname, search, hash } = new URL(url);
  if (host !== '' && pathname === '' && search === '' && hash === '') return url;
  throw new DataPlaneError('ConfigInvalid', '--log: must be nats://host:port, and nothing after it');
}

/**
 * Returns the server of the log; null where slots have it in their folders. Only who owns slots
 * makes its streams.
 *
 * Errors: DataPlaneError `ConfigInvalid`.
 */
export function logServerOf(
  { log, logCredentialsFile, logCaFile, logCopies, logBytesMax, logHoursMax }: LogSettings,
  ownsSlots: boolean,
): LogServer | null {
  if (log.length === 0) return null;
  if (logCredentialsFile !== null) readLogCredentials(logCredentialsFile);
  if (logCaFile !== null) readAuthority(logCaFile);
  const ageMsMax = logHoursMax === 0 ? Number.POSITIVE_INFINITY : logHoursMax * 3_600_000;
  return {
    urls: log.map(requirePlain),
    credentialsFile: logCredentialsFile,
    caFile: logCaFile,
    streams: ownsSlots ? { bytesMax: logBytesMax, copies: logCopies, ageMsMax } : null,
  };
}
