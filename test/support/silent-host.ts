/** A server that accepts connections and never says anything. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';

export class SilentHost {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  connectionCount = 0;
  /** The most connections that were open at once. */
  openMax = 0;

  private constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      this.connectionCount++;
      this.openMax = Math.max(this.openMax, this.#sockets.size);
      socket.on('error', () => {});
      // Else it would not hear of the other end's close.
      socket.resume();
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  static async start(): Promise<SilentHost> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new SilentHost(server);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
