/** Calls of a router's both edges, in every protocol that they take, with any bytes as the body. */

import { once } from 'node:events';
import { type ClientHttp2Session, connect } from 'node:http2';
import { grpcStatus } from '../../src/base/data-plane-error.ts';
import type { RunningCluster } from '../support/running-cluster.ts';

export const protocols = ['json', 'proto', 'grpc', 'grpc over http2'] as const;
export type Protocol = (typeof protocols)[number];

/** `isInternal`: the router says that it is at fault itself. */
export type Reply = { readonly isInternal: boolean; readonly summary: string };

const requestMsMax = 20_000;
const typeByProtocol = {
  json: 'application/json',
  proto: 'application/proto',
  grpc: 'application/grpc+proto',
} as const;

function grpcFrame(body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}

function grpcReply(status: string | undefined, message: string | undefined): Reply {
  return { isInternal: Number(status) === grpcStatus.internal, summary: `grpc ${status} ${message ?? ''}` };
}

export class RouterCaller implements AsyncDisposable {
  readonly #run: RunningCluster['run'];
  #session: ClientHttp2Session | null = null;

  constructor(run: RunningCluster['run']) {
    this.#run = run;
  }

  async call(protocol: Protocol, method: string, body: Buffer): Promise<Reply> {
    if (protocol === 'grpc over http2') return this.#callHttp2(method, grpcFrame(body));
    const response = await fetch(`${this.#run.router.url}/bsky.Service/${method}`, {
      method: 'POST',
      headers: { 'content-type': typeByProtocol[protocol] },
      body: protocol === 'grpc' ? grpcFrame(body) : body,
      signal: AbortSignal.timeout(requestMsMax),
    });
    const answer = Buffer.from(await response.arrayBuffer());
    if (protocol === 'grpc') {
      return grpcReply(
        response.headers.get('grpc-status') ?? undefined,
        response.headers.get('grpc-message') ?? undefined,
      );
    }
    const summary = response.status === 200 ? '200' : `${response.status} ${answer.subarray(0, 500)}`;
    return { isInternal: response.status === 500, summary };
  }

  async #callHttp2(method: string, body: Buffer): Promise<Reply> {
    if (this.#session === null || this.#session.closed || this.#session.destroyed) {
      this.#session = connect(this.#run.router.http2Url);
      this.#session.on('error', () => {});
    }
    const stream = this.#session.request({
      ':method': 'POST',
      ':path': `/bsky.Service/${method}`,
      'content-type': typeByProtocol.grpc,
      te: 'trailers',
    });
    let status: string | undefined;
    let message: string | undefined;
    const read = (headers: { readonly [name: string]: unknown }): void => {
      if (headers['grpc-status'] !== undefined) status = String(headers['grpc-status']);
      if (headers['grpc-message'] !== undefined) message = String(headers['grpc-message']);
    };
    stream.on('response', read);
    stream.on('trailers', read);
    stream.resume();
    stream.end(body);
    await once(stream, 'close', { signal: AbortSignal.timeout(requestMsMax) });
    return grpcReply(status, message);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#session?.destroy();
  }
}
