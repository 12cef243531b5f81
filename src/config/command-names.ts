/** The names of all commands, in the order of `--help`, and the groups that share settings. */

/** Commands by which operators repair one repo, hide a record, and answer privacy requests. */
export const recordCommands = [
  'repo reindex',
  'record put',
  'record delete',
  'record takedown',
  'private show',
  'private erase',
] as const;

/** Commands by which operators say what is suggested, tagged, labelled and known of an actor. */
export const operatorCommands = [
  'suggestion list',
  'suggestion add',
  'suggestion remove',
  'suggestion order',
  'tag set',
  'age set',
  'age clear',
  'label add',
  'label remove',
  'label list',
  'verifier trust',
  'verifier distrust',
] as const;

/** Commands about the sources of ingest, and about the hosts of accounts. */
const sourceAndHostCommands = [
  'source list',
  'source begin',
  'source pause',
  'source resume',
  'source mended',
  'host block',
  'host unblock',
  'host limit',
  'host list',
] as const;

/** Commands about the search indexes of the nodes. */
export const searchCommands = ['search status', 'search rebuild', 'search verify'] as const;

/** Commands that begin moves of slots, and go on with them. */
export const movingCommands = ['move start', 'drain', 'rebalance'] as const;
/** Commands that change what becomes of moves that are under way. */
export const moveStepCommands = ['move pause', 'move resume', 'move cancel', 'move reverse', 'move drop'] as const;
/** Commands about moves of slots between nodes. */
const moveCommands = [...movingCommands, ...moveStepCommands, 'move status', 'move verify', 'move explain'] as const;

/** Commands about the number of slots. */
const slotsCommands = ['slots double', 'slots status'] as const;

/** Commands about the shard map of a running cluster, and the copies that it names. */
export const mapCommands = [
  'map show',
  'map diff',
  'map push',
  'map log',
  'promote',
  'replica add',
  'replica remove',
  'replica verify',
  'replica rebuild',
  ...moveCommands,
  ...slotsCommands,
] as const;

/** Commands about backups. */
export const backupCommands = ['backup create', 'backup list', 'backup verify', 'restore'] as const;
/** Commands about latency histograms. */
export const histogramCommands = ['hist record', 'hist show', 'hist merge', 'hist diff'] as const;

export const commandNames = [
  'up',
  'node',
  'router',
  'ingest',
  'demo',
  'status',
  'top',
  ...histogramCommands,
  'get',
  'settle',
  'backfill',
  'why',
  'identity import',
  'identity refresh',
  ...sourceAndHostCommands,
  'repo takedown',
  'repo purge',
  'repo allow',
  'repo list',
  'repo resync',
  'repo diff',
  ...recordCommands,
  'quarantine list',
  'quarantine show',
  'quarantine retry',
  'quarantine drop',
  'repair slot',
  'slot compact',
  ...searchCommands,
  'log migrate',
  ...backupCommands,
  'import postgres',
  ...operatorCommands,
  'map validate',
  ...mapCommands,
  'config',
] as const;

export type CommandName = (typeof commandNames)[number];

/** Commands that run until they are stopped. */
export const serverCommands = ['up', 'node', 'router', 'ingest', 'demo'] as const satisfies readonly CommandName[];

/** Commands that ask ingest. */
export const ingestCommands = [
  'backfill',
  'why',
  'identity import',
  'identity refresh',
  ...sourceAndHostCommands,
  'repo purge',
  'repo allow',
  'repo list',
  'repo resync',
  'repo diff',
  'repair slot',
] as const satisfies readonly CommandName[];

/** Commands that decide about what slots keep in quarantine, and all about that. */
export const quarantineDecisions = ['quarantine retry', 'quarantine drop'] as const satisfies readonly CommandName[];
export const quarantineCommands = [
  'quarantine list',
  'quarantine show',
  ...quarantineDecisions,
] as const satisfies readonly CommandName[];

/** Commands that ask running processes. */
export const clientCommands = [
  'status',
  'top',
  ...histogramCommands,
  'get',
  'settle',
  ...ingestCommands,
  'repo takedown',
  ...quarantineCommands,
  'slot compact',
  ...searchCommands,
  'import postgres',
  ...operatorCommands,
  ...recordCommands,
  ...mapCommands,
] as const satisfies readonly CommandName[];

/** Commands that read the file of the shard map. */
export const mapFileCommands = [
  'up',
  'node',
  'router',
  'ingest',
  'log migrate',
  'backup create',
  'restore',
  'import postgres',
  'map validate',
] as const satisfies readonly CommandName[];
