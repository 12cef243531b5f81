/**
 * The frames between our processes: many in one WebSocket message, each a small CBOR header before an undecoded payload.
 *
 * ```
 * message: version (1 byte), frames
 * frame:   header bytes (u16), payload bytes (u32), header, payload
 * header:  call   [0, id, epoch, method, timeoutMs]
 *          answer [1, id, epoch]
 *          error  [2, id, epoch, code, message]
 * ```
 *
 * Owns: these bytes and their bounds. A header is a CBOR array of unsigned integers and texts and nothing else; it is
 * written and read here field by field, since a general decoder allocates on claimed lengths. Refuses: any other
 * shape, with a reason. Byte order: big-endian.
 */
import '../base/bytes.ts';

/** The first byte of every message, and part of the WebSocket subprotocol, so that unlike versions never connect. */
export const wireVersion = 1;
/** The WebSocket subprotocol that both sides must name. */
export const wireSubprotocol = `skyshard.wire.${wireVersion}`;

/** Units: bytes of one frame's header. */
export const headerBytesMax = 2048;
/** Units: bytes of one frame's payload, request or answer. */
export const payloadBytesMax = 32 * 1024 * 1024;
/** Frames are gathered into one message up to here; a single larger frame has a message of its own. Units: bytes. */
export const messageBytesTarget = 64 * 1024;
/** Units: bytes of one message: a full batch, or one frame of the largest size. */
export const messageBytesMax = payloadBytesMax + headerBytesMax + 64;
/** Units: UTF-16 units of a method name, which is ASCII. */
export const methodLengthMax = 96;
/** An error's text is cut to this on the wire. Units: UTF-16 units. */
export const errorMessageLengthMax = 480;

/** The first field of every header. */
export const frameKind = { call: 0, answer: 1, error: 2 } as const;

/** Why a message from a peer was refused; the connection is closed with this as its reason. */
const malformedReasons = [
  'message is text',
  'message is empty',
  'unknown version',
  'frame is cut off',
  'header too large',
  'payload too large',
  'header is not of this protocol',
  'unknown frame kind',
  'frame goes the wrong way',
] as const;
/** One of `malformedReasons`. */
export type MalformedReason = (typeof malformedReasons)[number];

const prefixBytes = 6;
const initialBytes = 16 * 1024;
/** A buffer that grew past this for one large frame is given up after it is sent. */
const keptBytesMax = 4 * messageBytesTarget;

/** Gathers frames for one message. A buffer handed out by `take` belongs to the taker until `giveBack`. */
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

  /** True when a frame with this payload should go into the next message. */
  isFullFor(payloadBytes: number): boolean {
    return this.#length > 0 && this.#length + payloadBytes + 64 > messageBytesTarget;
  }

  /** Shape: `method` is ASCII of at most `methodLengthMax`; `timeoutMs` is a whole number below 2^32. */
  addCall(id: number, epoch: number, method: string, timeoutMs: number, payload: Uint8Array): void {
    const start = this.#begin(method.length, payload.length);
    this.#array(5, frameKind.call);
    this.#uint(id);
    this.#uint(epoch);
    this.#ascii(method);
    this.#uint(timeoutMs);
    this.#end(start, payload);
  }

  addAnswer(id: number, epoch: number, payload: Uint8Array): void {
    const start = this.#begin(0, payload.length);
    this.#array(3, frameKind.answer);
    this.#uint(id);
    this.#uint(epoch);
    this.#end(start, payload);
  }

  addError(id: number, epoch: number, code: string, message: string): void {
    const text = message.length > errorMessageLengthMax ? `${message.slice(0, errorMessageLengthMax - 1)}…` : message;
    const start = this.#begin(code.length + text.length * 3, 0);
    this.#array(5, frameKind.error);
    this.#uint(id);
    this.#uint(epoch);
    this.#ascii(code);
    this.#utf8(text);
    this.#end(start, noPayload);
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

  /** Takes back the buffer behind a message that has been sent, for a later message. */
  giveBack(message: Buffer): void {
    if (this.#spare !== null || message.buffer.byteLength > keptBytesMax) return;
    this.#spare = Buffer.from(message.buffer, 0, message.buffer.byteLength);
  }

  #begin(textBytesMax: number, payloadBytes: number): number {
    const needed = this.#length + 1 + prefixBytes + 40 + textBytesMax + payloadBytes;
    if (needed > this.#buffer.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
      this.#buffer.copy(grown, 0, 0, this.#length);
      this.#buffer = grown;
    }
    if (this.#length === 0) this.#buffer[this.#length++] = wireVersion;
    const start = this.#length;
    this.#length += prefixBytes;
    return start;
  }

  #end(start: number, payload: Uint8Array): void {
    const buffer = this.#buffer;
    const headerBytes = this.#length - start - prefixBytes;
    buffer[start] = headerBytes >>> 8;
    buffer[start + 1] = headerBytes;
    buffer.writeUInt32BE(payload.length, start + 2);
    buffer.set(payload, this.#length);
    this.#length += payload.length;
    this.#frames++;
  }

  #array(count: number, kind: number): void {
    this.#buffer[this.#length++] = 0x80 | count;
    this.#buffer[this.#length++] = kind;
  }

  #uint(value: number): void {
    const buffer = this.#buffer;
    if (value < 24) {
      buffer[this.#length++] = value;
    } else if (value < 0x100) {
      buffer[this.#length++] = 0x18;
      buffer[this.#length++] = value;
    } else if (value < 0x1_0000) {
      buffer[this.#length++] = 0x19;
      buffer[this.#length++] = value >>> 8;
      buffer[this.#length++] = value;
    } else {
      buffer[this.#length++] = 0x1a;
      this.#length = buffer.writeUInt32BE(value, this.#length);
    }
  }

  #textHead(bytes: number): void {
    if (bytes < 24) {
      this.#buffer[this.#length++] = 0x60 | bytes;
    } else if (bytes < 0x100) {
      this.#buffer[this.#length++] = 0x78;
      this.#buffer[this.#length++] = bytes;
    } else {
      this.#buffer[this.#length++] = 0x79;
      this.#length = this.#buffer.writeUInt16BE(bytes, this.#length);
    }
  }

  #ascii(text: string): void {
    this.#textHead(text.length);
    this.#length += this.#buffer.latin1Write(text, this.#length, text.length);
  }

  #utf8(text: string): void {
    const bytes = Buffer.byteLength(text);
    this.#textHead(bytes);
    this.#length += this.#buffer.utf8Write(text, this.#length, bytes);
  }
}

const noPayload: Uint8Array = new Uint8Array(0);

/** Walks the frames of one message in place: `next` fills the fields, `malformed` says why it stopped early. */
export class FrameReader {
  /** Set when `next` returned false because of the peer's bytes. */
  malformed: MalformedReason | null = null;
  kind = 0;
  id = 0;
  epoch = 0;
  /** Of a call. */
  method = '';
  /** Of a call. Units: milliseconds from the sending. */
  timeoutMs = 0;
  /** Of an error. */
  code = '';
  /** Of an error. */
  message = '';
  /** Aliases the message. */
  payload: Buffer = Buffer.alloc(0);

  #source: Buffer = Buffer.alloc(0);
  #position = 0;
  /** End of the header being read. */
  #headerEnd = 0;

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
    if (this.malformed !== null || this.#position >= source.length) return false;
    if (this.#position + prefixBytes > source.length) return this.#refuse('frame is cut off');
    const headerBytes = (source[this.#position]! << 8) | source[this.#position + 1]!;
    const payloadBytes = source.readUInt32BE(this.#position + 2);
    if (headerBytes > headerBytesMax) return this.#refuse('header too large');
    if (payloadBytes > payloadBytesMax) return this.#refuse('payload too large');
    this.#position += prefixBytes;
    this.#headerEnd = this.#position + headerBytes;
    const end = this.#headerEnd + payloadBytes;
    if (end > source.length) return this.#refuse('frame is cut off');
    if (!this.#readHeader()) return this.malformed === null ? this.#refuse('header is not of this protocol') : false;
    this.payload = source.subarray(this.#headerEnd, end);
    this.#position = end;
    return true;
  }

  #refuse(reason: MalformedReason): false {
    this.malformed = reason;
    return false;
  }

  #readHeader(): boolean {
    const count = this.#source[this.#position++]! - 0x80;
    this.kind = this.#uint();
    this.id = this.#uint();
    this.epoch = this.#uint();
    if (this.kind < 0 || this.id < 0 || this.epoch < 0) return false;
    switch (this.kind) {
      case frameKind.call: {
        const method = this.#text(methodLengthMax, true);
        this.timeoutMs = this.#uint();
        if (method === null || this.timeoutMs < 0 || count !== 5) return false;
        this.method = method;
        break;
      }
      case frameKind.answer:
        if (count !== 3) return false;
        break;
      case frameKind.error: {
        const code = this.#text(methodLengthMax, true);
        const message = this.#text(headerBytesMax, false);
        if (code === null || message === null || count !== 5) return false;
        this.code = code;
        this.message = message;
        break;
      }
      default:
        return this.#refuse('unknown frame kind');
    }
    return this.#position === this.#headerEnd;
  }

  /** Reads an unsigned integer of up to 32 bits; -1 when there is none within the header. */
  #uint(): number {
    const source = this.#source;
    const at = this.#position;
    if (at >= this.#headerEnd) return -1;
    const first = source[at]!;
    const bytes = first < 24 ? 0 : first === 0x18 ? 1 : first === 0x19 ? 2 : first === 0x1a ? 4 : -1;
    if (bytes < 0 || at + 1 + bytes > this.#headerEnd) return -1;
    this.#position = at + 1 + bytes;
    if (bytes === 0) return first;
    if (bytes === 1) return source[at + 1]!;
    return bytes === 2 ? source.readUInt16BE(at + 1) : source.readUInt32BE(at + 1);
  }

  /** Reads a text; null when there is none within the header or it is longer than allowed. */
  #text(bytesMax: number, isAscii: boolean): string | null {
    const bytes = this.#textLength();
    const at = this.#position;
    if (bytes < 0 || bytes > bytesMax || at + bytes > this.#headerEnd) return null;
    this.#position = at + bytes;
    return isAscii ? this.#source.latin1Slice(at, at + bytes) : this.#source.utf8Slice(at, at + bytes);
  }

  /** Reads the head of a text. Returns its length in bytes, -1 when there is none within the header. */
  #textLength(): number {
    const source = this.#source;
    const at = this.#position;
    const first = at < this.#headerEnd ? source[at]! : 0;
    if (first >= 0x60 && first < 0x78) {
      this.#position = at + 1;
      return first & 0x1f;
    }
    if (first === 0x78 && at + 2 <= this.#headerEnd) {
      this.#position = at + 2;
      return source[at + 1]!;
    }
    if (first === 0x79 && at + 3 <= this.#headerEnd) {
      this.#position = at + 3;
      return source.readUInt16BE(at + 1);
    }
    return -1;
  }
}
