/** A DNS server that knows some names and says nothing about all others. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';

const headerBytes = 12;
const typeA = 1;

export class ScriptedDns {
  readonly #socket: Socket;
  /** Addresses of IPv4, by name. */
  readonly addresses = new Map<string, string>();
  /** Names whose other family is answered with nothing. */
  readonly complete = new Set<string>();
  readonly asked = new Set<string>();

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('message', (message, { port, address }) => {
      const answer = this.#answerTo(message);
      if (answer !== null) socket.send(answer, port, address);
    });
  }

  static async start(): Promise<ScriptedDns> {
    const socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 22 });
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return new ScriptedDns(socket);
  }

  get server(): string {
    return `127.0.0.1:${this.#socket.address().port}`;
  }

  #answerTo(message: Buffer): Buffer | null {
    const labels: string[] = [];
    let at = headerBytes;
    for (; message[at] !== 0; at += 1 + message[at]!)
      labels.push(message.subarray(at + 1, at + 1 + message[at]!).toString());
    const name = labels.join('.');
    this.asked.add(name);
    const question = message.subarray(headerBytes, at + 5);
    const isV4 = message.readUInt16BE(at + 1) === typeA;
    const address = this.addresses.get(name);
    if (address === undefined || (!isV4 && !this.complete.has(name))) return null;
    const header = Buffer.from([message[0]!, message[1]!, 0x81, 0x80, 0, 1, 0, isV4 ? 1 : 0, 0, 0, 0, 0]);
    if (!isV4) return Buffer.concat([header, question]);
    // The name by reference, A, IN, a minute, four bytes.
    const record = [0xc0, headerBytes, 0, typeA, 0, 1, 0, 0, 0, 60, 0, 4, ...address.split('.').map(Number)];
    return Buffer.concat([header, question, Buffer.from(record)]);
  }

  async close(): Promise<void> {
    this.#socket.close();
    await once(this.#socket, 'close');
  }
}
