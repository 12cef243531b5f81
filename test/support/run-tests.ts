/**
 * `npm test`: all checks in one run.
 *
 *     node test/support/run-tests.ts [--skip-conformance] [name of a step]...
 *
 * Installs the servers that tests need, then runs types, lint, the tests of this package, a minute
 * of fuzzing, and the conformance tests, a separate package. Steps that need one core run two at
 * once. A failed step does not stop the ones after it. The last lines name what failed, and count:
 * `N passed, N failed`.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, relative } from 'node:path';
import { bundleSource } from './bundled-source.ts';
import { outsideErrorsFileVariable } from './outside-errors.ts';
import { installRequiredServers } from './required-servers.ts';

const root = join(import.meta.dirname, '..', '..');
const conformanceFolder = join(root, 'test', 'conformance');
const binFolder = join(root, 'node_modules', '.bin');

/** `failures` has what failed, each by name and with its message. */
type Outcome = { passed: number; failed: number; failures: string[] };
type Step = {
  readonly name: string;
  readonly minutesMax: number;
  readonly words: (report: string) => string[];
  readonly cwd?: string;
  /** True for one that runs beside the one before it. */
  readonly isBeside?: boolean;
};

const steps: readonly Step[] = [
  { name: 'types', minutesMax: 5, words: () => ['tsc', '-p', 'tsconfig.json'] },
  { name: 'types-page', minutesMax: 5, words: () => ['tsc', '-p', join('src', 'dashboard', 'page')] },
  { name: 'types-browser', minutesMax: 5, words: () => ['tsc', '-p', join('test', 'browser')] },
  { name: 'lint', minutesMax: 5, words: () => ['biome', 'check', '--diagnostic-level=error', '.'] },
  {
    name: 'tests',
    minutesMax: 45,
    words: (report) => ['vitest', 'run', `--outputFile.json=${report}`],
  },
  { name: 'fuzz', minutesMax: 8, words: () => ['node', join('test', 'fuzz', 'run.ts'), '--seconds=60', '--seed=1'] },
  {
    name: 'conformance-install',
    minutesMax: 25,
    words: () => ['node', 'prepare.ts'],
    cwd: conformanceFolder,
    isBeside: true,
  },
  {
    name: 'conformance',
    minutesMax: 40,
    words: (report) => ['node', 'run.ts', `--json-file=${report}`],
    cwd: conformanceFolder,
  },
  {
    name: 'conformance-threads',
    minutesMax: 20,
    words: (report) => ['node', 'run.ts', '--serve-threads=3', '--seeds=3', `--json-file=${report}`, 'random.test.ts'],
    cwd: conformanceFolder,
  },
  {
    name: 'conformance-nats',
    minutesMax: 20,
    words: (report) => [
      'node',
      'run.ts',
      '--log=nats',
      '--serve-threads=3',
      '--first-seed=3',
      '--seeds=2',
      `--json-file=${report}`,
      'random.test.ts',
    ],
    cwd: conformanceFolder,
    isBeside: true,
  },
];

/** The part of vitest's JSON report that we count. */
type VitestReport = {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly fullName: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
};

const messageCharsMax = 1_500;

function failureText(file: string, test: string, message: string): string {
  return `${relative(root, file)} ${test}\n${message.slice(0, messageCharsMax)}`;
}

/** A file that fails before its first test, or by a hook, counts as one failed test. */
function countReport(path: string): Outcome | null {
  let report: VitestReport;
  try {
    report = JSON.parse(readFileSync(path, 'utf8')) as VitestReport;
  } catch {
    return null;
  }
  const broken = report.testResults.filter(
    ({ status, assertionResults }) => status === 'failed' && assertionResults.every((test) => test.status !== 'failed'),
  );
  const failures = report.testResults.flatMap(({ name, assertionResults }) =>
    assertionResults
      .filter(({ status }) => status === 'failed')
      .map(({ fullName, failureMessages }) => failureText(name, fullName, failureMessages.join('\n'))),
  );
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + broken.length,
    failures: [...failures, ...broken.map(({ name, message }) => failureText(name, '', message))],
  };
}

/** Returns the errors of hooks, and those that nothing caught, as the reporter wrote them. */
function outsideErrors(path: string): string[] {
  if (!existsSync(path)) return [];
  return (JSON.parse(readFileSync(path, 'utf8')) as string[]).map((text) => text.slice(0, messageCharsMax));
}

async function runStep({ name, words, cwd, minutesMax }: Step, folder: string): Promise<Outcome> {
  const report = join(folder, `${name}.json`);
  const outsideFile = join(folder, `${name}-outside-errors.json`);
  const [program, ...rest] = words(report);
  const startedMs = performance.now();
  console.log(`\n== ${name}`);
  const child = spawn(program!, rest, {
    cwd: cwd ?? root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: {
      ...process.env,
      PATH: `${binFolder}${delimiter}${process.env['PATH'] ?? ''}`,
      [outsideErrorsFileVariable]: outsideFile,
    },
    timeout: minutesMax * 60_000,
  });
  const status = await new Promise<number | null>((resolve) => {
    child.once('close', resolve).once('error', () => resolve(null));
  });
  const late = child.killed ? ` (ended after ${minutesMax} minutes)` : '';
  const outcome = countReport(report) ?? { passed: status === 0 ? 1 : 0, failed: 0, failures: [] };
  // A run may also fail without a failed test: by an unhandled error or a time-out.
  if (status !== 0 && outcome.failed === 0) {
    outcome.failed = 1;
    outcome.failures.push(`ended with status ${status}`);
  }
  outcome.failures.push(...outsideErrors(outsideFile));
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(0);
  console.log(`== ${name}: ${outcome.passed} passed, ${outcome.failed} failed, ${seconds} s${late}`);
  return outcome;
}

/** Returns the steps that run at once, in their order. */
function turnsOf(chosen: readonly Step[]): Step[][] {
  const turns: Step[][] = [];
  for (const step of chosen) {
    if (step.isBeside === true && turns.length > 0) turns.at(-1)!.push(step);
    else turns.push([step]);
  }
  return turns;
}

async function main(words: readonly string[]): Promise<number> {
  const asked = words.filter((word) => !word.startsWith('--'));
  const chosen = steps.filter(({ name }) =>
    asked.length > 0 ? asked.includes(name) : !(name.startsWith('conformance') && words.includes('--skip-conformance')),
  );
  const command = installRequiredServers();
  if (command !== null) {
    console.error(`tests need servers that are not installed; run this once:\n\n  ${command}\n`);
    return 2;
  }
  const folder = mkdtempSync(join(tmpdir(), 'skyshard-tests-'));
  const total: Outcome = { passed: 0, failed: 0, failures: [] };
  try {
    await bundleSource();
    for (const together of turnsOf(chosen)) {
      for (const { step, outcome } of await Promise.all(
        together.map(async (step) => ({ step, outcome: await runStep(step, folder) })),
      )) {
        total.passed += outcome.passed;
        total.failed += outcome.failed;
        total.failures.push(...outcome.failures.map((failure) => `${step.name}: ${failure}`));
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  for (const failure of total.failures) console.log(`\nFAILED ${failure}`);
  console.log(`\n${total.passed} passed, ${total.failed} failed`);
  return total.failed === 0 && total.passed > 0 ? 0 : 1;
}

process.exit(await main(process.argv.slice(2)));
