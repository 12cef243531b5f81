/** Rows of the table of settings: of commands that move, back up and restore slots. */
import { moveStepCommands, movingCommands } from './command-names.ts';

export const slotSettings = {
  slots: {
    kind: 'names',
    default: [],
    commands: ['backup create', 'restore', 'move start', ...moveStepCommands, 'move verify'],
    help: 'slots that are meant, such as 0-3,7 (absent = all, but for `move`)',
  },
  node: {
    kind: 'names',
    default: [],
    commands: ['backup create', 'restore'],
    help: 'node whose slots are meant, or for `restore` the word `ingest`; may be repeated (absent = all)',
  },
  to: { kind: 'text', default: null, commands: ['move start'], help: 'node that slots move to' },
  from: {
    kind: 'text',
    default: null,
    commands: ['move start'],
    help: 'node whose copies of them move; absent = their primaries',
  },
  plan: {
    kind: 'path',
    default: null,
    commands: ['move start'],
    help: 'file with a plan of moves, as `rebalance` or `drain` prints it by --dry-run --json; for the epoch that it names',
  },
  throttle: {
    kind: 'integer',
    default: null,
    unit: 'bytes/s',
    min: 1_024,
    max: 2 ** 40,
    commands: ['backup create', ...movingCommands],
    help: 'how fast copies are fetched, for moves by each target; absent = as fast as it goes',
  },
  throttleP99Ms: {
    kind: 'integer',
    default: null,
    unit: 'ms',
    min: 1,
    max: 60_000,
    commands: [...movingCommands],
    help: 'copies are fetched more slowly while reads at their source take longer at the 99th percentile; absent = they are not looked at',
  },
  keep: {
    kind: 'integer',
    default: null,
    unit: 'backups',
    min: 1,
    max: 100_000,
    commands: ['backup create'],
    help: 'how many backups stay in the folder, the last ones; absent = all',
  },
  backup: {
    kind: 'text',
    default: null,
    commands: ['backup verify', 'restore'],
    help: 'id of the backup that is meant, as `backup list` shows it; absent = the last to restore, all to verify',
  },
  allRestored: {
    kind: 'switch',
    default: false,
    commands: ['restore'],
    help: 'all other slots are restored from the same backup too, on other machines; without it, --node and --slots restore into a cluster that went on',
  },
} as const;
