/**
 * `npm run simulate -- --seed N --minutes M [--histories H] [--slots 1,2,16,64] [--steps S]`
 *
 * `--doublings D`: all slots are doubled so often in each history; `--loses`: they lose folders;
 * `--replicas`: they have replicas.
 */
import { parseArgs } from 'node:util';
import { simulate } from './simulation.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    minutes: { type: 'string', default: '10' },
    histories: { type: 'string' },
    slots: { type: 'string' },
    steps: { type: 'string', default: '120' },
    doublings: { type: 'string', default: '0' },
    loses: { type: 'boolean', default: false },
    replicas: { type: 'boolean', default: false },
  },
});

const result = await simulate({
  seed: Number(values.seed),
  durationMs: Number(values.minutes) * 60_000,
  histories: values.histories === undefined ? Number.MAX_SAFE_INTEGER : Number(values.histories),
  steps: Number(values.steps),
  doublings: Number(values.doublings),
  losesFolders: values.loses,
  hasReplicas: values.replicas,
  ...(values.slots === undefined ? {} : { slotCounts: values.slots.split(',').map(Number) }),
});
const { failure, ...counts } = result;
console.log(JSON.stringify(counts));
if (failure !== null) {
  console.log(`seed ${failure.seed} fails with ${failure.slots} slots:\n${failure.differences.join('\n')}`);
  process.exitCode = 1;
}
