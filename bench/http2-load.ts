/** A gRPC client over HTTP/2, as the AppView's is by default: few sessions, many streams. */
import { type ClientHttp2Session, connect } from 'node:http2';

const headBytes = 5;

export class Http2Load {
  readonly #sessions: readonly ClientHttp2Session[];
  #next = 0;

  constructor(port: number, sessions: number) {
    this.#sessions = Array.from({ length: sessions }, () => connect(`http://127.0.0.1:${port}`));
  }

  /** Sends a request of `grpcRequest`. Errors: Error when its `grpc-status` is not 0. */
  ask(request: Buffer): Promise<Buffer> {
    const session = this.#sessions[this.#next++ % this.#sessions.length]!;
    const headEnd = request.indexOf('\r\n\r\n');
    const path = request.latin1Slice(request.indexOf(' ') + 1, request.indexOf(' HTTP'));
    const stream = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc+proto',
      te: 'trailers',
    });
    stream.end(request.subarray(headEnd + 4));
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let status: unknown;
      stream.on('response', (headers) => {
        status = headers['grpc-status'];
      });
      stream.on('trailers', (trailers) => {
        status = trailers['grpc-status'];
      });
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('error', reject);
      stream.on('close', () => {
        if (status === '0') resolve(Buffer.concat(chunks).subarray(headBytes));
        else reject(new Error(`grpc-status ${status} of ${path}`));
      });
    });
  }

  close(): void {
    for (const session of this.#sessions) session.destroy();
  }
}
