/** One remote call from headers and body to reply, the same on every edge. */
import { DataPlaneError, toDataPlaneError } from '../../base/data-plane-error.ts';
import { InvariantError } from '../../base/invariant.ts';
import type { CallerShares } from '../../http/byte-shares.ts';
import type { HeaderReader } from '../../http/page-guard.ts';
import { type ArrivingBound, type BodyBound, type BodyLimits, bodyBoundError } from '../../http/request-body.ts';
import { parseTraceparent, type TraceContext } from '../../wire/trace-context.ts';
import { smallAnswerBytesMax } from '../plan/answer-memory.ts';
import type { ServiceRouter } from '../plan/service-router.ts';
import { newRequestId } from './request-id.ts';
import {
  answerReply,
  errorReply,
  largeReply,
  protocolOf,
  type RpcProtocol,
  type RpcReply,
  requestBytes,
  timeoutMsOf,
} from './rpc-protocol.ts';

export const servicePath = '/bsky.Service/';
/** Of each error, which says it in its message too. */
export const requestIdHeader = 'x-request-id';
/** The plain text that answers a request of another content type. */
export const typeRefusal = 'content-type must be application/grpc, application/proto or application/json\n';
/** Longer names of callers are truncated. Units: characters. */
const callerLengthMax = 64;

/** Limits on bodies whose callers have shares. */
export type BodyLimitsOfCalls = BodyLimits & { readonly callers: CallerShares<ArrivingBound> };

/** What an edge reads of a request before its body. */
export type RpcHead = {
  readonly protocol: RpcProtocol;
  readonly method: string;
  readonly timeoutHeader: string;
  readonly caller: string;
  readonly isCompressed: boolean;
  /** From `traceparent`. */
  readonly trace: TraceContext | null;
};

/** Returns the head of a call, or undefined for another content type. */
export function readHead(method: string, header: HeaderReader): RpcHead | undefined {
  const protocol = protocolOf(header('content-type'));
  if (protocol === undefined) return undefined;
  // gRPC may name an encoding that no message uses: each message has a flag of its own.
  const encoding = protocol === 'grpc' ? '' : header('content-encoding');
  return {
    protocol,
    method,
    timeoutHeader: header(protocol === 'grpc' ? 'grpc-timeout' : 'connect-timeout-ms'),
    caller: header('x-atlantis-caller').slice(0, callerLengthMax),
    isCompressed: encoding !== '' && encoding !== 'identity',
    trace: parseTraceparent(header('traceparent')),
  };
}

/** Other threads of the process that answer calls of this one's sessions. */
export type CallSharing = Disposable & {
  /** Answers a call on whichever thread is least busy. */
  answer(head: RpcHead, body: Buffer): Promise<RpcReply> | RpcReply;
  /** Calls that other threads have not answered yet. */
  readonly waiting: number;
  /** Gives no more calls and takes none, except those that others are giving at this moment. */
  stop(): void;
};

/**
 * Answers a call, at once if the router does; every error becomes a reply, and a broken invariant
 * is reported too.
 */
export function replyTo(router: ServiceRouter, head: RpcHead, body: Buffer): Promise<RpcReply> | RpcReply {
  const { protocol, method } = head;
  try {
    if (head.isCompressed)
      throw new DataPlaneError('Unimplemented', 'compressed bodies are not supported; send identity');
    const timeoutMs = timeoutMsOf(protocol, head.timeoutHeader);
    const { caller, trace } = head;
    const answer = router.handle(method, requestBytes(protocol, method, body), { caller, timeoutMs, trace });
    return answer instanceof Promise ? laterReply(router, head, answer) : framed(router, head, answer);
  } catch (thrown) {
    return thrownReply(router, head, thrown);
  }
}

function framed(router: ServiceRouter, { protocol, method, caller }: RpcHead, answer: Uint8Array): RpcReply {
  if (answer.length <= smallAnswerBytesMax || protocol === 'connect-json') return answerReply(protocol, method, answer);
  return largeReply(protocol, answer, router.holdAnswer(caller, answer.length));
}

async function laterReply(router: ServiceRouter, head: RpcHead, answer: Promise<Uint8Array>): Promise<RpcReply> {
  try {
    return framed(router, head, await answer);
  } catch (thrown) {
    return thrownReply(router, head, thrown);
  }
}

function thrownReply(router: ServiceRouter, { protocol, method, caller, trace }: RpcHead, thrown: unknown): RpcReply {
  if (thrown instanceof InvariantError) router.reportFault(thrown, method);
  const error = toDataPlaneError(thrown);
  const requestId = newRequestId();
  router.reportFailure({ requestId, method, caller, error, trace });
  return errorReply(protocol, error, requestId);
}

/** Returns the reply to a call that is refused before it runs. */
export function failedReply(head: RpcHead, error: DataPlaneError): RpcReply {
  return errorReply(head.protocol, error, newRequestId());
}

/** Returns the reply to a body that exceeds a bound. */
export function boundReply(head: RpcHead, bound: BodyBound): RpcReply {
  return failedReply(head, bodyBoundError(bound));
}
