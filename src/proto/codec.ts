/**
 * Decodes and encodes messages of bsky.Service.
 *
 * Timestamps are numbers of milliseconds since 1970; int64 is a number within 2^53; maps are
 * `Map`s; enums are numbers.
 */
import { type MessageByName, type MessageName, type MethodName, serviceMethods } from './generated/bsky-service.ts';
import { type AnyMessage, compileDecoder, type Decoder, Source } from './message-decoder.ts';
import { compileEncoder, type Encoder } from './message-encoder.ts';
import { MessageWriter } from './message-writer.ts';
import type { MessageInput } from './schema.ts';

const decoders = new Map<MessageName, Decoder>();
const encoders = new Map<MessageName, Encoder>();
const writer = new MessageWriter();

function decoderOf(name: MessageName): Decoder {
  let decoder = decoders.get(name);
  if (decoder === undefined) {
    decoder = compileDecoder(name, decoderOf);
    decoders.set(name, decoder);
  }
  return decoder;
}

function encoderOf(name: MessageName): Encoder {
  let encoder = encoders.get(name);
  if (encoder === undefined) {
    encoder = compileEncoder(name, encoderOf);
    encoders.set(name, encoder);
  }
  return encoder;
}

/**
 * Decodes a message. Fields of type `bytes` alias the source: copy what must outlive it.
 *
 * Errors: DataPlaneError `InvalidArgument` naming `Message.field`; `ResourceExhausted` for more
 * fields than fieldsMax.
 */
export function decodeMessage<Name extends MessageName>(name: Name, bytes: Uint8Array): MessageByName[Name] {
  const source = new Source(bytes);
  return decoderOf(name)(source, source.end) as unknown as MessageByName[Name];
}

/** Encodes a message. The caller owns the bytes. */
export function encodeMessage<Name extends MessageName>(name: Name, value: MessageInput<MessageByName[Name]>): Buffer {
  encoderOf(name)(writer.clear(), value as unknown as AnyMessage);
  return writer.finish();
}

export type MethodMessages = { readonly request: MessageName; readonly response: MessageName };

export const methodByName: ReadonlyMap<string, MethodMessages> = new Map(
  serviceMethods.map(([name, request, response]) => [name, { request, response }]),
);

/** True for the name of a method of bsky.Service. */
export function isMethodName(name: string): name is MethodName {
  return methodByName.has(name);
}
