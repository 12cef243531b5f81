/** A router for tests, without tokens, on a free port of loopback. */
import { Registry } from 'prom-client';
import { type RouterOptions, type RunningRouter, startRouter } from '../../src/router/router-server.ts';
import { noIdentitySource } from './no-identities.ts';

/** Starts one that throws what is its own fault. `more` wins over what it has by default. */
export function startTestRouter(
  nodes: Pick<RouterOptions, 'map' | 'caller'>,
  more: Partial<RouterOptions> = {},
): Promise<RunningRouter> {
  return startRouter({
    ...nodes,
    identity: noIdentitySource,
    registry: new Registry(),
    host: '127.0.0.1',
    port: 0,
    http2Port: null,
    adminToken: null,
    onFault: (error) => {
      throw error;
    },
    ...more,
  });
}
