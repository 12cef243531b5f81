/**
 * A cheap gRPC client over HTTP/1.1: raw sockets, prepared requests, one in flight per connection.
 *
 * It speaks as the official client does with HTTP/1.1, and reads only the end of an answer and its
 * `grpc-status`, which is in the headers or, in chunked answers, in the trailers.
 */
import { connect, type Socket } from 'node:net';
import { systemClock } from '../src/base/clock.ts';

/** `problem` is the `grpc-message`; `message` is valid until the next request on the connection. */
export type GrpcAnswer = { readonly status: number; readonly problem: string; readonly message: Buffer };

export function grpcRequest(method: string, message: Uint8Array, caller = ''): Buffer {
  const body = Buffer.alloc(5 + message.length);
  body.writeUInt32BE(message.length, 1);
  body.set(message, 5);
  const head =
    `POST /bsky.Service/${method} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/grpc+proto\r\n` +
    `te: trailers\r\n${caller === '' ? '' : `x-atlantis-caller: ${caller}\r\n`}content-length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), body]);
}

const headEnd = Buffer.from('\r\n\r\n');
const lineEnd = Buffer.from('\r\n');
const statusInHead = /\r\ngrpc-status: *(\d+)/i;
const problemInHead = /\r\ngrpc-message: *([^\r]*)/i;
const lengthInHead = /\r\ncontent-length: *(\d+)/i;

function messageOf(body: Buffer): Buffer {
  return body.length < 5 ? body.subarray(0, 0) : body.subarray(5, 5 + body.readUInt32BE(1));
}

/** Returns the answer that `bytes` begin with, or null while it is incomplete. */
export function readAnswer(bytes: Buffer): GrpcAnswer | null {
  const end = bytes.indexOf(headEnd);
  if (end < 0) return null;
  const head = bytes.latin1Slice(0, end);
  const status = statusInHead.exec(head)?.[1];
  const length = lengthInHead.exec(head)?.[1];
  if (length !== undefined) {
    const bodyEnd = end + 4 + Number(length);
    if (bytes.length < bodyEnd) return null;
    const problem = status === '0' ? '' : (problemInHead.exec(head)?.[1] ?? '');
    return { status: Number(status ?? -1), problem, message: messageOf(bytes.subarray(end + 4, bodyEnd)) };
  }
  const parts: Buffer[] = [];
  for (let at = end + 4; ; ) {
    const line = bytes.indexOf(lineEnd, at);
    if (line < 0) return null;
    const size = Number.parseInt(bytes.latin1Slice(at, line), 16);
    if (!(size >= 0)) throw new Error('an answer is neither counted nor chunked');
    if (size === 0) {
      const trailersEnd = bytes.indexOf(headEnd, line);
      if (trailersEnd < 0) return null;
      const trailers = bytes.latin1Slice(line, trailersEnd);
      const message = messageOf(parts.length === 1 ? parts[0]! : Buffer.concat(parts));
      const problem = problemInHead.exec(trailers)?.[1] ?? '';
      return { status: Number(status ?? statusInHead.exec(trailers)?.[1] ?? -1), problem, message };
    }
    at = line + 2 + size + 2;
    if (at > bytes.length) return null;
    parts.push(bytes.subarray(line + 2, line + 2 + size));
  }
}

/** Returns whether an answer that begins with `first` may end with `last`. Large ones have many. */
function mayEnd(first: Buffer, last: Buffer, bytes: number): boolean {
  const end = first.indexOf(headEnd);
  if (end < 0) return true;
  const length = lengthInHead.exec(first.latin1Slice(0, end))?.[1];
  return length === undefined ? last.subarray(-headEnd.length).equals(headEnd) : bytes >= end + 4 + Number(length);
}

type Waiting = {
  readonly request: Buffer;
  readonly sentMs: number;
  readonly attempt: number;
  readonly done: (answer: GrpcAnswer) => void;
  readonly fail: (error: Error) => void;
};

/** An answer that takes longer is an error. */
const answerMsMax = 30_000;

/** One connection, reopened when the server has closed it for being idle. */
class Connection {
  readonly #port: number;
  #socket: Socket;
  #pieces: Buffer[] = [];
  #bytes = 0;
  #waiting: Waiting | null = null;

  constructor(port: number) {
    this.#port = port;
    this.#socket = this.#open();
  }

  #open(): Socket {
    const socket = connect(this.#port, '127.0.0.1');
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('error', (error) => this.#end(socket, error));
    socket.on('close', () => this.#end(socket, new Error('the server closed the connection')));
    return socket;
  }

  ask(request: Buffer, done: Waiting['done'], fail: Waiting['fail']): void {
    this.#send({ request, sentMs: systemClock.monotonicMs(), attempt: 0, done, fail });
  }

  #send(waiting: Waiting): void {
    this.#waiting = waiting;
    this.#clear();
    if (this.#socket.destroyed) this.#socket = this.#open();
    this.#socket.write(waiting.request);
  }

  #clear(): void {
    this.#pieces = [];
    this.#bytes = 0;
  }

  #read(chunk: Buffer): void {
    this.#pieces.push(chunk);
    this.#bytes += chunk.length;
    if (this.#pieces.length > 1 && !mayEnd(this.#pieces[0]!, chunk, this.#bytes)) return;
    const answer = readAnswer(this.#pieces.length === 1 ? chunk : Buffer.concat(this.#pieces));
    if (answer === null) return;
    this.#clear();
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.done(answer);
  }

  /** Retries once a request that met the server's closing of an idle connection. */
  #end(socket: Socket, error: Error): void {
    if (socket !== this.#socket) return;
    const waiting = this.#waiting;
    if (waiting === null) return;
    this.#waiting = null;
    socket.destroy();
    if (waiting.attempt === 0 && this.#bytes === 0) this.#send({ ...waiting, attempt: 1 });
    else waiting.fail(error);
  }

  /** Fails a request that has waited too long. */
  check(nowMs: number): void {
    const waiting = this.#waiting;
    if (waiting === null || nowMs - waiting.sentMs < answerMsMax) return;
    this.#waiting = null;
    this.#socket.destroy();
    waiting.fail(new Error(`no answer within ${answerMsMax} ms`));
  }

  close(): void {
    this.#waiting = null;
    this.#socket.destroy();
  }
}

/** A pool of connections to one server; a request waits for a free one. */
export class GrpcLoad {
  readonly #connections: readonly Connection[];
  readonly #free: Connection[];
  readonly #queue: (() => void)[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor(port: number, connections: number) {
    this.#connections = Array.from({ length: connections }, () => new Connection(port));
    this.#free = [...this.#connections];
    this.#timer = setInterval(() => {
      const nowMs = systemClock.monotonicMs();
      for (const connection of this.#connections) connection.check(nowMs);
    }, 1000);
  }

  /** Sends one request. Errors: Error when its `grpc-status` is not 0. */
  ask(request: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const send = (): void => {
        const connection = this.#free.pop()!;
        const release = (): void => {
          this.#free.push(connection);
          this.#queue.shift()?.();
        };
        connection.ask(
          request,
          ({ status, problem, message }) => {
            if (status === 0) resolve(message);
            else reject(new Error(`grpc-status ${status} ${problem}`));
            release();
          },
          (error) => {
            reject(error);
            release();
          },
        );
      };
      if (this.#free.length > 0) send();
      else this.#queue.push(send);
    });
  }

  close(): void {
    clearInterval(this.#timer);
    for (const connection of this.#connections) connection.close();
  }
}
