/** A PLC directory and a handle resolver in one process: they know every did:plc and its handle. */
import { App, us_listen_socket_close, us_socket_local_port } from 'uWebSockets.js';

const didPrefix = 'did:plc:';
const handleSuffix = '.skyshard.test';

function didDocument(did: string): string {
  const method = { id: `${did}#atproto`, type: 'Multikey', controller: did };
  return JSON.stringify({
    '@context': ['https://www.w3.org/ns/did/v1', 'https://w3id.org/security/multikey/v1'],
    id: did,
    alsoKnownAs: [`at://${did.slice(didPrefix.length)}${handleSuffix}`],
    verificationMethod: [{ ...method, publicKeyMultibase: `zQ3sh${did.slice(8)}${did.slice(8, 28)}` }],
    service: [{ id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint: 'https://pds.skyshard.test' }],
  });
}

App()
  .get('/xrpc/com.atproto.identity.resolveHandle', (response, request) => {
    const id = (request.getQuery('handle') ?? '').slice(0, -handleSuffix.length);
    response.writeHeader('content-type', 'application/json').end(JSON.stringify({ did: `${didPrefix}${id}` }));
  })
  .get('/:did', (response, request) => {
    const did = decodeURIComponent(request.getParameter(0) ?? '');
    response.writeHeader('content-type', 'application/json').end(didDocument(did));
  })
  .listen('127.0.0.1', 0, (socket) => {
    if (socket === false) throw new Error('no port is free');
    console.log(JSON.stringify({ port: us_socket_local_port(socket) }));
    process.on('SIGTERM', () => {
      us_listen_socket_close(socket);
      process.exit(0);
    });
  });
