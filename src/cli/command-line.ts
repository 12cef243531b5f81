/**
 * The command line: commands, operands and flags, read by commander from the table of settings.
 *
 * Refuses: unknown commands, flags and surplus operands, by name and with the nearest known one.
 */
import { Command as CommanderCommand, CommanderError, Option } from 'commander';
import packageJson from '../../package.json' with { type: 'json' };
import type { CommandName } from '../config/command-names.ts';
import {
  flagOf,
  type SettingName,
  type SettingRow,
  settingsOf,
  settingTable,
  variableOf,
} from '../config/setting-table.ts';
import type { GivenFlags } from '../config/settings.ts';

export const version: string = packageJson.version;

type CommandRow = { readonly operands?: readonly string[]; readonly summary: string };

const commandTable: Record<CommandName, CommandRow> = {
  up: { summary: 'start a whole cluster on this machine: ingest, the nodes of the map, a router' },
  node: { operands: ['<name>'], summary: 'start one node of the map' },
  router: { summary: 'start a router' },
  ingest: { summary: 'start ingest' },
  demo: { summary: 'start the simulated network alone' },
  status: { summary: 'show every node and slot: cursor, lag, entries waiting, bytes' },
  top: { summary: 'show rates, percentiles, errors and lag, again every two seconds' },
  'hist record': { summary: 'write what a running cluster records into a log of HdrHistograms' },
  'hist show': { operands: ['[files...]'], summary: 'show percentiles of logs, or of a running cluster' },
  'hist merge': { operands: ['<files...>'], summary: 'add the histograms of files and processes' },
  'hist diff': { operands: ['<before>', '<after>'], summary: 'compare the percentiles of two logs' },
  get: { operands: ['<at-uri|did>'], summary: 'show what is stored about a record or an account' },
  settle: { summary: 'wait until all that has come in is applied everywhere' },
  backfill: {
    operands: ['[did]'],
    summary: 'fetch one repo, or without a DID every repo of the sources that ingest follows',
  },
  why: {
    operands: ['<at-uri|did|handle>'],
    summary: 'say why an account or a record is not shown as its host has it, and what mends it',
  },
  'identity import': {
    operands: ['[file]'],
    summary: 'read identities from an export of the PLC directory (JSON lines), on the machine of ingest',
  },
  'identity refresh': { operands: ['<did>'], summary: 'look an identity up now, however fresh it is' },
  'source list': { summary: 'show where each source is: cursor, lag, problem' },
  'source pause': { operands: ['<source>'], summary: 'take nothing of a source until it is resumed' },
  'source resume': { operands: ['<source>'], summary: 'follow a paused source again, at its cursor' },
  'source begin': { operands: ['<source>'], summary: 'follow a source from another cursor, or from now' },
  'source mended': { operands: ['<source>'], summary: 'end the notice of events that a source no longer had' },
  'host block': { operands: ['<host>'], summary: 'take nothing of the accounts of a host, and send it no request' },
  'host unblock': { operands: ['<host>'], summary: 'end a block' },
  'host limit': { operands: ['<host>'], summary: 'limit what is taken of a host and asked of it' },
  'host list': { summary: 'show hosts with rules, then those that sent most, with counts' },
  'repo takedown': { operands: ['<did>'], summary: 'hide an account from readers; --undo shows it again' },
  'repo purge': {
    operands: ['<did>'],
    summary: 'remove all that is stored of a repo, and take nothing of it any more',
  },
  'repo allow': { operands: ['<did>'], summary: 'take what comes of a purged repo again, and fetch it' },
  'repo list': { summary: 'show the purged repos' },
  'repo resync': {
    operands: ['<did>'],
    summary: 'fetch a repo now, and make what is stored of it the same',
  },
  'repo reindex': { operands: ['<did>'], summary: 'put again what the stored records of a repo put elsewhere' },
  'private show': { operands: ['<did>'], summary: 'show what an actor keeps in private' },
  'private erase': { operands: ['<did>'], summary: 'erase one kind of it' },
  'record put': { operands: ['<at-uri>', '<file>'], summary: 'store a record, from its JSON, without its repo' },
  'record delete': { operands: ['<at-uri>'], summary: 'delete a stored record without its repo' },
  'record takedown': { operands: ['<at-uri>'], summary: 'hide a record from readers; --undo shows it again' },
  'repo diff': { operands: ['<did>'], summary: 'compare a repo with its host, record by record' },
  'quarantine list': { summary: 'show entries that could not be applied, suspended accounts, stopped slots' },
  'quarantine show': { operands: ['<slot/seq>'], summary: 'show one of them with its stack' },
  'quarantine retry': { operands: ['[slot/seq]'], summary: 'apply what is kept once more' },
  'quarantine drop': { operands: ['[slot/seq]'], summary: 'give up what is kept' },
  'repair slot': { operands: ['<slot>'], summary: 'fetch again what a slot has lost, and make it complete' },
  'slot compact': { operands: ['<slot>'], summary: 'copy the file of a slot into full pages, while it serves' },
  'search status': { summary: 'show what each node has indexed for search, and how far it is' },
  'search rebuild': { operands: ['[slot]'], summary: 'build the search index of a slot again, or of all with --all' },
  'search verify': { operands: ['[slot]'], summary: 'compare slots with their search index' },
  'log migrate': {
    operands: ['<server|folders>'],
    summary: 'carry the logs of stopped slots to the server of --log, or back',
  },
  'backup create': { operands: ['<folder>'], summary: 'copy the slots of a running cluster into a folder of backups' },
  'backup list': { operands: ['<folder>'], summary: 'show the backups of a folder' },
  'backup verify': { operands: ['<folder>'], summary: 'read through all that backups need' },
  restore: { operands: ['<folder>'], summary: 'put slots of a backup into the folders of nodes that do not run' },
  'import postgres': { summary: 'bring in the database of an official data plane' },
  'suggestion list': { summary: 'show what is suggested to everyone' },
  'suggestion add': { operands: ['<list>', '<subjects...>'], summary: 'add to follows, feeds or tagged' },
  'suggestion remove': { operands: ['<list>', '<subjects...>'], summary: 'remove from a list' },
  'suggestion order': { operands: ['<list>', '<subjects...>'], summary: 'put these first, in this order' },
  'tag set': { operands: ['<at-uri|did>', '[tags...]'], summary: 'replace the tags of a record or an actor' },
  'age set': { operands: ['<did>', '<status>'], summary: 'set what is known about the age of an actor' },
  'age clear': { operands: ['<did>'], summary: 'remove what is known about it' },
  'label add': { operands: ['<src>', '<did|at-uri>', '<val>'], summary: 'label something in the name of a labeler' },
  'label remove': { operands: ['<src>', '<did|at-uri>', '<val>'], summary: 'remove a label, as if it had never been' },
  'label list': { operands: ['<did|at-uri>'], summary: 'show all labels of an account or a record' },
  'verifier trust': { operands: ['<did>'], summary: 'show the verifications that an actor issues' },
  'verifier distrust': { operands: ['<did>'], summary: 'show them no more' },
  'map validate': { summary: 'check the shard map' },
  'map show': { summary: 'print the shard map in force, or with --json also who has which' },
  'map diff': { operands: ['<file>'], summary: 'show what a map would change of the one in force' },
  'map push': { operands: ['<file>'], summary: 'put a changed map in force everywhere, without a restart' },
  'map log': { summary: 'show who changed the map, when and why' },
  'replica add': { operands: ['<node>'], summary: 'make a node a replica, from copies of other nodes' },
  'replica remove': { operands: ['<node>'], summary: 'have a node be no replica any more' },
  'replica verify': { operands: ['[slot]'], summary: 'compare all copies of slots, as they are on disk' },
  'replica rebuild': { operands: ['<node>', '<slot>'], summary: 'have a replica begin a slot again from another copy' },
  'move start': { summary: 'move slots to another node while they serve, or go on with moves that are under way' },
  'move status': { summary: 'show the moves that are under way, and how far each is' },
  'move pause': { summary: 'copy nothing until the moves are resumed' },
  'move resume': { summary: 'go on with moves that are paused' },
  'move cancel': { summary: 'end moves that are not handed over; nothing of them stays' },
  'move reverse': { summary: 'give slots back that were handed over' },
  'move verify': { summary: 'compare the copies of slots that move, at one seq' },
  'move drop': { summary: 'remove the old copies of slots that were handed over' },
  'move explain': { operands: ['<slot>'], summary: 'say where a slot is, and which nodes could take it' },
  drain: { operands: ['<node>'], summary: 'move all slots of a node to others' },
  rebalance: { summary: 'move slots so that nodes have their share, with the fewest bytes moved' },
  'slots double': { summary: 'split every slot in two while it serves, or go on with that' },
  'slots status': { summary: 'show how many slots there are, and how far a doubling is' },
  promote: { operands: ['[node]'], summary: 'make replicas primaries, by one change of the shard map' },
  config: { summary: 'show every setting, its value and where it came from' },
};

/** By the first word of commands that have two. */
const groupSummaries: Readonly<Record<string, string>> = {
  hist: 'record, show, merge and compare latency histograms',
  identity: 'bring identities in bulk, or one again',
  map: 'work on the shard map',
  move: 'move slots between nodes; without a command it begins, or goes on',
  replica: 'add, remove, compare and renew copies of slots',
  log: 'work on the log',
  backup: 'make and check backups; `backup <folder>` makes one',
  source: 'decide about a source of ingest',
  host: 'decide about the hosts of accounts',
  repo: 'decide about one repo',
  private: 'answer privacy requests',
  record: 'decide about one record, without its repo',
  repair: 'bring back what was lost',
  quarantine: 'decide about entries that could not be applied',
  slot: 'look after the file of one slot',
  slots: 'have more slots',
  search: 'look after the search indexes of the nodes',
  import: 'bring in what another data plane has',
  suggestion: 'decide what is suggested to everyone',
  tag: 'tag records and actors',
  age: 'decide about the age assurance of an actor',
  label: 'label accounts and records',
  verifier: 'decide whose verifications count',
};

/** Commands that are meant where the second word is left out. */
const defaultCommands: ReadonlySet<CommandName> = new Set(['backup create', 'move start']);

export type CommandLine = {
  readonly command: CommandName;
  readonly operands: readonly string[];
  readonly flags: GivenFlags;
};

export type ParsedCommandLine =
  | { readonly kind: 'run'; readonly line: CommandLine }
  | { readonly kind: 'text'; readonly text: string; readonly isMisuse: boolean };

const argumentNameByKind = {
  integer: 'n',
  text: 'text',
  path: 'path',
  url: 'url',
  urls: 'url',
  names: 'name',
  choice: 'choice',
} as const;

function optionOf(name: SettingName): Option {
  const row: SettingRow = settingTable[name];
  if (row.kind === 'switch') return new Option(flagOf(name), row.help);
  const notes = [
    row.kind === 'integer' && row.unit !== 'port' ? row.unit : null,
    row.kind === 'choice' ? row.choices.join(', ') : null,
    row.default === null || (Array.isArray(row.default) && row.default.length === 0) ? null : `default ${row.default}`,
    variableOf(name),
  ];
  const help = `${row.help} (${notes.filter((note) => note !== null).join('; ')})`;
  const option = new Option(`${flagOf(name)} <${argumentNameByKind[row.kind]}>`, help);
  if (row.kind !== 'urls' && row.kind !== 'names') return option;
  return option.argParser((value: string, before: string[] | undefined) => [...(before ?? []), value]);
}

function addGroup(program: CommanderCommand, name: string): CommanderCommand {
  const group = program.command(name).description(groupSummaries[name] ?? '');
  return group.showHelpAfterError(`  \`skyshard ${name} --help\` lists its commands.`);
}

function addCommand(program: CommanderCommand, name: CommandName, onRun: (line: CommandLine) => void): void {
  const words = name.split(' ');
  const parent =
    words.length === 1
      ? program
      : (program.commands.find((known) => known.name() === words[0]) ?? addGroup(program, words[0]!));
  const row = commandTable[name];
  const isDefault = defaultCommands.has(name);
  const command = parent.command(words.at(-1)!, { isDefault }).description(row.summary).allowExcessArguments(false);
  command.showHelpAfterError(`  \`skyshard ${name} --help\` shows what it takes.`);
  for (const operand of row.operands ?? []) command.argument(operand);
  for (const setting of settingsOf(name)) command.addOption(optionOf(setting));
  command.action(() => onRun({ command: name, operands: command.args, flags: command.opts<GivenFlags>() }));
}

/** Leaves out the value of a flag that is misspelt: it may be a secret. */
function withoutValue(problem: string): string {
  return problem.replace(/^(error: unknown option '[^'=]*)=[\s\S]*?'(?=\n|$)/, "$1'");
}

/** Reads a command line; `words` are the words after the program's name. */
export function parseCommandLine(words: readonly string[]): ParsedCommandLine {
  let text = '';
  let line: CommandLine | null = null;
  const keep = (chunk: string): void => {
    text += chunk;
  };
  const program = new CommanderCommand('skyshard')
    .description('Sharded data plane for an AT Protocol AppView.')
    .version(version)
    .exitOverride()
    .configureOutput({ writeOut: keep, writeErr: keep, outputError: (problem, write) => write(withoutValue(problem)) })
    .showSuggestionAfterError()
    .showHelpAfterError('  `skyshard --help` lists the commands.');
  for (const name of Object.keys(commandTable) as CommandName[]) {
    addCommand(program, name, (found) => {
      line = found;
    });
  }
  try {
    program.parse([...words], { from: 'user' });
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown;
    return { kind: 'text', text, isMisuse: thrown.exitCode !== 0 };
  }
  return line === null ? { kind: 'text', text: program.helpInformation(), isMisuse: true } : { kind: 'run', line };
}
