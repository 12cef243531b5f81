/**
 * Generates a seeded data set into a file for the benches: `node bench/generate.ts --out <file>
 * --kind frames|entries --records N [--actors N] [--seed 1] [--days 90]`.
 */
import { parseArgs } from 'node:util';
import { systemClock } from '../src/base/clock.ts';
import { type DataSetKind, writeDataSet } from './data-set-file.ts';

const { values } = parseArgs({
  options: {
    out: { type: 'string' },
    kind: { type: 'string', default: 'frames' },
    records: { type: 'string', default: '100000' },
    actors: { type: 'string' },
    seed: { type: 'string', default: '1' },
    days: { type: 'string', default: '90' },
  },
});

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`--${name} must be a whole number from 1`);
  return value;
}

function kindOf(text: string): DataSetKind {
  if (text !== 'frames' && text !== 'entries') throw new Error('--kind must be frames or entries');
  return text;
}

if (values.out === undefined) throw new Error('--out names the file to write');
const startedMs = systemClock.monotonicMs();
const written = writeDataSet(values.out, kindOf(values.kind), {
  seed: wholeNumber('seed', values.seed),
  records: wholeNumber('records', values.records),
  spanMs: wholeNumber('days', values.days) * 86_400_000,
  ...(values.actors === undefined ? {} : { actors: wholeNumber('actors', values.actors) }),
});
const tookS = (systemClock.monotonicMs() - startedMs) / 1000;
console.log(
  `${values.out}: ${written.truth.records} records in ${written.items} items, ${written.bytes} bytes, ` +
    `${Math.round(written.truth.records / tookS)} records/s`,
);
