/**
 * Prepares the packages, then runs the conformance tests.
 *
 *     node run.ts [--plane skyshard|official] [--json-file report.json] [--seeds 10]
 *         [--first-seed 1] [--shrink-seconds 60] [--serve-threads 3] [--log nats] [--mutants]
 *         [--topics pattern] [test file] [-t pattern]
 *
 * `--plane official` tests the official data plane instead of ours, which checks the tests.
 * `--seeds` is the number of random histories, `--serve-threads` that of our node's threads; with
 * `--log nats` our plane has its log on a NATS server that the tests start.
 * `--mutants` plants errors instead, those whose topics match, each of which must be noticed within
 * so many.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { reporters } from '../support/outside-errors.ts';
import { stripSource } from '../support/stripped-source.ts';
import { prepare } from './prepare.ts';
import { runCommand } from './run-command.ts';

const typesDeadlineMs = 120_000;
const testDeadlineMs = 120_000;
const setupDeadlineMs = 600_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    plane: { type: 'string', default: 'skyshard' },
    'json-file': { type: 'string' },
    mutants: { type: 'boolean', default: false },
    seeds: { type: 'string', default: '10' },
    'first-seed': { type: 'string', default: '1' },
    'serve-threads': { type: 'string', default: '1' },
    log: { type: 'string', default: 'folders' },
    'shrink-seconds': { type: 'string', default: '60' },
    topics: { type: 'string', default: '' },
    testNamePattern: { type: 'string', short: 't' },
  },
});
const planeName = values.plane;
if (planeName !== 'skyshard' && planeName !== 'official') throw new Error(`there is no plane ${planeName}`);

const histories = {
  firstSeed: wholeNumber(values['first-seed']),
  seedCount: wholeNumber(values.seeds),
  shrinkTimeMsMax: 1000 * wholeNumber(values['shrink-seconds']),
  topics: values.topics,
};
const serveThreads = wholeNumber(values['serve-threads']);
const logHome = values.log;
if (logHome !== 'folders' && logHome !== 'nats') throw new Error(`there is no log ${logHome}`);
const jsonFile = values['json-file'];

await prepare();
await runCommand(join(import.meta.dirname, '..', '..', 'node_modules', '.bin', 'tsc'), ['-p', '.'], {
  cwd: import.meta.dirname,
  deadlineMs: typesDeadlineMs,
});
// Imported late, as vitest has just been installed.
const { startVitest } = await import('vitest/node');
const vitest = await startVitest('test', positionals, {
  root: import.meta.dirname,
  config: false,
  watch: false,
  include: [values.mutants ? 'mutants.lane.ts' : '*.test.ts'],
  globalSetup: ['./global-setup.ts'],
  provide: { planeName, serveThreads, logHome, histories } as never,
  // Each file starts a network of its own, most of whose work is done in one process.
  maxWorkers: 2,
  pool: 'forks',
  // For the processes of the plane under test.
  env: { NODE_OPTIONS: stripSource().join(' ') },
  testTimeout: testDeadlineMs,
  hookTimeout: setupDeadlineMs,
  teardownTimeout: testDeadlineMs,
  // `npm test` of the whole project adds up the counts of this report.
  ...(jsonFile === undefined ? {} : { reporters: reporters(), outputFile: { json: jsonFile } }),
  ...(values.testNamePattern === undefined ? {} : { testNamePattern: values.testNamePattern }),
});
const failed = vitest.state.getCountOfFailedTests() > 0 || vitest.state.getUnhandledErrors().length > 0;
await vitest.close();
process.exit(failed || (process.exitCode !== undefined && process.exitCode !== 0) ? 1 : 0);

function wholeNumber(text: string): number {
  if (!/^[0-9]{1,6}$/.test(text)) throw new Error(`${text} is no whole number`);
  return Number(text);
}
