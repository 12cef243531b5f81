/**
 * A peer on a real WebSocket that answers every call as a script says: with errors, nonsense, or
 * what a good node would.
 */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { FrameBatch, FrameReader, wireSubprotocol } from '../../src/wire/frame.ts';

export type ScriptedCall = { readonly method: string; readonly payload: Buffer };

/** Answers a call: a payload, an error of any code, or bytes that are sent as they are. */
export type ScriptedAnswer =
  | { readonly payload: Uint8Array; readonly epoch?: number }
  | { readonly code: string; readonly epoch?: number }
  | { readonly raw: Buffer };
export type Script = (call: ScriptedCall) => ScriptedAnswer;

export class ScriptedPeer implements AsyncDisposable {
  readonly calls: ScriptedCall[] = [];
  /** A status refuses every handshake, as a peer of another wire version does. */
  handshakeStatus: number | null = null;
  script: Script;
  readonly #server: Server;
  readonly #sockets: WebSocketServer;

  private constructor(script: Script) {
    this.script = script;
    this.#server = createServer();
    this.#sockets = new WebSocketServer({ noServer: true, handleProtocols: () => wireSubprotocol });
    this.#server.on('upgrade', (request, socket: Socket, head) => {
      if (this.handshakeStatus !== null) {
        socket.end(`HTTP/1.1 ${this.handshakeStatus} Refused\r\ncontent-length: 13\r\n\r\nother version`);
        return;
      }
      this.#sockets.handleUpgrade(request, socket, head, (open) => this.#serve(open));
    });
  }

  static async start(script: Script): Promise<ScriptedPeer> {
    const peer = new ScriptedPeer(script);
    peer.#server.listen(0, '127.0.0.1');
    await once(peer.#server, 'listening');
    return peer;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Breaks all connections. */
  disconnect(): void {
    for (const socket of this.#sockets.clients) socket.terminate();
  }

  #serve(socket: WebSocket): void {
    socket.on('error', () => {});
    socket.on('message', (message: Buffer) => {
      const reader = new FrameReader();
      reader.start(message);
      while (reader.next()) {
        const call = { method: reader.name, payload: Buffer.from(reader.payload) };
        this.calls.push(call);
        const answer = this.script(call);
        if ('raw' in answer) {
          socket.send(answer.raw);
          continue;
        }
        const batch = new FrameBatch();
        const epoch = answer.epoch ?? 1;
        if ('code' in answer) batch.addError(reader.id, epoch, answer.code, 'as scripted');
        else batch.addAnswer(reader.id, epoch, answer.payload);
        socket.send(batch.take());
      }
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.disconnect();
    this.#sockets.close();
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
