/** What a router has ingest do. */
import type { AskingIngest } from '../../router/router-server.ts';
import { adminRequest } from '../admin-request.ts';

/** Beyond ingest's own timeout, so that its answer, which says what is late, comes first. */
const settleGraceMs = 2_000;
const eraseTimeoutMs = 30_000;

/** Returns what asks the ingest at a URL, as options of a router; none without ingest. */
export function askingIngest(url: string | null, token: string | null): AskingIngest {
  if (url === null) return {};
  const ask = async (path: string, body: object, timeoutMs: number): Promise<object> =>
    (await adminRequest({ url, path, body, token, timeoutMs })) as object;
  return {
    settleIngest: (body) => ask('/v1/settle', body, body.timeoutMs + settleGraceMs),
    eraseAtIngest: (body) => ask('/v1/private/erase', body, eraseTimeoutMs),
  };
}
