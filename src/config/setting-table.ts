/**
 * Every setting of skyshard: one row each, here or, of single commands, in `command-settings.ts`.
 *
 * Owns: names, defaults, units, ranges, and which commands take a setting. The setting `dataDir` is
 * the flag `--data-dir` and the variable `SKYSHARD_DATA_DIR`. A secret is never a value: a setting
 * names the file that holds it.
 */

import { backupCommands, type CommandName, clientCommands, mapFileCommands, serverCommands } from './command-names.ts';
import { commandSettings, streamSchemes } from './command-settings.ts';

type Shared = { readonly commands: readonly CommandName[]; readonly help: string };

export type SettingRow = Shared &
  (
    | {
        readonly kind: 'integer';
        readonly default: number | null;
        readonly unit: string;
        readonly min: number;
        readonly max: number;
      }
    | { readonly kind: 'text' | 'path'; readonly default: string | null }
    | {
        readonly kind: 'url';
        readonly default: string | null;
        readonly schemes: readonly string[];
        /** All that may follow its `?`, and nothing a `#`. Absent: neither is looked at. */
        readonly parameters?: readonly string[];
      }
    | {
        readonly kind: 'urls';
        readonly default: readonly string[];
        readonly schemes: readonly string[];
        /** Each may be followed by `=` and a second URL. */
        readonly isPaired?: true;
        /** Each may be a DID instead. */
        readonly mayBeDid?: true;
      }
    | { readonly kind: 'names'; readonly default: readonly string[] }
    | { readonly kind: 'choice'; readonly default: string; readonly choices: readonly string[] }
    | { readonly kind: 'switch'; readonly default: false }
  );

const threads = { kind: 'integer', unit: 'threads' } as const;
const port = { kind: 'integer', unit: 'port', min: 0, max: 65_535 } as const;
const webSchemes = ['http:', 'https:'];

/** In the order of `--help` and `skyshard config`. */
export const settingTable = {
  dataDir: {
    kind: 'path',
    default: './data',
    commands: [...serverCommands, 'log migrate', 'backup create', 'restore', ...clientCommands],
    help: 'folder of all state; each process writes below its own name in it',
  },
  map: {
    kind: 'path',
    default: './shard-map.json',
    commands: mapFileCommands,
    help: 'the shard map',
  },
  host: {
    kind: 'text',
    default: '127.0.0.1',
    commands: ['up', 'node', 'router', 'ingest', 'demo'],
    help: 'address to listen on, for a node that of its router; beyond loopback, tokens are required (the map has the addresses of nodes)',
  },
  allowedHost: {
    kind: 'names',
    default: [],
    commands: ['up', 'node', 'router', 'ingest'],
    help: 'host name that requests may carry, as behind a proxy; may be repeated (absent = loopback names on loopback, else any)',
  },
  edge: {
    kind: 'switch',
    default: false,
    commands: ['node'],
    help: 'also answer as a router, without a hop to the slots of this node',
  },
  routerPort: {
    ...port,
    default: 7400,
    commands: ['up', 'node', 'router'],
    help: 'gRPC over HTTP/1.1, Connect and admin; 0 = any free port',
  },
  http2Port: {
    ...port,
    default: 7401,
    commands: ['up', 'node', 'router'],
    help: 'gRPC over HTTP/2; 0 = any free port',
  },
  ingestPort: {
    ...port,
    default: 7402,
    commands: ['up', 'ingest'],
    help: 'status and admin of ingest; 0 = any free port',
  },
  relay: {
    kind: 'urls',
    default: [],
    schemes: streamSchemes,
    commands: ['up', 'ingest'],
    help: 'relay to follow; may be repeated',
  },
  pds: {
    kind: 'urls',
    default: [],
    schemes: streamSchemes,
    commands: ['up', 'ingest'],
    isPaired: true,
    help: 'PDS to follow, `<url>` or `<url>=<its URL in DID documents>`; may be repeated, and may come up later than skyshard',
  },
  labeler: {
    kind: 'urls',
    default: [],
    schemes: streamSchemes,
    commands: ['up', 'ingest'],
    mayBeDid: true,
    help: 'labeler to follow, by its DID or the URL of its service; may be repeated',
  },
  cursor: {
    kind: 'integer',
    default: null,
    unit: 'seq',
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    commands: ['up', 'ingest', 'source begin'],
    help: 'where to begin at a source that has no stored cursor; 0 = its beginning, absent = now',
  },
  verify: {
    kind: 'choice',
    default: 'all',
    choices: ['all', 'sample', 'off'],
    commands: ['up', 'ingest'],
    help: 'which commits are proven by the keys of their accounts',
  },
  verifyLagMs: {
    kind: 'integer',
    default: 300_000,
    unit: 'ms',
    min: 0,
    max: 2 ** 40,
    commands: ['up', 'ingest'],
    help: 'lag of a source above which a sample is proven instead of all',
  },
  verifyThreads: {
    ...threads,
    default: 1,
    min: 1,
    max: 64,
    commands: ['up', 'ingest'],
    help: 'threads of ingest that prove commits',
  },
  backfillAll: {
    kind: 'switch',
    default: false,
    commands: ['up', 'ingest'],
    help: 'also fetch every repo that the relays and PDSs list',
  },
  plcUrl: {
    kind: 'url',
    default: 'https://plc.directory',
    schemes: webSchemes,
    commands: ['up', 'node', 'router', 'ingest'],
    help: 'directory of did:plc documents',
  },
  handleResolver: {
    kind: 'url',
    default: null,
    schemes: webSchemes,
    commands: ['up', 'node', 'router', 'ingest'],
    help: 'host that answers com.atproto.identity.resolveHandle; absent = DNS and https',
  },
  bsyncUrl: {
    kind: 'url',
    default: null,
    schemes: webSchemes,
    commands: ['up', 'ingest'],
    help: 'bsync that orders the private writes of the AppView; absent = none is followed',
  },
  bsyncKeyFile: {
    kind: 'path',
    default: null,
    commands: ['up', 'ingest'],
    help: 'file with the key that bsync asks for; absent = none is sent',
  },
  allowCleartextBsync: {
    kind: 'switch',
    default: false,
    commands: ['up', 'ingest'],
    help: 'show bsync its key over http: beyond loopback too, as inside a private network',
  },
  handleChecksPerSecond: {
    kind: 'integer',
    default: 20,
    unit: 'per second',
    min: 0,
    max: 5000,
    commands: ['up', 'ingest'],
    help: 'handles of imported identities that are verified; 0 = only when their accounts are active',
  },
  allowPrivateHosts: {
    kind: 'switch',
    default: false,
    commands: ['up', 'node', 'router', 'ingest'],
    help: 'let look-ups and fetches go to private and loopback addresses',
  },
  demo: {
    kind: 'switch',
    default: false,
    commands: ['up'],
    help: 'follow a simulated network that is started with the rest',
  },
  demoPort: {
    ...port,
    default: 7403,
    commands: ['up', 'demo'],
    help: 'port of the simulated network; 0 = any free port',
  },
  demoActors: {
    kind: 'integer',
    default: 150,
    unit: 'actors',
    min: 2,
    max: 100_000,
    commands: ['up', 'demo'],
    help: 'actors of the simulated network',
  },
  demoRecords: {
    kind: 'integer',
    default: 3_000,
    unit: 'records',
    min: 0,
    max: 10_000_000,
    commands: ['up', 'demo'],
    help: 'records that exist when the simulated network starts',
  },
  demoRate: {
    kind: 'integer',
    default: 20,
    unit: 'records/s',
    min: 0,
    max: 100_000,
    commands: ['up', 'demo'],
    help: 'new records of the simulated network',
  },
  demoSeed: {
    kind: 'integer',
    default: 1,
    unit: 'seed',
    min: 0,
    max: 2 ** 32 - 1,
    commands: ['up', 'demo'],
    help: 'the same seed makes the same network',
  },
  hostile: {
    kind: 'switch',
    default: false,
    commands: ['up', 'demo'],
    help: 'mix strangers into the simulated network that do all they can to stop what follows it',
  },
  hostileRate: {
    kind: 'integer',
    default: 10,
    unit: 'messages/s',
    min: 1,
    max: 10_000,
    commands: ['up', 'demo'],
    help: 'messages of those strangers',
  },
  beginAgain: {
    kind: 'names',
    default: [],
    commands: ['up', 'node', 'ingest'],
    help: 'slot that may begin again because its folder is lost, or `ingest`; may be repeated, and is for one start only',
  },
  slotMapBytes: {
    kind: 'integer',
    default: 16 * 2 ** 30,
    unit: 'bytes',
    min: 2 ** 20,
    max: 2 ** 42,
    commands: ['up', 'node', 'log migrate', 'backup create', 'backup verify', 'restore'],
    help: 'address space of one slot: the most that it can grow to',
  },
  lingerMs: {
    kind: 'integer',
    default: 4,
    unit: 'ms',
    min: 0,
    max: 10_000,
    commands: ['up', 'node', 'ingest'],
    help: 'how long a batch waits for more before it is sent or applied',
  },
  compactQuietS: {
    kind: 'integer',
    default: 300,
    unit: 's',
    min: 0,
    max: 86_400,
    commands: ['up', 'node'],
    help: 'how long a slot must be quiet before its file is compacted, if that makes it much smaller; 0 = only by `slot compact`',
  },
  applyThreads: {
    ...threads,
    default: 1,
    min: 1,
    max: 64,
    commands: ['up', 'node'],
    help: 'threads of a node that write; its slots are dealt out among them',
  },
  serveThreads: {
    ...threads,
    default: null,
    min: 1,
    max: 256,
    commands: ['up', 'node'],
    help: 'threads of a node that serve all of its slots; absent = the cores of the machine less the apply threads of its nodes, at least 1',
  },
  searchThreads: {
    ...threads,
    default: 0,
    min: 0,
    max: 64,
    commands: ['up', 'node'],
    help: 'threads of a node that answer searches, beside one that keeps its search index; 0 = no index',
  },
  prefetchReads: {
    kind: 'switch',
    default: false,
    commands: ['up', 'node'],
    help: 'read pages on other threads before answering; for data larger than memory',
  },
  recordCacheMib: {
    kind: 'integer',
    default: 64,
    unit: 'MiB',
    min: 0,
    max: 2048,
    commands: ['up', 'node'],
    help: 'memory of a node for records that are asked for again and again; 0 = none',
  },
  ...commandSettings,
  json: {
    kind: 'switch',
    default: false,
    commands: [...clientCommands, 'log migrate', ...backupCommands, 'map validate', 'config'],
    help: 'print JSON',
  },
  adminTokenFile: {
    kind: 'path',
    default: null,
    commands: ['up', 'node', 'router', 'ingest', ...clientCommands],
    help: 'file with the token of admin and write endpoints; absent = the one that the map names',
  },
  clusterTokenFile: {
    kind: 'path',
    default: null,
    commands: ['up', 'node', 'router', 'ingest', 'backup create', 'import postgres'],
    help: 'file with the token that our processes show each other; absent = the one that the map names, else one that `up` makes in the data folder',
  },
  logLevel: {
    kind: 'choice',
    default: 'info',
    choices: ['error', 'warn', 'info', 'debug'],
    commands: serverCommands,
    help: 'least severe message to print',
  },
} as const satisfies Record<string, SettingRow>;

export type SettingName = keyof typeof settingTable;

export const settingNames = Object.keys(settingTable) as SettingName[];

/** Returns the flag of a setting, such as `--data-dir`. */
export function flagOf(name: SettingName): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** Returns the environment variable of a setting, such as `SKYSHARD_DATA_DIR`. */
export function variableOf(name: SettingName): string {
  return `SKYSHARD_${flagOf(name).slice(2).replaceAll('-', '_').toUpperCase()}`;
}

/** Returns the settings that a command takes; `config` takes all. */
export function settingsOf(command: CommandName): SettingName[] {
  if (command === 'config') return settingNames;
  return settingNames.filter((name) => (settingTable[name].commands as readonly CommandName[]).includes(command));
}
