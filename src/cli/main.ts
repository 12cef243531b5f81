#!/usr/bin/env node
/**
 * The program: reads the command line, runs one command, exits with its code.
 *
 * Loads only the command that runs, so `skyshard status` loads neither LMDB nor uWebSockets. Broken
 * invariants are caught here and nowhere else: the process prints what does not hold and stops.
 */
import { setFlagsFromString } from 'node:v8';
import { systemClock } from '../base/clock.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { InvariantError } from '../base/invariant.ts';
import type { CommandName } from '../config/command-names.ts';
import { processEnvironment, resolveSettings } from '../config/settings.ts';
import type { Command } from './command.ts';
import { parseCommandLine } from './command-line.ts';
import { errorText, exitCode, exitCodeOf, withNextStep } from './exit-code.ts';
import { endProcess } from './process/end-process.ts';
import { createTextLog } from './process-log.ts';

/**
 * V8 allocates objects among the old ones from places whose objects it often saw survive, as those
 * of requests do in the first seconds. There, each keeps what it refers to, though nothing refers
 * to it any more, until all old objects are collected; which is then what a node does most of its
 * collecting for. Before any thread starts, since it holds for those that start afterwards.
 */
setFlagsFromString('--no-allocation-site-pretenuring');

const loadByCommand: Record<CommandName, () => Promise<Command>> = {
  up: async () => (await import('./command/up.ts')).runUp,
  node: async () => (await import('./command/node.ts')).runNode,
  router: async () => (await import('./command/router.ts')).runRouter,
  ingest: async () => (await import('./command/ingest.ts')).runIngest,
  demo: async () => (await import('./command/demo.ts')).runDemo,
  status: async () => (await import('./command/status.ts')).runStatus,
  top: async () => (await import('./command/top.ts')).runTop,
  'hist record': async () => (await import('./command/hist.ts')).runHistRecord,
  'hist show': async () => (await import('./command/hist.ts')).runHistShow,
  'hist merge': async () => (await import('./command/hist.ts')).runHistMerge,
  'hist diff': async () => (await import('./command/hist.ts')).runHistDiff,
  get: async () => (await import('./command/get.ts')).runGet,
  settle: async () => (await import('./command/settle.ts')).runSettle,
  backfill: async () => (await import('./command/backfill.ts')).runBackfill,
  'identity import': async () => (await import('./command/identity-import.ts')).runIdentityImport,
  why: async () => (await import('./command/why.ts')).runWhy,
  'identity refresh': async () => (await import('./command/identity-refresh.ts')).runIdentityRefresh,
  'source list': async () => (await import('./command/source.ts')).runSourceList,
  'source pause': async () => (await import('./command/source.ts')).runSourcePause,
  'source resume': async () => (await import('./command/source.ts')).runSourceResume,
  'source begin': async () => (await import('./command/source.ts')).runSourceBegin,
  'source mended': async () => (await import('./command/source.ts')).runSourceMended,
  'host block': async () => (await import('./command/host.ts')).runHostBlock,
  'host unblock': async () => (await import('./command/host.ts')).runHostUnblock,
  'host limit': async () => (await import('./command/host.ts')).runHostLimit,
  'host list': async () => (await import('./command/host.ts')).runHostList,
  'repo takedown': async () => (await import('./command/repo.ts')).runRepoTakedown,
  'repo purge': async () => (await import('./command/repo.ts')).runRepoPurge,
  'repo allow': async () => (await import('./command/repo.ts')).runRepoAllow,
  'repo list': async () => (await import('./command/repo.ts')).runRepoList,
  'repo resync': async () => (await import('./command/repo-repair.ts')).runRepoResync,
  'repo reindex': async () => (await import('./command/repo-repair.ts')).runRepoReindex,
  'private show': async () => (await import('./command/private.ts')).runPrivateShow,
  'private erase': async () => (await import('./command/private.ts')).runPrivateErase,
  'record put': async () => (await import('./command/record.ts')).runRecordPut,
  'record delete': async () => (await import('./command/record.ts')).runRecordDelete,
  'record takedown': async () => (await import('./command/record.ts')).runRecordTakedown,
  'repo diff': async () => (await import('./command/repo-repair.ts')).runRepoDiff,
  'quarantine list': async () => (await import('./command/quarantine.ts')).runQuarantineList,
  'quarantine show': async () => (await import('./command/quarantine.ts')).runQuarantineShow,
  'quarantine retry': async () => (await import('./command/quarantine.ts')).runQuarantineRetry,
  'quarantine drop': async () => (await import('./command/quarantine.ts')).runQuarantineDrop,
  'repair slot': async () => (await import('./command/repair.ts')).runRepairSlot,
  'slot compact': async () => (await import('./command/slot-compact.ts')).runSlotCompact,
  'search status': async () => (await import('./command/search.ts')).runSearchStatus,
  'search rebuild': async () => (await import('./command/search.ts')).runSearchRebuild,
  'search verify': async () => (await import('./command/search.ts')).runSearchVerify,
  'log migrate': async () => (await import('./command/log-migrate.ts')).runLogMigrate,
  'backup create': async () => (await import('./command/backup.ts')).runBackupCreate,
  'backup list': async () => (await import('./command/backup.ts')).runBackupList,
  'backup verify': async () => (await import('./command/backup.ts')).runBackupVerify,
  restore: async () => (await import('./command/restore.ts')).runRestore,
  'import postgres': async () => (await import('./command/import.ts')).runImportPostgres,
  'suggestion list': async () => (await import('./command/suggestion.ts')).runSuggestionList,
  'suggestion add': async () => (await import('./command/suggestion.ts')).runSuggestionAdd,
  'suggestion remove': async () => (await import('./command/suggestion.ts')).runSuggestionRemove,
  'suggestion order': async () => (await import('./command/suggestion.ts')).runSuggestionOrder,
  'tag set': async () => (await import('./command/actor-facts.ts')).runTagSet,
  'age set': async () => (await import('./command/actor-facts.ts')).runAgeSet,
  'age clear': async () => (await import('./command/actor-facts.ts')).runAgeClear,
  'label add': async () => (await import('./command/label.ts')).runLabelAdd,
  'label remove': async () => (await import('./command/label.ts')).runLabelRemove,
  'label list': async () => (await import('./command/label.ts')).runLabelList,
  'verifier trust': async () => (await import('./command/actor-facts.ts')).runVerifierTrust,
  'verifier distrust': async () => (await import('./command/actor-facts.ts')).runVerifierDistrust,
  'map validate': async () => (await import('./command/map-validate.ts')).runMapValidate,
  'map show': async () => (await import('./command/map.ts')).runMapShow,
  'map diff': async () => (await import('./command/map.ts')).runMapDiff,
  'map push': async () => (await import('./command/map.ts')).runMapPush,
  'replica add': async () => (await import('./command/replica.ts')).runReplicaAdd,
  'replica remove': async () => (await import('./command/replica.ts')).runReplicaRemove,
  'replica verify': async () => (await import('./command/replica-verify.ts')).runReplicaVerify,
  'replica rebuild': async () => (await import('./command/replica-verify.ts')).runReplicaRebuild,
  'map log': async () => (await import('./command/map.ts')).runMapLog,
  'move start': async () => (await import('./command/move.ts')).runMove,
  'move status': async () => (await import('./command/move.ts')).runMoveStatus,
  'move pause': async () => (await import('./command/move.ts')).runMovePause,
  'move resume': async () => (await import('./command/move.ts')).runMoveResume,
  'move cancel': async () => (await import('./command/move.ts')).runMoveCancel,
  'move reverse': async () => (await import('./command/move.ts')).runMoveReverse,
  'move verify': async () => (await import('./command/move.ts')).runMoveVerify,
  'move drop': async () => (await import('./command/move.ts')).runMoveDrop,
  'move explain': async () => (await import('./command/move.ts')).runMoveExplain,
  'slots double': async () => (await import('./command/slots-double.ts')).runSlotsDouble,
  'slots status': async () => (await import('./command/slots-double.ts')).runSlotsStatus,
  drain: async () => (await import('./command/rebalance.ts')).runDrain,
  rebalance: async () => (await import('./command/rebalance.ts')).runRebalance,
  promote: async () => (await import('./command/promote.ts')).runPromote,
  config: async () => (await import('./command/config.ts')).runConfig,
};

async function run(words: readonly string[]): Promise<number> {
  const parsed = parseCommandLine(words);
  if (parsed.kind === 'text') {
    (parsed.isMisuse ? process.stderr : process.stdout).write(parsed.text);
    return parsed.isMisuse ? exitCode.misused : exitCode.done;
  }
  const { command, operands, flags } = parsed.line;
  const environment = processEnvironment();
  const resolved = resolveSettings(command, flags, environment);
  const runCommand = await loadByCommand[command]();
  const { logLevel, logFormat } = resolved.settings;
  const makeLog = logFormat === 'json' ? (await import('./json-log.ts')).createJsonLog : createTextLog;
  const ended = runCommand({
    settings: resolved.settings,
    resolved,
    operands,
    environment,
    clock: systemClock,
    log: makeLog(logLevel, systemClock, (line) => process.stderr.write(line)),
    print: (text) => process.stdout.write(text),
  });
  return ended.catch((thrown: unknown) => {
    throw withNextStep(thrown, command);
  });
}

/** Prints the error. Returns the exit code. */
function report(thrown: unknown): number {
  if (thrown instanceof DataPlaneError) {
    process.stderr.write(errorText(thrown));
    return exitCodeOf(thrown);
  }
  const stack = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  const kind = thrown instanceof InvariantError ? 'a broken invariant' : 'an unexpected error';
  process.stderr.write(`skyshard: ${kind} stops this process: ${stack}\n`);
  return exitCode.defect;
}

process.on('uncaughtException', (thrown) => endProcess(report(thrown)));
process.on('unhandledRejection', (thrown) => endProcess(report(thrown)));

// The exit is explicit: idle sockets and timers of a closed server must not keep the process.
// Not a top-level await, since the single executable runs this file as CommonJS.
void run(process.argv.slice(2)).catch(report).then(endProcess);
