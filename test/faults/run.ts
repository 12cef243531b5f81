/**
 * `npm run faults -- [--rounds 100] [--seed 1] [--only name]… [--doubling] [--no-boxes] [--json]`
 *
 * `--hold-ms 3000` is how long a fault holds, `--pause-ms 30000` how long a process stands still.
 * Kills, stops, cuts off and fills up what a cluster of real processes is made of, under load;
 * `--doubling` does so while slots are doubled. The exit code is 1 if anything was wrong, lost or
 * doubled.
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
    doubling: { type: 'boolean', default: false },
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
/** Each leaves twice as many slots, so after these the next cluster begins. */
const doublingsMax = 5;
const rounds = Number(values.rounds);
const roundsOfLane = values.doubling ? doublingsMax : rounds;
for (let done = 0; done < rounds && !isStopped && process.exitCode !== 1; done += roundsOfLane) {
  const result = await runLane({
    seed: Number(values.seed) + done,
    rounds: Math.min(roundsOfLane, rounds - done),
    areDoubled: values.doubling,
    holdMs: Number(values['hold-ms']),
    pauseMs: Number(values['pause-ms']),
    ...(values.only === undefined ? {} : { only: values.only }),
    ...(values['no-boxes'] ? { hasBoxes: false } : {}),
    print: (line) => console.error(line),
    isStopped: () => isStopped,
  });
  const summaries = summariesOf(result);
  console.log(values.json ? JSON.stringify({ ...result, summaries }, null, 2) : reportText(result));
  process.exitCode = isGood(result) ? 0 : 1;
}
