/**
 * The network of bench/ingest.ts in one process: a stream of generated events, a PLC directory, a
 * handle resolver. It sends as fast as it is read.
 *
 * On a second port it is another relay, which sends only `#identity` events, of accounts for which
 * the directory never answers. Arguments: the file of frames, the number of such events.
 */
import {
  App,
  type TemplatedApp,
  type us_listen_socket,
  us_listen_socket_close,
  us_socket_local_port,
  type WebSocket,
  type WebSocketBehavior,
} from 'uWebSockets.js';
import { decodeFirehoseMessage } from '../src/atproto/firehose-event.ts';
import { encodeIdentityFrame } from '../src/demo/server/firehose-frame.ts';
import { readFrames } from './data-set-file.ts';

const path = process.argv[2]!;
const hangingCount = Number(process.argv[3] ?? 0);
const hangingPrefix = 'did:plc:hanging';
/** High watermark of one socket's buffer. */
const unsentBytesMax = 4 * 2 ** 20;
const identityMark = Buffer.from('#identity');
/** The mark is in the header of a message, which is this short. */
const headerBytesMax = 32;

const handleByDid = new Map<string, string>();
const didByHandle = new Map<string, string>();

/** Learns handles from the events themselves, before they are sent. */
function learn(frame: Buffer): void {
  if (frame.subarray(0, headerBytesMax).indexOf(identityMark) < 0) return;
  const decoded = decodeFirehoseMessage(frame);
  if (!decoded.ok || decoded.value.kind !== 'identity' || decoded.value.handle === null) return;
  handleByDid.set(decoded.value.did, decoded.value.handle);
  didByHandle.set(decoded.value.handle, decoded.value.did);
}

type Stream = { frames: Generator<Buffer, void, undefined> };

/** Yields `#identity` events of accounts whose look-ups hang. */
function* hangingFrames(): Generator<Buffer, void, undefined> {
  for (let seq = 1; seq <= hangingCount; seq++) {
    const letters = [...seq.toString(4).padStart(9, '0')].map((digit) => 'abcd'[Number(digit)]).join('');
    const did = `${hangingPrefix}${letters.padStart(17, 'z')}`;
    yield encodeIdentityFrame({ seq, did, time: new Date().toISOString() }, `${letters}.skyshard.test`);
  }
}

function sendMore(socket: WebSocket<Stream>): void {
  const { frames } = socket.getUserData();
  socket.cork(() => {
    while (socket.getBufferedAmount() < unsentBytesMax) {
      const next = frames.next();
      if (next.done === true) return;
      learn(next.value);
      socket.send(next.value, true);
    }
  });
}

function didDocument(did: string, handle: string): string {
  return JSON.stringify({
    id: did,
    alsoKnownAs: [`at://${handle}`],
    verificationMethod: [
      {
        id: `${did}#atproto`,
        type: 'Multikey',
        controller: did,
        publicKeyMultibase: `zQ3sh${did.slice(8)}${did.slice(8, 28)}`,
      },
    ],
    service: [{ id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint: 'https://pds.skyshard.test' }],
  });
}

function streaming(frames: () => Stream['frames']): WebSocketBehavior<Stream> {
  return {
    maxBackpressure: 0,
    idleTimeout: 0,
    upgrade: (response, request, context) => {
      response.upgrade<Stream>(
        { frames: frames() },
        request.getHeader('sec-websocket-key'),
        request.getHeader('sec-websocket-protocol'),
        request.getHeader('sec-websocket-extensions'),
        context,
      );
    },
    open: sendMore,
    drain: sendMore,
  };
}

const streamPath = '/xrpc/com.atproto.sync.subscribeRepos';

function listen(app: TemplatedApp): Promise<us_listen_socket> {
  return new Promise((resolve, reject) => {
    app.listen('127.0.0.1', 0, (socket) => (socket === false ? reject(new Error('no port is free')) : resolve(socket)));
  });
}

const source = App()
  .ws<Stream>(
    streamPath,
    streaming(() => readFrames(path)),
  )
  .get('/xrpc/com.atproto.identity.resolveHandle', (response, request) => {
    const did = didByHandle.get(request.getQuery('handle') ?? '');
    if (did === undefined) return void response.writeStatus('400 Bad Request').end('{"error":"HandleNotFound"}');
    response.writeHeader('content-type', 'application/json').end(JSON.stringify({ did }));
  })
  .get('/:did', (response, request) => {
    const did = decodeURIComponent(request.getParameter(0) ?? '');
    if (did.startsWith(hangingPrefix)) return void response.onAborted(() => {});
    const handle = handleByDid.get(did);
    if (handle === undefined) return void response.writeStatus('404 Not Found').end('{}');
    response.writeHeader('content-type', 'application/json').end(didDocument(did, handle));
  });
const hanging = App().ws<Stream>(streamPath, streaming(hangingFrames));

const sockets = await Promise.all([listen(source), listen(hanging)]);
const [port, hangingPort] = sockets.map(us_socket_local_port);
console.log(JSON.stringify({ port, hangingPort }));
process.on('SIGTERM', () => {
  for (const socket of sockets) us_listen_socket_close(socket);
  process.exit(0);
});
