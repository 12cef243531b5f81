/**
 * The protocols of remote calls as bytes and headers: gRPC, and Connect unary in protobuf and JSON.
 *
 * Owns: framing, timeouts, and the form of errors in each; does no I/O. Refuses: compressed
 * messages, streams of several messages, and other content types.
 */
import { connectStatus, DataPlaneError, type GrpcStatus, grpcStatus } from '../../base/data-plane-error.ts';
import { errorBodyOf } from '../../http/error-body.ts';
import { decodeMessage, methodByName } from '../../proto/codec.ts';
import { asBuffer } from '../../proto/fields.ts';
import { messageFromJson, messageToJson } from '../../proto/json.ts';
import { unknownMethod } from '../plan/service-router.ts';

export type RpcProtocol = 'grpc' | 'connect-proto' | 'connect-json';

/** Returns the protocol that a content type names, or undefined for another type. */
export function protocolOf(contentType: string): RpcProtocol | undefined {
  const end = contentType.indexOf(';');
  const type = end < 0 ? contentType : contentType.slice(0, end).trimEnd();
  switch (type.toLowerCase()) {
    case 'application/grpc':
    case 'application/grpc+proto':
      return 'grpc';
    case 'application/proto':
      return 'connect-proto';
    case 'application/json':
      return 'connect-json';
    default:
      return undefined;
  }
}

const msByGrpcUnit: ReadonlyMap<string, number> = new Map([
  ['H', 3_600_000],
  ['M', 60_000],
  ['S', 1_000],
  ['m', 1],
  ['u', 0.001],
  ['n', 0.000_001],
]);

/** Returns the caller's timeout in ms, or null. Errors: `InvalidArgument` naming the header. */
export function timeoutMsOf(protocol: RpcProtocol, header: string): number | null {
  if (header === '') return null;
  if (protocol === 'grpc') {
    const match = /^(\d{1,8})([HMSmun])$/.exec(header);
    if (match === null) throw new DataPlaneError('InvalidArgument', 'grpc-timeout: must be like 100m or 5S');
    return Number(match[1]) * msByGrpcUnit.get(match[2]!)!;
  }
  if (!/^\d{1,10}$/.test(header))
    throw new DataPlaneError('InvalidArgument', 'connect-timeout-ms: must be whole milliseconds');
  return Number(header);
}

/** A gRPC message follows a flag for compression and a length of four bytes. */
const grpcPrefixBytes = 5;

function unframe(body: Buffer): Buffer {
  if (body.length < grpcPrefixBytes)
    throw new DataPlaneError('InvalidArgument', 'grpc: the body is shorter than a message prefix');
  if (body[0] !== 0)
    throw new DataPlaneError('Unimplemented', 'grpc: compressed messages are not supported; send identity');
  const length = body.readUInt32BE(1);
  if (length !== body.length - grpcPrefixBytes)
    throw new DataPlaneError('InvalidArgument', 'grpc: one whole message is expected');
  return body.subarray(grpcPrefixBytes);
}

/** By protocol: the size that the beginning of a body declares, where it does. Units: bytes. */
export const declaredBytesBy: Readonly<Record<RpcProtocol, ((first: Uint8Array) => number) | undefined>> = {
  grpc: (first) =>
    first.length < grpcPrefixBytes ? 0 : grpcPrefixBytes + new DataView(first.buffer, first.byteOffset).getUint32(1),
  'connect-proto': undefined,
  'connect-json': undefined,
};

/** JSON takes far longer to read than as many bytes of protobuf. */
const jsonBytesMax = 1_048_576;

/**
 * Returns the protobuf bytes of a request.
 *
 * Errors: `InvalidArgument`, `Unimplemented`; `ResourceExhausted` past a limit on JSON.
 */
export function requestBytes(protocol: RpcProtocol, method: string, body: Buffer): Buffer {
  if (protocol === 'grpc') return unframe(body);
  if (protocol === 'connect-proto') return body;
  const messages = methodByName.get(method);
  if (messages === undefined) throw unknownMethod(method);
  if (body.length > jsonBytesMax)
    throw new DataPlaneError('ResourceExhausted', `a body of JSON is larger than jsonBytesMax = ${jsonBytesMax}`);
  return messageFromJson(messages.request, body.toString('utf8'));
}

/** The body of a large answer, which is never in one buffer with its prefix. */
export type LargeBody = {
  /** Units: bytes. */
  readonly length: number;
  /** Returns the body from its beginning, in parts that are valid until `release`. */
  readonly parts: () => Iterator<Buffer>;
  /** Must be called once, when the body is sent or will not be. */
  readonly release: () => void;
};

/** A response, independent of the edge that sends it. */
export type RpcReply = {
  readonly httpStatus: number;
  readonly contentType: string;
  readonly body: Buffer;
  /** True for gRPC's message in `body`, which is sent behind its prefix: see `wholeBody`. */
  readonly isFramed: boolean;
  /** Takes the place of `body`, which is empty then; null for all but large answers. */
  readonly large: LargeBody | null;
  /** `grpc-status` and `grpc-message`: trailers over HTTP/2, else headers. Null for Connect. */
  readonly grpc: { readonly status: GrpcStatus; readonly message: string } | null;
  /** Of an error; null for an answer. Sent as `x-request-id`. */
  readonly requestId: string | null;
};

const noBody = Buffer.alloc(0);
const grpcOk = { status: grpcStatus.ok, message: '' } as const;

function prefixOf(answer: Uint8Array, into: Buffer): Buffer {
  into[0] = 0;
  into.writeUInt32BE(answer.length, 1);
  return into;
}

const grpcType = 'application/grpc+proto';
const protoType = 'application/proto';
/** Larger ones take several times their size as JSON. Units: bytes. */
const jsonAnswerBytesMax = 16 * 1024 * 1024;

/** Returns how many bytes a reply's body has, prefix included. */
export function bodyBytes({ body, isFramed, large }: RpcReply): number {
  return large?.length ?? (isFramed ? grpcPrefixBytes : 0) + body.length;
}

/**
 * Returns the body of a reply that is not large, with its prefix; one that has a prefix is copied
 * into `into`, or into memory of its own.
 */
export function wholeBody(reply: RpcReply, into: Buffer | null): Buffer {
  const { body, isFramed } = reply;
  if (!isFramed) return body;
  const bytes = bodyBytes(reply);
  const whole = into ?? Buffer.allocUnsafe(bytes);
  prefixOf(body, whole).set(body, grpcPrefixBytes);
  return whole.subarray(0, bytes);
}

/** Frames an answer. Errors: `ResourceExhausted` past `jsonAnswerBytesMax`. */
export function answerReply(protocol: RpcProtocol, method: string, answer: Uint8Array): RpcReply {
  if (protocol === 'grpc') {
    const body = asBuffer(answer);
    return { httpStatus: 200, contentType: grpcType, body, isFramed: true, large: null, grpc: grpcOk, requestId: null };
  }
  if (protocol === 'connect-proto') {
    const body = asBuffer(answer);
    return { httpStatus: 200, contentType: protoType, body, isFramed: false, large: null, grpc: null, requestId: null };
  }
  if (answer.length > jsonAnswerBytesMax) {
    const limit = `jsonAnswerBytesMax = ${jsonAnswerBytesMax}`;
    throw new DataPlaneError('ResourceExhausted', `${answer.length} bytes pass ${limit}; ask for protobuf`);
  }
  const { response } = methodByName.get(method)!;
  const body = Buffer.from(messageToJson(response, decodeMessage(response, answer)));
  return {
    httpStatus: 200,
    contentType: 'application/json',
    body,
    isFramed: false,
    large: null,
    grpc: null,
    requestId: null,
  };
}

/** A part of a large answer: what the socket of a client that does not read takes in memory. */
const partBytes = 256 * 1024;

function* partsOf(prefix: Buffer, answer: Buffer): Generator<Buffer, void, undefined> {
  const first = answer.subarray(0, partBytes);
  yield prefix.length === 0 ? first : Buffer.concat([prefix, first]);
  for (let at = partBytes; at < answer.length; at += partBytes) yield answer.subarray(at, at + partBytes);
}

/** Frames a large answer, in protobuf, without copying it. `release` is that of its memory. */
export function largeReply(
  protocol: Exclude<RpcProtocol, 'connect-json'>,
  answer: Uint8Array,
  release: () => void,
): RpcReply {
  const isGrpc = protocol === 'grpc';
  const prefix = isGrpc ? prefixOf(answer, Buffer.allocUnsafe(grpcPrefixBytes)) : noBody;
  return {
    httpStatus: 200,
    contentType: isGrpc ? grpcType : protoType,
    body: noBody,
    isFramed: false,
    large: { length: prefix.length + answer.length, parts: () => partsOf(prefix, asBuffer(answer)), release },
    grpc: isGrpc ? grpcOk : null,
    requestId: null,
  };
}

/** Percent-encodes what `grpc-message` may not contain: "%", and all but printable ASCII. */
function headerText(text: string): string {
  return Buffer.from(text)
    .toString()
    .replace(/[^ -$&-~]+/g, encodeURIComponent);
}

/** Longer error messages are truncated, so that headers stay small. Units: characters. */
const messageLengthMax = 1024;

/** Frames an error. Its message ends with the id, since that is what clients log. */
export function errorReply(protocol: RpcProtocol, error: DataPlaneError, requestId: string): RpcReply {
  const message = `${error.message.slice(0, messageLengthMax)} (request ${requestId})`;
  if (protocol === 'grpc') {
    return {
      httpStatus: 200,
      contentType: grpcType,
      body: noBody,
      isFramed: false,
      large: null,
      grpc: { status: error.grpc, message: headerText(message) },
      requestId,
    };
  }
  // Connect's fields and ours, since several of our codes share one of Connect's.
  const { name: code, http: httpStatus } = connectStatus[error.grpc];
  const body = Buffer.from(`${JSON.stringify({ code, ...errorBodyOf(error), message, requestId })}\n`);
  return { httpStatus, contentType: 'application/json', body, isFramed: false, large: null, grpc: null, requestId };
}
