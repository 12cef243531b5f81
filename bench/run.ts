/**
 * The bench runner: `npm run bench -- <name> [--quick] [--json] [--seed N] [--record] [-- <args>]`.
 *
 * A bench is a file `bench/<name>.ts` that exports `question` (one line) and `run(options)`. The
 * runner prints machine and seed before, data size and figures after. With --json the last line is
 * one JSON object; --record adds it to RESULTS.md.
 */
import { appendFileSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '../src/base/clock.ts';
import { type BenchOptions, type BenchResult, describeMachine, type Figures } from './report.ts';

type Bench = { readonly question: string; readonly run: (options: BenchOptions) => Promise<BenchResult> };

const folder = import.meta.dirname;

/** Lists the files that declare themselves benches, without loading them. */
function benchNames(): string[] {
  const isBench = (file: string): boolean =>
    file.endsWith('.ts') && /^export const question\b/m.test(readFileSync(join(folder, file), 'utf8'));
  return readdirSync(folder)
    .filter(isBench)
    .map((file) => file.slice(0, -3))
    .sort();
}

async function loadBench(name: string): Promise<Bench> {
  const bench: Partial<Bench> = await import(join(folder, `${name}.ts`));
  if (typeof bench.run !== 'function' || typeof bench.question !== 'string') {
    throw new Error(`bench/${name}.ts must export question and run(options)`);
  }
  return bench as Bench;
}

function* figureLines(figures: Figures, path = ''): Generator<string> {
  for (const [name, figure] of Object.entries(figures)) {
    if (typeof figure === 'object' && figure !== null) yield* figureLines(figure, `${path}${name}.`);
    else yield `  ${(path + name).padEnd(48)} ${figure}`;
  }
}

/** Rounds to four significant digits and at most three decimals, so that figures read well. */
function rounded(figures: Figures): Figures {
  const roundOne = (figure: Figures[string]): Figures[string] => {
    if (typeof figure === 'number')
      return Number.isInteger(figure) ? figure : Number(figure.toFixed(figure >= 1000 ? 0 : 3));
    return typeof figure === 'object' && figure !== null ? rounded(figure) : figure;
  };
  return Object.fromEntries(Object.entries(figures).map(([name, figure]) => [name, roundOne(figure)]));
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      record: { type: 'boolean', default: false },
      seed: { type: 'string', default: '1' },
    },
  });
  const [name, ...args] = positionals;
  const names = benchNames();
  if (name === undefined || !names.includes(name)) {
    console.error(
      `usage: npm run bench -- <name> [--quick] [--json] [--seed N] [--record]\nbenches: ${names.join(', ')}`,
    );
    return 2;
  }
  const seed = Number(values.seed);
  if (!Number.isSafeInteger(seed) || seed < 0) throw new Error('--seed must be a whole number from 0');
  const bench = await loadBench(name);
  const machine = describeMachine();
  console.log(`bench ${name}: ${bench.question}`);
  console.log(
    `machine: ${machine.cpu}, ${machine.cores} cores, ${machine.memory_gib} GiB, Node ${machine.node}, lmdb ${machine.lmdb}`,
  );
  console.log(`seed: ${seed}${values.quick ? ', quick' : ''}`);
  const startMs = systemClock.monotonicMs();
  const print = (line: string): void => console.log(line);
  const result = await bench.run({ quick: values.quick, seed, budgetS: values.quick ? 30 : 600, args, print });
  const figures = rounded(result.figures);
  console.log(`data size: ${result.dataSize}`);
  for (const line of figureLines(figures)) console.log(line);
  const elapsedS = Math.round((systemClock.monotonicMs() - startMs) / 100) / 10;
  const summary = {
    bench: name,
    quick: values.quick,
    seed,
    data_size: result.dataSize,
    machine,
    elapsed_s: elapsedS,
    ...figures,
  };
  if (values.record) {
    const day = new Date(systemClock.nowMs()).toISOString().slice(0, 10);
    const body = JSON.stringify(summary, null, 2);
    appendFileSync(
      join(folder, 'RESULTS.md'),
      `\n## ${name}, ${day}\n\n${bench.question}\n\n\`\`\`json\n${body}\n\`\`\`\n`,
    );
  }
  if (values.json) console.log(JSON.stringify(summary));
  return 0;
}

// Exit handlers end the children, which a signal alone would skip.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
process.exitCode = await main();
