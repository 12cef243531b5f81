/**
 * The server of bench/wire.ts: answers `bench.<bytes>` at once, `bench.async.<bytes>` later.
 * Argument: the path of a Unix socket, for none only TCP.
 */
import { App, us_socket_local_port } from 'uWebSockets.js';
import { systemClock } from '../src/base/clock.ts';
import type { CallHandler } from '../src/wire/node-caller.ts';
import { unixOfferOf } from '../src/wire/unix-offer.ts';
import { WireServer } from '../src/wire/wire-server.ts';

const handlers = new Map<string, CallHandler>();
for (const bytes of [1024, 10_240, 1_048_576]) {
  const answer = Buffer.alloc(bytes, 2);
  handlers.set(`bench.${bytes}`, () => answer);
  handlers.set(`bench.async.${bytes}`, async () => answer);
}

const app = App();
const onFault = (error: Error): void => {
  throw error;
};
const [unixPath] = process.argv.slice(2);
const offer = unixPath === undefined ? null : unixOfferOf(unixPath);
const wire = new WireServer({ handlers, epoch: () => 1, clusterToken: null, clock: systemClock, onFault });
wire.attachTo(app, { unixOffer: () => offer });
if (unixPath !== undefined) app.listen_unix(() => {}, unixPath);
app.listen('127.0.0.1', 0, (socket) => {
  if (socket === false) throw new Error('no free port');
  console.log(JSON.stringify({ port: us_socket_local_port(socket) }));
});
process.on('SIGTERM', () => process.exit(0));
