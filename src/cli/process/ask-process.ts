/** Requests of commands to the router or the ingest that their settings or the run file name. */
import { readClientToken } from '../access-files.ts';
import { adminRequest } from '../admin-request.ts';
import type { CommandContext } from '../command.ts';
import { urlOf } from './run-file.ts';

type Settings = Pick<CommandContext, 'settings'>;

/** Longer than the router waits for nodes, so that its error comes first. */
const timeoutMsDefault = 60_000;

/** Sends a GET to the router, or a POST when there is a body. Errors: those of `adminRequest`. */
export function askRouter(
  { settings }: Settings,
  path: string,
  body?: object,
  timeoutMs = timeoutMsDefault,
): Promise<unknown> {
  const url = urlOf('router', settings.routerUrl, settings.dataDir);
  return adminRequest({ url, path, body, token: readClientToken(settings), timeoutMs });
}

/** Sends a DELETE of what the body names to the router. Errors: those of `adminRequest`. */
export function deleteAtRouter({ settings }: Settings, path: string, body: object): Promise<unknown> {
  const url = urlOf('router', settings.routerUrl, settings.dataDir);
  return adminRequest({
    url,
    path,
    body,
    isDelete: true,
    token: readClientToken(settings),
    timeoutMs: timeoutMsDefault,
  });
}

/** Like `askRouter`, for ingest. */
export function askIngest(
  { settings }: Settings,
  path: string,
  body?: object,
  timeoutMs = timeoutMsDefault,
): Promise<unknown> {
  const url = urlOf('ingest', settings.ingestUrl, settings.dataDir);
  return adminRequest({ url, path, body, token: readClientToken(settings), timeoutMs });
}
