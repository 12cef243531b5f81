/** HTTP requests to our own processes: admin endpoints, and `bsky.Service` by Connect JSON. */
import { DataPlaneError } from '../base/data-plane-error.ts';
import { errorOfBody } from '../http/error-body.ts';

/** A GET, or when there is a body a POST, or a DELETE. */
export type AdminRequest = {
  readonly url: string;
  readonly path: string;
  readonly body?: unknown;
  readonly isDelete?: boolean;
  readonly token: string | null;
  readonly timeoutMs: number;
};

/**
 * Sends one request and returns the JSON of the answer.
 *
 * Errors: DataPlaneError with the code and the hint that the process raised; `Unavailable` when it
 * cannot be reached; `DeadlineExceeded` when it does not answer within `timeoutMs`.
 */
export async function adminRequest({ url, path, body, isDelete, token, timeoutMs }: AdminRequest): Promise<unknown> {
  const headers: Record<string, string> = { 'content-type': 'application/json' };
  if (token !== null) headers['authorization'] = `Bearer ${token}`;
  const init =
    body === undefined
      ? { method: 'GET' }
      : { method: isDelete === true ? 'DELETE' : 'POST', body: JSON.stringify(body) };
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
  if (!response.ok) throw errorOfBody(`${url}${path}`, response.status, text);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new DataPlaneError('Internal', `${url}${path} did not answer JSON`, { cause });
  }
}
