/** The body of an error over HTTP: every process writes it, and its clients read it. */
import * as v from 'valibot';
import { DataPlaneError, type ErrorCode, errorFromPeer } from '../base/data-plane-error.ts';
import { openObjectShape, parseShape } from '../config/json-shape.ts';

export type ErrorBody = { readonly error: ErrorCode; readonly message: string; readonly hint: string };

/** Returns the body of an error. */
export function errorBodyOf({ code, message, hint }: DataPlaneError): ErrorBody {
  return { error: code, message, hint };
}

const errorBody = openObjectShape({ error: v.string(), message: v.string(), hint: v.string() });

/** The code for an answer that does not come from one of our processes, by HTTP status. */
const codeByHttpStatus: Readonly<Record<number, ErrorCode>> = { 401: 'Unauthenticated', 503: 'Unavailable' };

/** Returns the error in an answer from `peer`, with the code and the hint that the peer gave it. */
export function errorOfBody(peer: string, status: number, text: string): DataPlaneError {
  const body = parseShape(errorBody, text);
  if (body !== undefined) return errorFromPeer(peer, body.error, body.message, body.hint);
  // Not one of our processes, but a proxy's page, for example.
  const shown = text.trim().slice(0, 500);
  const message = `${peer} answered with HTTP status ${status}${shown === '' ? '' : `: ${shown}`}`;
  return new DataPlaneError(codeByHttpStatus[status] ?? 'Internal', message);
}
