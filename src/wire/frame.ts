/**
 * The frames between our processes: many in one WebSocket message, each a fixed header, a name and
 * an undecoded payload.
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
 *   kind 2, error:  the name is the code, timeout 0; the payload is the text for people (UTF-8): the
 *                   message and, where the error has a hint of its own, a zero byte and the hint
 * ```
 *
 * Owns: these bytes and their bounds. Refuses: any other shape, with a reason. Byte order:
 * big-endian.
 */
import '../base/bytes.ts';

/**
 * The first byte of every message, and part of the WebSocket subprotocol, so that unlike versions
 * never connect.
 */
export const wireVersion = 2;
/** The WebSocket subprotocol that both sides must name. */
export const wireSubprotocol = `skyshard.wire.${wireVersion}`;

/** Units: bytes of a method's name or of an error's code, which are ASCII. */
export const nameBytesMax = 96;
/** Units: bytes of one frame's payload, request or answer. */
export const payloadBytesMax = 32 * 1024 * 1024;
/**
 * Frames are gathered into one message up to here; a single larger frame has a message of its own.
 * Units: bytes.
 */
export const messageBytesTarget = 64 * 1024;
/** An error's message and its hint are each cut to this on the wire. Units: UTF-16 units. */
export const errorTextLengthMax = 480;

const headerBytes = 18;
/** Units: bytes of the payload of an error. */
export const errorTextBytesMax = 2 * 3 * errorTextLengthMax + 1;

/** Units: bytes of one message: a full batch, or one frame of the largest size. */
export const messageBytesMax = 1 + headerBytes + nameBytesMax + payloadBytesMax;

/** The first field of every frame. */
export const frameKind = { call: 0, answer: 1, error: 2 } as const;

/** Why a message from a peer was refused; the connection is closed with this as its reason. */
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
/** One of `malformedReasons`. */
export type MalformedReason = (typeof malformedReasons)[number];

const initialBytes = 16 * 1024;
/** A buffer that grew past this for one large frame is given up after it is sent. */
const reusedBytesMax = 4 * messageBytesTarget;
const noBytes: Buffer = Buffer.alloc(0);

function cutText(text: string): string {
  return text.length > errorTextLengthMax ? `${text.slice(0, errorTextLengthMax - 1)}…` : text;
}

/**
 * Returns the message and the hint in the payload of an error; the hint is '' where it is the
 * table's.
 */
export function readErrorText(payload: Buffer): { readonly message: string; readonly hint: string } {
  const [message = '', hint = ''] = payload.utf8Slice().split('\0', 2);
  return { message, hint };
}

/**
 * Gathers frames for one message. A buffer handed out by `take` belongs to the taker until
 * `giveBack`.
 */
export class FrameBatch {
  #buffer: Buffer = Buffer.allocUnsafeSlow(initialBytes);
  #length = 0;
  #frames = 0;
  #spare: Buffer | null = null;

  /** Units: bytes gathered so far. */
  get length(): number {
    return this.#length;
  }

  get frames(): number {
    return this.#frames;
  }

  /** Returns whether a frame with this payload should go into the next message. */
  isFullFor(payloadBytes: number): boolean {
    return this.#length > 0 && this.#length + headerBytes + nameBytesMax + payloadBytes > messageBytesTarget;
  }

  /**
   * Shape: `method` is ASCII of at most `nameBytesMax`; `timeoutMs` is a whole number below 2^32.
   */
  addCall(id: number, epoch: number, method: string, timeoutMs: number, payload: Uint8Array): void {
    const start = this.#begin(frameKind.call, method, payload.length);
    this.#numbers(start, id, epoch, timeoutMs);
    this.#payload(payload);
  }

  addAnswer(id: number, epoch: number, payload: Uint8Array): void {
    const start = this.#begin(frameKind.answer, '', payload.length);
    this.#numbers(start, id, epoch, 0);
    this.#payload(payload);
  }

  /** Shape: `code` is ASCII of at most `nameBytesMax`; `hint` is '' where it is the table's. */
  addError(id: number, epoch: number, code: string, message: string, hint = ''): void {
    const text = hint === '' ? cutText(message) : `${cutText(message)}\0${cutText(hint)}`;
    const bytes = Buffer.byteLength(text);
    const start = this.#begin(frameKind.error, code, bytes);
    this.#numbers(start, id, epoch, 0);
    this.#buffer.utf8Write(text, this.#length, bytes);
    this.#length += bytes;
    this.#frames++;
  }

  /** Returns the message gathered so far and starts the next one in another buffer. */
  take(): Buffer {
    const message = this.#buffer.subarray(0, this.#length);
    this.#buffer = this.#spare ?? Buffer.allocUnsafeSlow(initialBytes);
    this.#spare = null;
    this.#length = 0;
    this.#frames = 0;
    return message;
  }

  /** Takes back the buffer of a message that has been sent, for a later message. */
  giveBack(message: Buffer): void {
    if (this.#spare !== null || message.buffer.byteLength > reusedBytesMax) return;
    this.#spare = Buffer.from(message.buffer, 0, message.buffer.byteLength);
  }

  /** Writes a header but its numbers, and the name. Returns the position of the header. */
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
 * Walks the frames of one message in place: `next` fills the fields, `malformed` says why it
 * stopped early.
 */
export class FrameReader {
  /** Set when `next` returned false because of the peer's bytes. */
  malformed: MalformedReason | null = null;
  kind = 0;
  id = 0;
  epoch = 0;
  /** Method of a call, code of an error. */
  name = '';
  /** Of a call. Units: milliseconds from the sending. */
  timeoutMs = 0;
  /** Of an error its text. Aliases the message. */
  payload: Buffer = noBytes;

  #source: Buffer = noBytes;
  #position = 0;

  /** Starts on a message, which must stay unchanged while its frames are read. */
  start(message: Buffer): void {
    this.#source = message;
    this.#position = 1;
    this.malformed = null;
    if (message.length === 0) this.malformed = 'message is empty';
    else if (message[0] !== wireVersion) this.malformed = 'unknown version';
  }

  /** Steps to the next frame. Returns false at the end and at the first malformed byte. */
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
    if (this.kind > frameKind.error) return this.#refuse('unknown frame kind');
    if (nameBytes > nameBytesMax) return this.#refuse('name too long');
    if (payloadBytes > payloadBytesMax) return this.#refuse('payload too large');
    if (this.kind !== frameKind.call) {
      const isMatching = this.timeoutMs === 0 && (nameBytes === 0 || this.kind === frameKind.error);
      if (!isMatching) return this.#refuse('header does not match its kind');
      if (this.kind === frameKind.error && payloadBytes > errorTextBytesMax) return this.#refuse('error text too long');
    }
    const payloadStart = at + headerBytes + nameBytes;
    const end = payloadStart + payloadBytes;
    if (end > source.length) return this.#refuse('frame is cut off');
    this.name = nameBytes === 0 ? '' : source.latin1Slice(at + headerBytes, payloadStart);
    this.payload = source.subarray(payloadStart, end);
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
