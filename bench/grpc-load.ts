/**
 * A cheap client of gRPC over HTTP/1.1 for benches: raw sockets, requests made beforehand, one in flight a connection.
 *
 * It speaks to any plane as the official client does with HTTP version 1.1, and reads no more of an answer than its end and its
 * `grpc-status`, which stands in the headers or, in chunked answers, in the trailers.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** What came back. `message` is the protobuf message, only valid until the next request on the connection. */
export type GrpcAnswer = { readonly status: number; readonly message: Buffer };

/** Returns a whole HTTP request for a method. */
export function grpcRequest(method: string, message: Uint8Array): Buffer {
  const body = Buffer.alloc(5 + message.length);
  body.writeUInt32BE(message.length, 1);
  body.set(message, 5);
  const head =
    `POST /bsky.Service/${method} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/grpc+proto\r\n` +
    `te: trailers\r\ncontent-length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), body]);
}

const headEnd = Buffer.from('\r\n\r\n');
const lineEnd = Buffer.from('\r\n');
const statusInHead = /\r\ngrpc-status: *(\d+)/i;
const lengthInHead = /\r\ncontent-length: *(\d+)/i;

function messageOf(body: Buffer): Buffer {
  return body.length < 5 ? body.subarray(0, 0) : body.subarray(5, 5 + body.readUInt32BE(1));
}

/** Returns the answer that `bytes` begin with, or null while it is not whole. */
export function readAnswer(bytes: Buffer): GrpcAnswer | null {
  const end = bytes.indexOf(headEnd);
  if (end < 0) return null;
  const head = bytes.latin1Slice(0, end);
  const status = statusInHead.exec(head)?.[1];
  const length = lengthInHead.exec(head)?.[1];
  if (length !== undefined) {
    const bodyEnd = end + 4 + Number(length);
    if (bytes.length < bodyEnd) return null;
    return { status: Number(status ?? -1), message: messageOf(bytes.subarray(end + 4, bodyEnd)) };
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
      return { status: Number(status ?? statusInHead.exec(trailers)?.[1] ?? -1), message };
    }
    at = line + 2 + size + 2;
    if (at > bytes.length) return null;
    parts.push(bytes.subarray(line + 2, line + 2 + size));
  }
}

type Waiting = { readonly done: (answer: GrpcAnswer) => void; readonly fail: (error: Error) => void };

/** One connection. */
class Connection {
  readonly #socket: Socket;
  #bytes: Buffer | null = null;
  #waiting: Waiting | null = null;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('error', (error) => this.#end(error));
    socket.on('close', () => this.#end(new Error('the server closed the connection')));
  }

  ask(request: Buffer, done: Waiting['done'], fail: Waiting['fail']): void {
    this.#waiting = { done, fail };
    this.#socket.write(request);
  }

  #read(chunk: Buffer): void {
    this.#bytes = this.#bytes === null ? chunk : Buffer.concat([this.#bytes, chunk]);
    const answer = readAnswer(this.#bytes);
    if (answer === null) return;
    this.#bytes = null;
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.done(answer);
  }

  #end(error: Error): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.fail(error);
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** Some connections to one server; a request waits for one that is free. */
export class GrpcLoad {
  readonly #connections: readonly Connection[];
  readonly #free: Connection[];
  readonly #queue: (() => void)[] = [];

  private constructor(connections: readonly Connection[]) {
    this.#connections = connections;
    this.#free = [...connections];
  }

  /** Opens the connections. */
  static async open(port: number, count: number): Promise<GrpcLoad> {
    const sockets = Array.from({ length: count }, () => connect(port, '127.0.0.1'));
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    return new GrpcLoad(sockets.map((socket) => new Connection(socket)));
  }

  /** Sends one request. Errors: Error when its `grpc-status` is not 0, so that no error passes for an answer. */
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
          ({ status, message }) => {
            if (status === 0) resolve(message);
            else reject(new Error(`grpc-status ${status}`));
            release();
          },
          reject,
        );
      };
      if (this.#free.length > 0) send();
      else this.#queue.push(send);
    });
  }

  close(): void {
    for (const connection of this.#connections) connection.close();
  }
}
