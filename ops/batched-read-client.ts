/**
 * Reads stored records by AT-URI from one node, many at a time: a client for services of one's own.
 *
 * It needs nothing but the package `ws`, so copy it. batched-reads.md says what the bytes are.
 *
 *     const reader = await RecordReader.connect('ws://127.0.0.1:7410/wire', token);
 *     const [post] = await reader.read(['at://did:plc:…/app.bsky.feed.post/3k…']);
 *     console.log(post === null ? 'not stored' : JSON.parse(post.toString()));
 */
import { once } from 'node:events';
import { WebSocket } from 'ws';

const wireVersion = 6;
const subprotocol = `skyshard.wire.${wireVersion}`;
const method = Buffer.from('slot.records');
const kindOfAnswer = 1;
const headerBytes = 18;
const batchVersion = 1;

/** What a node answered instead of records; `code` is one of errors.md. */
export class NodeError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

type Waiting = {
  readonly resolve: (payload: Buffer) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
};

/** An unsigned LEB128 number, low bits first. */
function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let left = value; ; left >>>= 7) {
    bytes.push(left < 0x80 ? left : (left & 0x7f) | 0x80);
    if (left < 0x80) return Buffer.from(bytes);
  }
}

function encodeCall(id: number, uris: readonly string[], timeoutMs: number): Buffer {
  const keys = uris.map((uri) => Buffer.from(uri));
  const parts = keys.flatMap((key) => [varint(key.length), key]);
  const payload = Buffer.concat([Buffer.of(batchVersion), varint(uris.length), ...parts]);
  const head = Buffer.alloc(1 + headerBytes);
  head[0] = wireVersion;
  head[2] = method.length;
  head.writeUInt32BE(id, 3);
  // No epoch, at 7: this caller has no map.
  head.writeUInt32BE(timeoutMs, 11);
  head.writeUInt32BE(payload.length, 15);
  return Buffer.concat([head, method, payload]);
}

/** Returns the JSON of each record, which aliases `payload`; null for one that is not stored. */
function decodeRecords(payload: Buffer): (Buffer | null)[] {
  let at = 0;
  const number = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = payload.readUInt8(at++);
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const version = number();
  if (version !== batchVersion) throw new Error(`a node answered in version ${version}`);
  return Array.from({ length: number() }, () => {
    const length = number();
    if (length === 0) return null;
    at += length - 1;
    return payload.subarray(at - length + 1, at);
  });
}

export class RecordReader {
  readonly #socket: WebSocket;
  readonly #waitingById = new Map<number, Waiting>();
  #nextId = 1;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (message: Buffer) => this.#received(message));
    socket.on('close', (code) => this.#failAll(new Error(`the connection to the node ended (${code})`)));
    // `close` follows.
    socket.on('error', () => {});
  }

  /** Connects to `/wire` of a node. `token` is the cluster's; null where there is none. */
  static async connect(url: string, token: string | null): Promise<RecordReader> {
    const headers = token === null ? {} : { authorization: `Bearer ${token}` };
    const socket = new WebSocket(url, subprotocol, { headers, perMessageDeflate: false });
    await once(socket, 'open');
    return new RecordReader(socket);
  }

  /**
   * Returns the JSON of each record in the order asked, and null for one that is not stored.
   *
   * Errors: NodeError as the node raised it; Error when the connection ends or the time is over.
   */
  async read(uris: readonly string[], timeoutMs = 2000): Promise<(Buffer | null)[]> {
    if (this.#socket.readyState !== WebSocket.OPEN) throw new Error('the connection to the node is closed');
    const id = this.#nextId;
    this.#nextId = (id + 1) >>> 0;
    const payload = await new Promise<Buffer>((resolve, reject) => {
      const late = (): void => void this.#take(id)?.reject(new Error(`no answer within ${timeoutMs} ms`));
      this.#waitingById.set(id, { resolve, reject, timer: setTimeout(late, timeoutMs) });
      this.#socket.send(encodeCall(id, uris, timeoutMs));
    });
    return decodeRecords(payload);
  }

  close(): void {
    this.#socket.close();
  }

  /** A message is a version and frames. Answers come in any order. */
  #received(message: Buffer): void {
    if (message[0] !== wireVersion) return this.#socket.terminate();
    for (let at = 1; at < message.length; ) {
      const nameStart = at + headerBytes;
      const payloadStart = nameStart + message.readUInt8(at + 1);
      const end = payloadStart + message.readUInt32BE(at + 14);
      const waiting = this.#take(message.readUInt32BE(at + 2));
      const payload = message.subarray(payloadStart, end);
      if (message[at] === kindOfAnswer) waiting?.resolve(payload);
      else waiting?.reject(errorOf(message.toString('latin1', nameStart, payloadStart), payload));
      at = end;
    }
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waitingById.get(id);
    this.#waitingById.delete(id);
    clearTimeout(waiting?.timer);
    return waiting;
  }

  #failAll(error: Error): void {
    for (const id of [...this.#waitingById.keys()]) this.#take(id)?.reject(error);
  }
}

/** The text of an error is its message and, after a zero byte, a hint if it has its own. */
function errorOf(code: string, text: Buffer): NodeError {
  return new NodeError(code, text.toString().split('\0').join('; '));
}
