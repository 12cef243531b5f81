/** One request of a hot method: what an app asks for at once, or a page load of several calls. */
import { encodeMessage } from '../src/proto/codec.ts';
import type { MessageByName, MessageName, MethodName } from '../src/proto/generated/bsky-service.ts';
import type { MessageInput } from '../src/proto/schema.ts';
import { type GrpcLoad, grpcRequest } from './grpc-load.ts';

/** A method whose request is named `<Method>Request`. */
export type PlainMethod = {
  [Method in MethodName]: `${Method}Request` extends MessageName ? Method : never;
}[MethodName];

export type RequestInput<Method extends PlainMethod> = MessageInput<MessageByName[`${Method}Request`]>;

export type Call = { readonly method: MethodName; readonly bytes: Buffer };
/** Steps, one after the other; the calls of a step are sent together. */
export type HotRequest = readonly (readonly Call[])[];

/** Prepared requests of one method, no two the same, which are sent in turn. */
export type HotMethod = { readonly name: string; readonly requests: readonly HotRequest[] };

/** Encodes a call. */
export function callOf<Method extends PlainMethod>(method: Method, request: RequestInput<Method>): Call {
  const name: `${Method}Request` = `${method}Request`;
  return { method, bytes: grpcRequest(method, encodeMessage(name, request)) };
}

/** Returns the calls of a request in their order. */
export function callsOf(request: HotRequest): readonly Call[] {
  return request.flat();
}

/** A client, over HTTP/1.1 or HTTP/2. */
export type Asking = Pick<GrpcLoad, 'ask'>;

/** Sends a request. Errors: the first call that fails. */
export async function askSteps(load: Asking, request: HotRequest): Promise<void> {
  for (const step of request) {
    if (step.length === 1) await load.ask(step[0]!.bytes);
    else await Promise.all(step.map(({ bytes }) => load.ask(bytes)));
  }
}
