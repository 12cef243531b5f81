/** A node in its own process, for tests to kill; its settings are JSON in argv. */
import { Registry } from 'prom-client';
import { type NodeOptions, startNode } from '../../src/node/node-process.ts';

export type NodeChildSettings = Pick<
  NodeOptions,
  'name' | 'mapJson' | 'dataDir' | 'port' | 'slotMapBytes' | 'serveThreads'
> & {
  readonly crashPoint: NonNullable<NodeOptions['crashPoint']> | null;
};

const settings = JSON.parse(process.argv[2]!) as NodeChildSettings;
const node = await startNode({
  ...settings,
  host: '127.0.0.1',
  lingerMs: 2,
  applyThreads: 1,
  prefetchReads: false,
  recordCacheMib: 8,
  adminToken: null,
  clusterToken: null,
  registry: new Registry(),
});
node.failed.catch((error: Error) => {
  console.error(error);
  process.exit(70);
});
process.once('SIGTERM', () => void node.close().then(() => process.exit(0)));
console.log('serving');
