/**
 * The network of bench/ingest.ts in one process: a stream of generated events, a PLC directory, a
 * handle resolver. It sends as fast as it is read. Arguments: the file of frames.
 */
import { App, us_listen_socket_close, us_socket_local_port, type WebSocket } from 'uWebSockets.js';
import { decodeFirehoseMessage } from '../src/atproto/firehose-event.ts';
import { readFrames } from './data-set-file.ts';

const path = process.argv[2]!;
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

App()
  .ws<Stream>('/xrpc/com.atproto.sync.subscribeRepos', {
    maxBackpressure: 0,
    idleTimeout: 0,
    upgrade: (response, request, context) => {
      response.upgrade<Stream>(
        { frames: readFrames(path) },
        request.getHeader('sec-websocket-key'),
        request.getHeader('sec-websocket-protocol'),
        request.getHeader('sec-websocket-extensions'),
        context,
      );
    },
    open: sendMore,
    drain: sendMore,
  })
  .get('/xrpc/com.atproto.identity.resolveHandle', (response, request) => {
    const did = didByHandle.get(request.getQuery('handle') ?? '');
    if (did === undefined) return void response.writeStatus('400 Bad Request').end('{"error":"HandleNotFound"}');
    response.writeHeader('content-type', 'application/json').end(JSON.stringify({ did }));
  })
  .get('/:did', (response, request) => {
    const did = decodeURIComponent(request.getParameter(0) ?? '');
    const handle = handleByDid.get(did);
    if (handle === undefined) return void response.writeStatus('404 Not Found').end('{}');
    response.writeHeader('content-type', 'application/json').end(didDocument(did, handle));
  })
  .listen('127.0.0.1', 0, (socket) => {
    if (socket === false) throw new Error('no port is free');
    console.log(JSON.stringify({ port: us_socket_local_port(socket) }));
    process.on('SIGTERM', () => {
      us_listen_socket_close(socket);
      process.exit(0);
    });
  });
