/** The body of an error over HTTP, written by every process and read by whoever asked it. */
import * as v from 'valibot';
import { DataPlaneError, type ErrorCode, errorFromPeer } from '../base/data-plane-error.ts';
import { openObjectShape } from '../config/json-shape.ts';

/** The fields of the body; `error` is the code. */
export type ErrorBody = { readonly error: ErrorCode; readonly message: string; readonly hint: string };

/** Returns the body that carries an error. */
export function errorBodyOf({ code, message, hint }: DataPlaneError): ErrorBody {
  return { error: code, message, hint };
}

const errorBody = openObjectShape({ error: v.string(), message: v.string(), hint: v.string() });

/** What an answer of something that is not one of our processes means, by HTTP status. */
const codeByHttpStatus: Readonly<Record<number, ErrorCode>> = { 401: 'Unauthenticated', 503: 'Unavailable' };

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not one of our processes, then: a proxy's page, for example.
    return null;
  }
}

/** Returns the error that an answer from `peer` carries, with the code and hint of who raised it. */
export function errorOfBody(peer: string, status: number, text: string): DataPlaneError {
  const body = v.safeParse(errorBody, parsedJson(text));
  if (body.success) return errorFromPeer(peer, body.output.error, body.output.message, body.output.hint);
  const shown = text.trim().slice(0, 500);
  const message = `${peer} answered with HTTP status ${status}${shown === '' ? '' : `: ${shown}`}`;
  return new DataPlaneError(codeByHttpStatus[status] ?? 'Internal', message);
}
