/**
 * One HTTP request that is being answered on uWebSockets.
 *
 * Owns: the response until it has ended or its client has gone, after which it is never touched.
 */

import type { HttpResponse } from 'uWebSockets.js';
import { STATUS_CODES } from 'node:http';
import { toDataPlaneError } from '../base/data-plane-error.ts';
import { errorBodyOf } from './error-body.ts';
import { type BodyBound, type BodyLimits, RequestBody } from './request-body.ts';

/** Returns the whole status line that uWebSockets wants. */
export function statusLine(status: number): string {
  return status === 200 ? '200 OK' : `${status} ${STATUS_CODES[status] ?? 'Client Closed Request'}`;
}

/** A request and its answer, which is sent once at most. */
export class Exchange {
  readonly #response: HttpResponse;
  #isEnded = false;
  #body: RequestBody | null = null;

  constructor(response: HttpResponse) {
    this.#response = response;
    response.onAborted(() => {
      this.#isEnded = true;
      if (this.#body?.isDropped === false) this.#body.drop();
    });
  }

  /**
   * Reads the body. Must be called before anything is awaited.
   *
   * `whole` gets the body, or the bound that it passed; it is not called once the client has gone.
   */
  readBody(limits: BodyLimits, whole: (body: Buffer | BodyBound) => void): void {
    const body = new RequestBody(limits);
    this.#body = body;
    this.#response.onData((chunk, isLast) => {
      if (body.isDropped) return;
      // uWebSockets takes the chunk's memory back after this call, so it is copied.
      const copy = Buffer.allocUnsafe(chunk.byteLength);
      copy.set(new Uint8Array(chunk));
      const bound = body.add(copy);
      if (bound !== null) whole(bound);
      else if (isLast) whole(body.take());
      // Most bodies come in one chunk and cost no timer.
      else body.expectRest(whole);
    });
  }

  /** Sends what `write` writes, unless an answer was sent or the client has gone. */
  answer(write: (response: HttpResponse) => void): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#response.cork(() => write(this.#response));
  }

  /** `isClosing` ends the connection too, for a request whose body is not read. */
  send(status: number, contentType: string, body: Buffer | string, isClosing = false): void {
    this.answer((response) => {
      response.writeStatus(statusLine(status)).writeHeader('content-type', contentType).end(body, isClosing);
    });
  }

  /** Sends the one error body; anything that is not an operating failure is `Internal`. */
  sendError(thrown: unknown, isClosing = false): void {
    const error = toDataPlaneError(thrown);
    this.send(error.httpStatus, 'application/json', `${JSON.stringify(errorBodyOf(error))}\n`, isClosing);
  }
}
