/** What a node in a process of its own is given by a test. */
import type { LogServer } from '../../src/log/log-server.ts';
import type { NodeOptions } from '../../src/node/node-options.ts';

export type NodeChildSettings = Pick<
  NodeOptions,
  'name' | 'mapJson' | 'dataDir' | 'port' | 'slotMapBytes' | 'serveThreads'
> & {
  readonly crashPoint: NonNullable<NodeOptions['crashPoint']> | null;
  readonly logServer?: LogServer | null;
};

/** Of a node that ends for its supervisor to start it again. */
export const exitToStartAgain = 71;
