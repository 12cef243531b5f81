/**
 * The protocols of remote calls as bytes and headers: gRPC, and Connect unary in protobuf and JSON.
 *
 * Owns: framing, timeouts, and how an error looks in each. Pure: the edges bring bytes and take
 * replies. Refuses: compressed messages, streams of several messages, and content types that are
 * neither protocol.
 */
import { connectStatus, DataPlaneError, type GrpcStatus, grpcStatus } from '../../base/data-plane-error.ts';
import { errorBodyOf } from '../../http/error-body.ts';
import { decodeMessage, methodByName } from '../../proto/codec.ts';
import { asBuffer } from '../../proto/fields.ts';
import { messageFromJson, messageToJson } from '../../proto/json.ts';

/** What a request speaks. */
export type RpcProtocol = 'grpc' | 'connect-proto' | 'connect-json';

/** Returns what a content type names, or undefined when it is not ours. */
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

/**
 * Returns the caller's deadline from now in ms, or null.
 *
 * Errors: DataPlaneError `InvalidArgument` naming the header.
 */
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

/** The five bytes before a gRPC message: compressed or not, and its length. */
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

/**
 * Returns the protobuf bytes of a request.
 *
 * Errors: DataPlaneError `InvalidArgument`, `Unimplemented`.
 */
export function requestBytes(protocol: RpcProtocol, method: string, body: Buffer): Buffer {
  if (protocol === 'grpc') return unframe(body);
  if (protocol === 'connect-proto') return body;
  const messages = methodByName.get(method);
  if (messages === undefined)
    throw new DataPlaneError('Unimplemented', `bsky.Service has no method ${JSON.stringify(method.slice(0, 96))}`);
  return messageFromJson(messages.request, body.toString('utf8'));
}

/** One response, whatever carries it. */
export type RpcReply = {
  readonly httpStatus: number;
  readonly contentType: string;
  readonly body: Buffer;
  /** `grpc-status` and `grpc-message`, for gRPC: trailers where there are such, else headers. */
  readonly grpc: { readonly status: GrpcStatus; readonly message: string } | null;
};

const noBody = Buffer.alloc(0);
const grpcOk = { status: grpcStatus.ok, message: '' } as const;

/** Returns the reply that carries an answer. */
export function answerReply(protocol: RpcProtocol, method: string, answer: Uint8Array): RpcReply {
  if (protocol === 'grpc') {
    const body = Buffer.allocUnsafe(grpcPrefixBytes + answer.length);
    body[0] = 0;
    body.writeUInt32BE(answer.length, 1);
    body.set(answer, grpcPrefixBytes);
    return { httpStatus: 200, contentType: 'application/grpc+proto', body, grpc: grpcOk };
  }
  if (protocol === 'connect-proto')
    return { httpStatus: 200, contentType: 'application/proto', body: asBuffer(answer), grpc: null };
  const { response } = methodByName.get(method)!;
  const text = messageToJson(response, decodeMessage(response, answer));
  return { httpStatus: 200, contentType: 'application/json', body: Buffer.from(text), grpc: null };
}

/** Percent-encodes what `grpc-message` may not hold: all but printable ASCII, and "%" itself. */
function headerText(text: string): string {
  return Buffer.from(text)
    .toString()
    .replace(/[^ -$&-~]+/g, encodeURIComponent);
}

/** Error messages are cut to this, so that headers stay small. Units: characters. */
const messageLengthMax = 1024;

/** Returns the reply that carries an error. */
export function errorReply(protocol: RpcProtocol, error: DataPlaneError): RpcReply {
  const message = error.message.slice(0, messageLengthMax);
  if (protocol === 'grpc') {
    return {
      httpStatus: 200,
      contentType: 'application/grpc+proto',
      body: noBody,
      grpc: { status: error.grpc, message: headerText(message) },
    };
  }
  // Connect's own fields, and beside them ours, since several of our codes share one of Connect's.
  const { name: code, http: httpStatus } = connectStatus[error.grpc];
  const body = Buffer.from(`${JSON.stringify({ code, ...errorBodyOf(error), message })}\n`);
  return { httpStatus, contentType: 'application/json', body, grpc: null };
}
