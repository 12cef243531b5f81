/**
 * `npm run faults -- [--rounds 100] [--seed 1] [--only name]… [--no-boxes] [--json]`
 *
 * `--hold-ms 3000` is how long a fault holds, `--pause-ms 30000` how long a process stands still.
 * Kills, stops, cuts off and fills up what a cluster of real processes is made of, under load. The
 * exit code is 1 if anything was wrong, lost or doubled.
 */
import { parseArgs } from 'node:util';
import { stripSource } from '../support/stripped-source.ts';
import { runLane } from './fault-lane.ts';
import { isGood, reportText, summariesOf } from './lane-report.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '100' },
    seed: { type: 'string', default: '1' },
    'hold-ms': { type: 'string', default: '3000' },
    'pause-ms': { type: 'string', default: '30000' },
    only: { type: 'string', multiple: true },
    'no-boxes': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});

// Of the time that a process takes to start, half would be the stripping of types.
process.env['NODE_OPTIONS'] = stripSource().join(' ');

let isStopped = false;
process.once('SIGINT', () => {
  isStopped = true;
  console.error('the lane ends after this round');
});
const result = await runLane({
  seed: Number(values.seed),
  rounds: Number(values.rounds),
  holdMs: Number(values['hold-ms']),
  pauseMs: Number(values['pause-ms']),
  ...(values.only === undefined ? {} : { only: values.only }),
  ...(values['no-boxes'] ? { hasBoxes: false } : {}),
  print: (line) => console.error(line),
  isStopped: () => isStopped,
});
console.log(values.json ? JSON.stringify({ ...result, summaries: summariesOf(result) }, null, 2) : reportText(result));
process.exitCode = isGood(result) ? 0 : 1;
