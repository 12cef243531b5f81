/** Settings of an edge in a node, for tests: a free port, and nothing outside to ask. */
import type { EdgeSettings } from '../../src/node/read-server.ts';

export const edgeSettings: EdgeSettings = {
  host: '127.0.0.1',
  routerPort: 0,
  http2Port: null,
  drainMs: 0,
  plcUrl: 'http://127.0.0.1:1',
  handleResolver: null,
  allowPrivateHosts: true,
};
