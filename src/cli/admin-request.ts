/** Asking our own processes over HTTP: admin endpoints and `bsky.Service` by Connect JSON. */
import { DataPlaneError, type ErrorCode, errorTable } from '../base/data-plane-error.ts';

/** One request: a GET, or a POST when there is a body. */
export type AdminRequest = {
  readonly url: string;
  readonly path: string;
  readonly body?: unknown;
  readonly token: string | null;
  readonly timeoutMs: number;
};

const codeByConnectCode: Record<string, ErrorCode> = {
  invalid_argument: 'InvalidArgument',
  not_found: 'NotFound',
  unimplemented: 'Unimplemented',
  unauthenticated: 'Unauthenticated',
  resource_exhausted: 'ResourceExhausted',
  unavailable: 'Unavailable',
  deadline_exceeded: 'DeadlineExceeded',
  aborted: 'Aborted',
  canceled: 'Canceled',
};

function errorOf(status: number, text: string): DataPlaneError {
  let body: { code?: unknown; message?: unknown } = {};
  try {
    body = JSON.parse(text) as typeof body;
  } catch {
    // Not ours, then: what it said is shown as it is.
  }
  const message = typeof body.message === 'string' ? body.message : text.slice(0, 500);
  const code = typeof body.code === 'string' ? body.code : '';
  if (code in errorTable) return new DataPlaneError(code as ErrorCode, message);
  const byStatus: ErrorCode = status === 401 ? 'Unauthenticated' : status === 503 ? 'Unavailable' : 'Internal';
  return new DataPlaneError(codeByConnectCode[code] ?? byStatus, message === '' ? `HTTP status ${status}` : message);
}

/**
 * Sends one request and returns the JSON of the answer.
 *
 * Errors: DataPlaneError as the process raised it; `Unavailable` when it cannot be reached; `DeadlineExceeded` when the time is over.
 */
export async function adminRequest({ url, path, body, token, timeoutMs }: AdminRequest): Promise<unknown> {
  const headers: Record<string, string> = { 'content-type': 'application/json' };
  if (token !== null) headers['authorization'] = `Bearer ${token}`;
  const init = body === undefined ? { method: 'GET' } : { method: 'POST', body: JSON.stringify(body) };
  let response: Response;
  let text: string;
  try {
    response = await fetch(`${url}${path}`, { ...init, headers, signal: AbortSignal.timeout(timeoutMs) });
    text = await response.text();
  } catch (cause) {
    if ((cause as Error).name === 'TimeoutError') {
      throw new DataPlaneError('DeadlineExceeded', `${url}${path} did not answer in ${timeoutMs} ms`, { cause });
    }
    const why = (cause as { cause?: Error }).cause?.message ?? (cause as Error).message;
    const hint = 'Start it (`skyshard up` starts all), or say where it is by --data-dir or its URL flag.';
    throw new DataPlaneError('Unavailable', `${url} cannot be reached: ${why}`, { cause, hint });
  }
  if (!response.ok) throw errorOf(response.status, text);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new DataPlaneError('Internal', `${url}${path} did not answer JSON`, { cause });
  }
}
