/** Where the settings say that the log is. */
import { DataPlaneError } from '../../base/data-plane-error.ts';
import type { Settings } from '../../config/settings.ts';
import { type LogServer, readLogCredentials } from '../../log/log-server.ts';

type LogSettings = Pick<Settings, 'log' | 'logCredentialsFile' | 'logCopies' | 'logBytesMax' | 'logHoursMax'>;

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
  { log, logCredentialsFile, logCopies, logBytesMax, logHoursMax }: LogSettings,
  ownsSlots: boolean,
): LogServer | null {
  if (log.length === 0) return null;
  if (logCredentialsFile !== null) readLogCredentials(logCredentialsFile);
  const ageMsMax = logHoursMax === 0 ? Number.POSITIVE_INFINITY : logHoursMax * 3_600_000;
  return {
    urls: log.map(requirePlain),
    credentialsFile: logCredentialsFile,
    streams: ownsSlots ? { bytesMax: logBytesMax, copies: logCopies, ageMsMax } : null,
  };
}
