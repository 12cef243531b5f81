/**
 * One HTTP request on uWebSockets and its answer.
 *
 * Owns: the response. uWebSockets forbids touching it once it has ended or the client has gone.
 */
import type { HttpResponse } from 'uWebSockets.js';
import { toDataPlaneError } from '../base/data-plane-error.ts';
import { errorBodyOf } from './error-body.ts';
import {
  type BodyBound,
  type BodyLimits,
  type BodySource,
  boundOfWhole,
  RefusedBody,
  RequestBody,
} from './request-body.ts';

/** Not imported: an import of this module also loads the client of `fetch`. */
const { STATUS_CODES } = process.getBuiltinModule('node:http');

/** Writes the status line with its reason phrase; uWebSockets itself writes that of 200. */
export function writeStatus(response: HttpResponse, status: number): void {
  if (status !== 200) response.writeStatus(`${status} ${STATUS_CODES[status] ?? 'Client Closed Request'}`);
}

function nothingDeclared(): number {
  return 0;
}

/** uWebSockets reuses a chunk's memory once its handler has returned. */
function copyOf(chunk: ArrayBuffer): Buffer {
  const copy = Buffer.allocUnsafe(chunk.byteLength);
  copy.set(new Uint8Array(chunk));
  return copy;
}

/** A request and its answer, which is sent at most once. */
export class Exchange {
  readonly #response: HttpResponse;
  #isEnded = false;
  #body: RequestBody | null = null;
  #refused: RefusedBody | null = null;
  /** Of an answer in parts. */
  #done: (() => void) | null = null;

  constructor(response: HttpResponse) {
    this.#response = response;
    response.onAborted(() => {
      const done = this.#isEnded ? null : this.#done;
      this.#isEnded = true;
      if (this.#body?.isDropped === false) this.#body.drop();
      this.#refused?.drop();
      done?.();
    });
  }

  /**
   * Reads the body. Must be called before the first await.
   *
   * `done` gets the body, or the bound that it exceeds; it is not called if the client goes away.
   * The bytes are taken from `source`, by default the budget of the limits. `declaredBytes` returns
   * the size that the first chunk of a body says, 0 if it says none.
   */
  readBody(
    limits: BodyLimits,
    done: (body: Buffer | BodyBound) => void,
    source: BodySource = limits.budget,
    declaredBytes: (first: Uint8Array) => number = nothingDeclared,
  ): void {
    this.#response.onData((chunk, isLast) => {
      if (this.#refused !== null) return this.#refused.read(chunk.byteLength, isLast);
      if (this.#body?.isDropped === true) return;
      // Most bodies come in one chunk: they are checked, and there is nothing to count or to time.
      if (isLast && this.#body === null) return done(boundOfWhole(chunk.byteLength, limits, source) ?? copyOf(chunk));
      if (this.#body === null && declaredBytes(new Uint8Array(chunk)) > limits.bodyBytesMax) {
        this.#refused = new RefusedBody(limits, done);
        return this.#refused.read(chunk.byteLength, isLast);
      }
      this.#body ??= new RequestBody(limits, source);
      const body = this.#body;
      const bound = body.add(copyOf(chunk));
      if (bound !== null) done(bound);
      else if (isLast) done(body.take());
      else body.expectRest(done);
    });
  }

  /** Calls `write` to send an answer, unless one was sent or the client has gone. */
  answer(write: (response: HttpResponse) => void): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#response.cork(() => write(this.#response));
  }

  /**
   * Sends an answer in parts, one in each turn of the event loop, and none while the client has not
   * read those before. `write` writes what precedes the body; it must not end the answer.
   *
   * `done` is called once, when the last part is written or the client has gone.
   */
  answerInParts(write: (response: HttpResponse) => void, parts: Iterator<Buffer>, done: () => void): void {
    if (this.#isEnded) return done();
    this.#done = done;
    const response = this.#response;
    const next = (): void => {
      if (this.#isEnded) return;
      response.cork(() => {
        const part = parts.next();
        if (part.done !== true) {
          if (response.write(part.value)) setImmediate(next);
          return;
        }
        this.#isEnded = true;
        response.end();
        done();
      });
    };
    response.onWritable(() => {
      next();
      return true;
    });
    response.cork(() => write(response));
    next();
  }

  /** `isClosing` also ends the connection: needed when the request's body is not read. */
  send(status: number, contentType: string, body: Buffer | string, isClosing = false): void {
    this.answer((response) => {
      writeStatus(response, status);
      response.writeHeader('content-type', contentType).end(body, isClosing);
    });
  }

  /** Sends the error body; whatever is not a DataPlaneError is sent as `Internal`. */
  sendError(thrown: unknown, isClosing = false): void {
    const error = toDataPlaneError(thrown);
    this.send(error.httpStatus, 'application/json', `${JSON.stringify(errorBodyOf(error))}\n`, isClosing);
  }
}
