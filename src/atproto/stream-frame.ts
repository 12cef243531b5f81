/**
 * Frames of the protocol's event streams: a header and a body, both DAG-CBOR.
 *
 * Owns: what all streams share: seqs, notices, error frames, and the reasons for refusing a frame.
 * The body of each type of event is read by the stream's own decoder.
 */
import { isKeyableDid } from './compact-key.ts';
import { DagCborReader, type DagCborReason } from './dag-cbor.ts';
import type { DagMap } from './dag-value.ts';
import { inputLimits } from './input-limits.ts';

/** A notice about the stream itself, such as a cursor older than what it retains. */
export type InfoEvent = { readonly kind: 'info'; readonly seq: null; readonly name: string; readonly message: string };
/** The stream's own error frame; the sender then closes. */
export type ErrorEvent = {
  readonly kind: 'error';
  readonly seq: null;
  readonly error: string;
  readonly message: string;
};
/** A message type of a newer protocol. */
export type UnknownEvent = { readonly kind: 'unknown'; readonly seq: number | null; readonly type: string };

export type StreamNotice = InfoEvent | ErrorEvent | UnknownEvent;

/** Why a whole message is refused, whatever the stream. */
export type StreamReason =
  | 'frame-too-large'
  | 'frame-header-bad'
  | 'frame-op-unknown'
  | 'field-bad'
  | `frame-${DagCborReason}`;

/**
 * `seq` and `did` are what could be read of a refused message, so that the cursor passes it and the
 * actor is known.
 */
export type StreamDecoded<Event, Reason extends string = StreamReason> =
  | { readonly ok: true; readonly value: Event | StreamNotice }
  | { readonly ok: false; readonly reason: Reason; readonly seq: number | null; readonly did?: string };

/** Reads the body of an event; null for a type that the stream's decoder does not know. */
export type BodyDecoder<Event> = (type: string, body: DagMap) => Event | null;

const { messageNameLengthMax, messageTextLengthMax } = inputLimits;

/** Carries a reason for refusing the whole message up to the function that returns it. */
class MessageFault {
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }
}

/** Refuses the message; for body decoders, which `decodeStreamMessage` calls. */
export function refuseMessage(reason: string): never {
  throw new MessageFault(reason);
}

/** Reads a seq, or null without one. */
function seqOf(body: DagMap): number | null {
  const { seq } = body;
  return typeof seq === 'number' && Number.isSafeInteger(seq) && seq >= 0 ? seq : null;
}

/** Reads whom an event is about, if that can be read. */
function didIn({ did, repo }: DagMap): { readonly did?: string } {
  const about = did ?? repo;
  return typeof about === 'string' && isKeyableDid(about) ? { did: about } : {};
}

/** Reads the seq of an event, which must have one. */
export function requiredSeq(body: DagMap): number {
  return seqOf(body) ?? refuseMessage('field-bad');
}

/** Reads a field that must be a text. */
export function textOf(body: DagMap, field: string): string {
  const value = body[field];
  return typeof value === 'string' ? value : refuseMessage('field-bad');
}

/** Returns a text for people or for counters, cut to its length; '' without one. */
function shownText(body: DagMap, field: string, lengthMax: number): string {
  const value = body[field];
  if (typeof value !== 'string') return '';
  // A part of a string would keep all of it in memory.
  return value.length <= lengthMax ? value : Buffer.from(value.slice(0, lengthMax)).toString();
}

function nameIn(body: DagMap, field: 'name' | 'error'): string {
  return shownText(body, field, messageNameLengthMax);
}

function messageIn(body: DagMap): string {
  return shownText(body, 'message', messageTextLengthMax);
}

function decodeFrame<Event>(reader: DagCborReader, body: DagMap, decodeBody: BodyDecoder<Event>): Event | StreamNotice {
  const header: DagMap = {};
  if (reader.nextMapInto(header) !== undefined) refuseMessage('frame-header-bad');
  const fault = reader.nextMapInto(body);
  if (fault !== undefined) refuseMessage(`frame-${fault}`);
  if (!reader.isAtEnd) refuseMessage('frame-trailing-bytes');
  const { op, t: type } = header;
  if (op === -1) return { kind: 'error', seq: null, error: nameIn(body, 'error'), message: messageIn(body) };
  if (op !== 1) refuseMessage('frame-op-unknown');
  if (typeof type !== 'string') return refuseMessage('frame-header-bad');
  if (type === '#info') return { kind: 'info', seq: null, name: nameIn(body, 'name'), message: messageIn(body) };
  return decodeBody(type, body) ?? { kind: 'unknown', seq: seqOf(body), type };
}

/** Decodes one binary message of a stream. */
export function decodeStreamMessage<Event, Reason extends string>(
  message: Uint8Array,
  decodeBody: BodyDecoder<Event>,
): StreamDecoded<Event, Reason | StreamReason> {
  if (message.length > inputLimits.messageBytesMax) return { ok: false, reason: 'frame-too-large', seq: null };
  const body: DagMap = {};
  try {
    const reader = new DagCborReader(message, 0, message.length, 'any', inputLimits.messageItemsMax);
    return { ok: true, value: decodeFrame(reader, body, decodeBody) };
  } catch (thrown) {
    if (!(thrown instanceof MessageFault)) throw thrown;
    return { ok: false, reason: thrown.reason as Reason, seq: seqOf(body), ...didIn(body) };
  }
}
