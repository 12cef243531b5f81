/** One remote call from body to reply: the same for every edge. */
import { DataPlaneError, toDataPlaneError } from '../../base/data-plane-error.ts';
import { type BodyBound, bodyBoundError } from '../../http/request-body.ts';
import type { ServiceRouter } from '../plan/service-router.ts';
import {
  answerReply,
  errorReply,
  protocolOf,
  type RpcProtocol,
  type RpcReply,
  requestBytes,
  timeoutMsOf,
} from './rpc-protocol.ts';

/** The path under which methods are called. */
export const servicePath = '/bsky.Service/';
/** What a request of another content type is answered with, as plain text. */
export const typeRefusal = 'content-type must be application/grpc, application/proto or application/json\n';
/** Callers' names above this are cut. Units: characters. */
const callerLengthMax = 64;

/** What an edge has read of a request before its body. */
export type RpcHead = {
  readonly protocol: RpcProtocol;
  readonly method: string;
  readonly timeoutHeader: string;
  readonly caller: string;
  readonly isCompressed: boolean;
};

/** Reads headers by name; '' for one that is absent. */
export type HeaderReader = (name: string) => string;

/** Returns the head of a call, or undefined when the content type is not ours. */
export function readHead(method: string, header: HeaderReader): RpcHead | undefined {
  const protocol = protocolOf(header('content-type'));
  if (protocol === undefined) return undefined;
  const encoding = header(protocol === 'grpc' ? 'grpc-encoding' : 'content-encoding');
  return {
    protocol,
    method,
    timeoutHeader: header(protocol === 'grpc' ? 'grpc-timeout' : 'connect-timeout-ms'),
    caller: header('x-atlantis-caller').slice(0, callerLengthMax),
    // gRPC names an encoding also for messages that do not use it; each message has its own flag.
    isCompressed: protocol !== 'grpc' && encoding !== '' && encoding !== 'identity',
  };
}

/** Answers a call; every error becomes a reply. */
export async function replyTo(router: ServiceRouter, head: RpcHead, body: Buffer): Promise<RpcReply> {
  const { protocol, method } = head;
  try {
    if (head.isCompressed)
      throw new DataPlaneError('Unimplemented', 'compressed bodies are not supported; send identity');
    const timeoutMs = timeoutMsOf(protocol, head.timeoutHeader);
    const answer = await router.handle(method, requestBytes(protocol, method, body), {
      caller: head.caller,
      timeoutMs,
    });
    return answerReply(protocol, method, answer);
  } catch (thrown) {
    return errorReply(protocol, toDataPlaneError(thrown));
  }
}

/** Returns the reply to a body that passed a bound. */
export function tooLargeReply(head: RpcHead, bound: BodyBound): RpcReply {
  return errorReply(head.protocol, bodyBoundError(bound));
}
