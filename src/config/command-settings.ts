/** Rows of the table of settings: whom commands ask, and what single ones take. */
import { ingestCommands, operatorCommands, quarantineCommands, quarantineDecisions } from './command-names.ts';

const webSchemes = ['http:', 'https:'];

export const commandSettings = {
  routerUrl: {
    kind: 'url',
    default: null,
    schemes: webSchemes,
    commands: ['status', 'get', 'settle', 'repo takedown', 'repo purge', ...quarantineCommands, ...operatorCommands],
    help: 'router to ask; absent = the one that run.json in the data folder names',
  },
  ingestUrl: {
    kind: 'url',
    default: null,
    schemes: webSchemes,
    commands: ['router', ...ingestCommands],
    help: 'ingest to ask; absent = the one that run.json in the data folder names (a router then asks none)',
  },
  eventsPerSecond: {
    kind: 'integer',
    default: null,
    unit: 'events/s',
    min: 0,
    max: 1_000_000,
    commands: ['host limit'],
    help: 'most commits taken of the accounts of a host; the repos of the others are fetched; 0 = no limit',
  },
  requestsPerSecond: {
    kind: 'integer',
    default: null,
    unit: 'requests/s',
    min: 0,
    max: 1_000_000,
    commands: ['host limit'],
    help: 'most requests for repos sent to a host; 0 = that of all hosts',
  },
  undo: { kind: 'switch', default: false, commands: ['repo takedown'], help: 'end the takedown' },
  stop: {
    kind: 'switch',
    default: false,
    commands: ['identity import'],
    help: 'end the import that runs, for good; what it brought stays',
  },
  did: {
    kind: 'text',
    default: null,
    commands: quarantineDecisions,
    help: 'take all that is kept of this account',
  },
  slot: {
    kind: 'integer',
    default: null,
    unit: 'slot',
    min: 0,
    max: 65_535,
    commands: quarantineDecisions,
    help: 'take all that this slot keeps',
  },
  all: { kind: 'switch', default: false, commands: quarantineDecisions, help: 'take all that is kept' },
  again: {
    kind: 'switch',
    default: false,
    commands: ['backfill'],
    help: 'also fetch repos that have been fetched already',
  },
  tag: {
    kind: 'text',
    default: null,
    commands: ['suggestion add', 'suggestion remove', 'suggestion order'],
    help: 'the tag of the suggestions; needed in the list `tagged` and only there',
  },
  order: {
    kind: 'integer',
    default: null,
    unit: 'position',
    min: 0,
    max: 2 ** 32 - 1,
    commands: ['suggestion add'],
    help: 'where the first of them comes in its list; absent = at the end',
  },
  access: {
    kind: 'text',
    default: null,
    commands: ['age set'],
    help: 'what the actor may access, such as safe or full; absent = as before, else as the status says',
  },
  dryRun: {
    kind: 'switch',
    default: false,
    commands: [
      'repo purge',
      ...quarantineDecisions,
      'repair slot',
      'suggestion remove',
      'tag set',
      'age clear',
      'verifier trust',
      'verifier distrust',
    ],
    help: 'show what would be done, and do nothing',
  },
} as const;
