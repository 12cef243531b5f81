/**
 * The frames between our processes: several in a WebSocket message, each with a fixed header, a
 * name and an opaque payload.
 *
 * ```
 * message: version u8, then frames
 *
 *   0      1        2      6       10        14         18
 *   +------+--------+------+-------+---------+----------+-----------+----------+
 *   | kind | name   | id   | epoch | timeout | payload  | name      | payload  |
 *   |      | bytes  |      |       | ms      | bytes    | (ASCII)   |          |
 *   | u8   | u8     | u32  | u32   | u32     | u32      |           |          |
 *   +------+--------+------+-------+---------+----------+-----------+----------+
 *
 *   kind 0, call:   the name is the method
 *   kind 1, answer: no name, timeout 0
 *   kind 2, error:  the name is the code, timeout 0; the payload is UTF-8 text: the message and, if
 *                   the error has a hint of its own, a zero byte and the hint
 *   kind 3, call:   as kind 0; the payload begins with the trace of trace-context.ts
 * ```
 *
 * Owns: these bytes and their limits. Refuses: any other shape, with a reason. Big-endian.
 */
import '../base/bytes.ts';
import { readTrace, type TraceContext, traceBytes, writeTrace } from './trace-context.ts';

/** The first byte of a message, and part of the subprotocol, so that versions never mix. */
export const wireVersion = 6;
export const wireSubprotocol = `skyshard.wire.${wireVersion}`;

/** Of a method's name or an error's code, which are ASCII. */
export const nameBytesMax = 96;
export const payloadBytesMax = 32 * 1024 * 1024;
/** Frames are batched into a message up to this; a larger frame has a message of its own. */
export const messageBytesTarget = 64 * 1024;
/** Longer messages and hints of errors are truncated. Units: UTF-16 code units. */
export const errorTextLengthMax = 480;

const headerBytes = 18;
export const errorTextBytesMax = 2 * 3 * errorTextLengthMax + 1;

/** The size of a message with one frame of the largest size. */
export const messageBytesMax = 1 + headerBytes + nameBytesMax + traceBytes + payloadBytesMax;

export const frameKind = { call: 0, answer: 1, error: 2 } as const;
/** Of a call with a trace, which reads as a call. */
const tracedKind = 3;

/** A connection that sends a malformed message is closed with one of these as the reason. */
const malformedReasons = [
  'message is text',
  'message is empty',
  'unknown version',
  'frame is cut off',
  'name too long',
  'payload too large',
  'error text too long',
  'unknown frame kind',
  'header does not match its kind',
  'frame goes the wrong way',
] as const;
export type MalformedReason = (typeof malformedReasons)[number];

const initialBytes = 16 * 1024;
/** A buffer that a large frame made larger is not reused. */
const reusedBytesMax = 4 * messageBytesTarget;
const noBytes: Buffer = Buffer.alloc(0);

function truncated(text: string): string {
  return text.length > errorTextLengthMax ? `${text.slice(0, errorTextLengthMax - 1)}…` : text;
}

/** Decodes the payload of an error; `hint` is '' if it is the one in the table of errors. */
export function readErrorText(payload: Buffer): { readonly message: string; readonly hint: string } {
  const [message = '', hint = ''] = payload.utf8Slice().split('\0', 2);
  return { message, hint };
}

export type TracedCall = {
  readonly id: number;
  readonly epoch: number;
  readonly method: string;
  readonly timeoutMs: number;
  readonly payload: Uint8Array;
};

/** Batches frames into a message. The caller owns what `take` returns, until `recycle`. */
export class FrameBatch {
  #buffer: Buffer = Buffer.allocUnsafeSlow(initialBytes);
  #length = 0;
  #frames = 0;
  #spare: Buffer | null = null;

  /** Units: bytes. */
  get length(): number {
    return this.#length;
  }

  get frames(): number {
    return this.#frames;
  }

  /** True if a frame with this payload belongs in the next message. */
  isFullFor(payloadBytes: number): boolean {
    return this.#length > 0 && this.#length + headerBytes + nameBytesMax + payloadBytes > messageBytesTarget;
  }

  /** Shape: `method` is ASCII of at most `nameBytesMax`; `timeoutMs` is an integer below 2^32. */
  addCall(id: number, epoch: number, method: string, timeoutMs: number, payload: Uint8Array): void {
    const start = this.#begin(frameKind.call, method, payload.length);
    this.#numbers(start, id, epoch, timeoutMs);
    this.#payload(payload);
  }

  /** Adds a call of a trace. Shape: as `addCall`. */
  addTracedCall(call: TracedCall, trace: TraceContext): void {
    const { id, epoch, method, timeoutMs, payload } = call;
    const start = this.#begin(tracedKind, method, traceBytes + payload.length);
    this.#numbers(start, id, epoch, timeoutMs);
    writeTrace(trace, this.#buffer, this.#length);
    this.#length += traceBytes;
    this.#payload(payload);
  }

  addAnswer(id: number, epoch: number, payload: Uint8Array): void {
    const start = this.#begin(frameKind.answer, '', payload.length);
    this.#numbers(start, id, epoch, 0);
    this.#payload(payload);
  }

  /** Shape: `code` is ASCII of at most `nameBytesMax`; `hint` is '' for the one in the table. */
  addError(id: number, epoch: number, code: string, message: string, hint = ''): void {
    const text = hint === '' ? truncated(message) : `${truncated(message)}\0${truncated(hint)}`;
    const bytes = Buffer.byteLength(text);
    const start = this.#begin(frameKind.error, code, bytes);
    this.#numbers(start, id, epoch, 0);
    this.#buffer.utf8Write(text, this.#length, bytes);
    this.#length += bytes;
    this.#frames++;
  }

  /** Returns the message, and begins the next one in another buffer. */
  take(): Buffer {
    const message = this.#buffer.subarray(0, this.#length);
    this.#buffer = this.#spare ?? Buffer.allocUnsafeSlow(initialBytes);
    this.#spare = null;
    this.#length = 0;
    this.#frames = 0;
    return message;
  }

  /** Reuses the buffer of a message that was sent. */
  recycle(message: Buffer): void {
    if (this.#spare !== null || message.buffer.byteLength > reusedBytesMax) return;
    this.#spare = Buffer.from(message.buffer, 0, message.buffer.byteLength);
  }

  /** Writes a header without its numbers, and the name. Returns the header's position. */
  #begin(kind: number, name: string, payloadBytes: number): number {
    const needed = this.#length + 1 + headerBytes + name.length + payloadBytes;
    if (needed > this.#buffer.length) this.#grow(needed);
    const buffer = this.#buffer;
    if (this.#length === 0) buffer[this.#length++] = wireVersion;
    const at = this.#length;
    buffer[at] = kind;
    buffer[at + 1] = name.length;
    this.#u32(at + 14, payloadBytes);
    if (name !== '') buffer.latin1Write(name, at + headerBytes, name.length);
    this.#length = at + headerBytes + name.length;
    return at;
  }

  #numbers(start: number, id: number, epoch: number, timeoutMs: number): void {
    this.#u32(start + 2, id);
    this.#u32(start + 6, epoch);
    this.#u32(start + 10, timeoutMs);
  }

  #payload(payload: Uint8Array): void {
    this.#buffer.set(payload, this.#length);
    this.#length += payload.length;
    this.#frames++;
  }

  #grow(needed: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
  }

  #u32(at: number, value: number): void {
    const buffer = this.#buffer;
    buffer[at] = value >>> 24;
    buffer[at + 1] = value >>> 16;
    buffer[at + 2] = value >>> 8;
    buffer[at + 3] = value;
  }
}

/**
 * Reads the frames of a message without copies: `next` sets the fields, and `malformed` if it must
 * stop early.
 */
export class FrameReader {
  /** Why `next` returned false before the end, else null. */
  malformed: MalformedReason | null = null;
  kind = 0;
  id = 0;
  epoch = 0;
  /** The method of a call, the code of an error. */
  name = '';
  /** Counts from when the call was sent. */
  timeoutMs = 0;
  /** Of a call; null for one without. */
  trace: TraceContext | null = null;
  /** Aliases the message. */
  payload: Buffer = noBytes;

  #source: Buffer = noBytes;
  #position = 0;

  /** Begins a message, which must not change while its frames are read. */
  start(message: Buffer): void {
    this.#source = message;
    this.#position = 1;
    this.malformed = null;
    if (message.length === 0) this.malformed = 'message is empty';
    else if (message[0] !== wireVersion) this.malformed = 'unknown version';
  }

  /** Moves to the next frame; false at the end or at a malformed one. */
  next(): boolean {
    const source = this.#source;
    const at = this.#position;
    if (this.malformed !== null || at >= source.length) return false;
    if (at + headerBytes > source.length) return this.#refuse('frame is cut off');
    this.kind = source[at]!;
    const nameBytes = source[at + 1]!;
    this.id = this.#u32(at + 2);
    this.epoch = this.#u32(at + 6);
    this.timeoutMs = this.#u32(at + 10);
    const payloadBytes = this.#u32(at + 14);
    const isTraced = this.kind === tracedKind;
    if (isTraced) this.kind = frameKind.call;
    if (this.kind > frameKind.error) return this.#refuse('unknown frame kind');
    if (nameBytes > nameBytesMax) return this.#refuse('name too long');
    if (payloadBytes > payloadBytesMax + (isTraced ? traceBytes : 0)) return this.#refuse('payload too large');
    if (this.kind !== frameKind.call) {
      const isMatching = this.timeoutMs === 0 && (nameBytes === 0 || this.kind === frameKind.error);
      if (!isMatching) return this.#refuse('header does not match its kind');
      if (this.kind === frameKind.error && payloadBytes > errorTextBytesMax) return this.#refuse('error text too long');
    }
    const nameEnd = at + headerBytes + nameBytes;
    const end = nameEnd + payloadBytes;
    if (end > source.length) return this.#refuse('frame is cut off');
    if (isTraced && payloadBytes < traceBytes) return this.#refuse('header does not match its kind');
    this.name = nameBytes === 0 ? '' : source.latin1Slice(at + headerBytes, nameEnd);
    this.trace = isTraced ? readTrace(source, nameEnd) : null;
    this.payload = source.subarray(isTraced ? nameEnd + traceBytes : nameEnd, end);
    this.#position = end;
    return true;
  }

  #refuse(reason: MalformedReason): false {
    this.malformed = reason;
    return false;
  }

  #u32(at: number): number {
    const source = this.#source;
    return ((source[at]! << 24) | (source[at + 1]! << 16) | (source[at + 2]! << 8) | source[at + 3]!) >>> 0;
  }
}
