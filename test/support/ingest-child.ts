/** Ingest in its own process, killed at a crash point; its settings are JSON in argv. */
import { armCrashPoint, type CrashPoint } from '../../src/base/crash-point.ts';
import { startIngest } from '../../src/ingest/ingest-server.ts';
import { RemoteLog } from '../../src/log/remote-log.ts';
import { parseShardMap } from '../../src/shardmap/shard-map.ts';
import { NodeClient } from '../../src/wire/node-client.ts';

export type IngestChildSettings = {
  readonly mapJson: unknown;
  readonly folder: string;
  /** Origin of the scripted network. */
  readonly url: string;
  readonly crashPoint: { readonly point: CrashPoint; readonly nth: number } | null;
};

const { mapJson, folder, url, crashPoint } = JSON.parse(process.argv[2]!) as IngestChildSettings;
if (crashPoint !== null) armCrashPoint(crashPoint.point, crashPoint.nth);
const map = parseShardMap(mapJson);
const caller = new NodeClient({ map });
const ingest = await startIngest({
  folder,
  host: '127.0.0.1',
  port: 0,
  sources: [{ url, startSeq: 0 }],
  backfillSources: true,
  appender: new RemoteLog({ caller, map: () => map, lingerMs: 2 }),
  identity: { plcUrl: url, handleResolverUrl: url, allowPrivateHosts: true },
  verify: { mode: 'all', lagMsMax: Number.POSITIVE_INFINITY, threads: 1 },
  adminToken: null,
});
process.once('SIGTERM', () => void ingest.close().then(() => process.exit(0)));
console.log(ingest.port);
