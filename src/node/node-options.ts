/** What a node is started with. */
import type { Registry } from 'prom-client';
import type { Clock } from '../base/clock.ts';
import type { CrashPoint } from '../base/crash-point.ts';
import type { LogServer } from '../log/log-server.ts';
import type { AskingIngest } from '../router/router-server.ts';
import type { StoredMaps } from '../shardmap/map-follower.ts';
import type { EdgeSettings } from './read-server.ts';

/** Settings are checked, the map is not. */
export type NodeOptions = {
  readonly name: string;
  /** The parsed JSON of the shard map. */
  readonly mapJson: unknown;
  /** What an earlier process of this node stored of maps. */
  readonly storedMaps?: StoredMaps;
  /** Reads the map again, after a peer's frame carried a newer epoch. Errors: DataPlaneError. */
  readonly readMap?: () => unknown;
  readonly dataDir: string;
  readonly host: string;
  readonly allowedHosts?: readonly string[];
  /** 0 takes any free port. */
  readonly port: number;
  /** Where the logs of the slots are; absent: in their folders. */
  readonly logServer?: LogServer | null;
  /** Slots that may begin again where their folders are lost. */
  readonly beginAgain?: readonly number[];
  readonly slotMapBytes: number;
  /** How far behind its log a replica answers reads; absent: the default of the setting. */
  readonly readLagMs?: number;
  readonly lingerMs: number;
  /** See the setting; absent: no slot is compacted by itself. */
  readonly compactQuietS?: number;
  /** The node's slots are distributed over this many apply threads. */
  readonly applyThreads: number;
  /** Threads that serve all slots of the node; absent: one. */
  readonly serveThreads?: number;
  /** Threads that answer searches; absent or 0: the node has no search index. */
  readonly searchThreads?: number;
  /** Reads and requests that take so long are noted; absent: the default of the setting. */
  readonly slowMs?: number;
  /** Where the node also answers as a router; absent: nowhere. */
  readonly edge?: EdgeSettings | undefined;
  /** What the edge has ingest do; absent without ingest. */
  readonly askingIngest?: AskingIngest;
  /** Reads pages on other threads before it answers, for data that is larger than memory. */
  readonly prefetchReads: boolean;
  /** Capacity of the cache of records; 0 caches none. Units: MiB. */
  readonly recordCacheMib: number;
  readonly adminToken: string | null;
  readonly clusterToken: string | null;
  /** Opens pages and metrics, and nothing else. */
  readonly viewToken?: string | null;
  readonly registry: Registry;
  /** Called for what an operator should know although the node goes on. */
  readonly note?: (message: string, fields: Record<string, unknown>) => void;
  readonly crashPoint?: { readonly point: CrashPoint; readonly nth: number } | null;
  readonly clock?: Clock;
};
