/** What a router has ingest do. */
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { readShape } from '../../config/json-shape.ts';
import { readIngestState } from '../../dashboard/ingest-state.ts';
import type { AskingIngest } from '../../router/router-server.ts';
import { liveAnswerShape } from '../../wire/live-messages.ts';
import { adminRequest } from '../admin-request.ts';

/** Beyond ingest's own timeout, so that its answer, which says what is late, comes first. */
const settleGraceMs = 2_000;
const eraseTimeoutMs = 30_000;
/** A page waits for it. */
const watchTimeoutMs = 900;

function refuseLive(problem: string): never {
  throw new DataPlaneError('Internal', `what ingest recorded: ${problem}`);
}

/** Returns what asks the ingest at a URL, as options of a router; none without ingest. */
export function askingIngest(url: string | null, token: string | null): AskingIngest {
  if (url === null) return {};
  const ask = async (path: string, body: object, timeoutMs: number): Promise<object> =>
    (await adminRequest({ url, path, body, token, timeoutMs })) as object;
  const look = (path: string): Promise<unknown> => adminRequest({ url, path, token, timeoutMs: watchTimeoutMs });
  return {
    settleIngest: (body) => ask('/v1/settle', body, body.timeoutMs + settleGraceMs),
    eraseAtIngest: (body) => ask('/v1/private/erase', body, eraseTimeoutMs),
    liveAtIngest: async ({ spanS, sinceMs }) =>
      readShape(liveAnswerShape, await look(`/v1/live?span=${spanS}&since=${sinceMs}`), refuseLive),
    ingestStatus: async () => readIngestState(await look('/v1/status')),
  };
}
