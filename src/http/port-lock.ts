/**
 * Keeps other processes off a port on which several threads of this one listen.
 *
 * With SO_REUSEPORT the kernel lets every socket of one user share the port, so a second skyshard
 * would silently take a part of the connections. Owns: a name among the abstract sockets of the
 * network namespace, which ends with the process, and a look at whether anything else listens.
 */
import { createServer, type Server } from 'node:net';
import { listenError } from './json-server.ts';

function listening(server: Server, options: object, host: string, port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => reject(listenError(host, port, cause)));
    server.listen(options, () => resolve(server));
  });
}

/** Anyone on the machine may connect to it, and is sent away. */
export function lockServer(): Server {
  const server = createServer((socket) => socket.destroy());
  server.maxConnections = 1;
  return server;
}

/** Closes a server. A second time does nothing. */
export function closed(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

/**
 * Takes a port for the threads of this process; 0 takes a free one. Call it before they listen.
 *
 * Returns: the port. Errors: DataPlaneError `ConfigInvalid` for a port that is taken.
 */
export async function lockPort(host: string, port: number): Promise<{ readonly port: number } & AsyncDisposable> {
  // Not shared: fails if anything listens.
  const probe = await listening(createServer(), { host, port }, host, port);
  const address = probe.address();
  const taken = typeof address === 'object' && address !== null ? address.port : port;
  try {
    const lock = await listening(lockServer(), { path: `\0skyshard-port-${host}-${taken}` }, host, taken);
    lock.unref();
    return { port: taken, [Symbol.asyncDispose]: () => closed(lock) };
  } finally {
    await closed(probe);
  }
}
