/** A node in its own process, for tests to kill; its settings are JSON in argv. */
import { Registry } from 'prom-client';
import { mapAtStart } from '../../src/mapchange/map-store.ts';
import { startNode } from '../../src/node/node-process.ts';
import type { MapJson } from '../../src/shardmap/map-follower.ts';
import { exitToStartAgain, type NodeChildSettings } from './node-child-settings.ts';

const settings = JSON.parse(process.argv[2]!) as NodeChildSettings;
const start = mapAtStart(settings.mapJson as MapJson, settings.dataDir);
const node = await startNode({
  ...settings,
  mapJson: start.json,
  storedMaps: start.stored,
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
  process.exit('code' in error && error.code === 'WrongEpoch' ? exitToStartAgain : 70);
});
process.once('SIGTERM', () => void node.close().then(() => process.exit(0)));
console.log('serving');
