/** `skyshard up`: a whole cluster on this machine, supervised, until Ctrl-C. */
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { readBsyncAccess, readClientToken } from '../access-files.ts';
import { adminRequest } from '../admin-request.ts';
import type { Command, CommandContext } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { Cluster } from '../process/cluster.ts';
import { lockFolder } from '../process/process-lock.ts';
import type { RunFile } from '../process/run-file.ts';
import { lineOfChild } from '../process-log.ts';
import { textTable } from '../text-table.ts';
import { curlExamples } from './curl-examples.ts';

/** How long the examples wait for the demo's records to be applied. */
const demoSettleMsMax = 120_000;

function listeningText(run: RunFile): string {
  const rows = [
    ['router', run.router.url, 'the page, gRPC over HTTP/1.1, Connect, /v1/status, /metrics', run.router.pid],
    ['router', run.router.http2Url, 'gRPC over HTTP/2', run.router.pid],
    ['ingest', run.ingest.url, '/v1/status, /metrics', run.ingest.pid],
    ...Object.entries(run.nodes).map(([name, node]) => [name, node.url, '/v1/status, /metrics', node.pid]),
    ...(run.demo === null
      ? []
      : [['demo', run.demo.url, 'simulated PDS, PLC directory, handle resolver', run.demo.pid]]),
  ];
  return textTable(['process', 'address', 'serves', 'pid'], rows);
}

/** Waits until the demo's records are applied, then prints requests about them. */
async function printExamples({ settings, clock, print, log }: CommandContext, run: RunFile): Promise<void> {
  try {
    const token = readClientToken(settings);
    const startedMs = clock.monotonicMs();
    const body = { timeoutMs: demoSettleMsMax };
    await adminRequest({ url: run.router.url, path: '/v1/settle', body, token, timeoutMs: demoSettleMsMax + 5_000 });
    log('debug', 'the records of the simulated network are applied', {
      afterMs: Math.round(clock.monotonicMs() - startedMs),
    });
    print(`\nTry:\n${(await curlExamples(run)).map((line) => `  ${line}\n`).join('')}\nCtrl-C stops everything.\n`);
  } catch (thrown) {
    if (!(thrown instanceof DataPlaneError)) throw thrown;
    // The cluster serves without examples too.
    log('warn', `no examples: ${thrown.message}`, { code: thrown.code });
  }
}

/** Under npm, which forwards the Ctrl-C that the terminal also sends, one this soon is the same. */
const sameSignalMs = 200;

/** The first signal stops, the second kills. */
function stopSignals(
  { clock, environment }: CommandContext,
  onForced: () => void,
): { requested: Promise<string>; isRequested: () => boolean } {
  const sameMs = environment['npm_lifecycle_event'] === undefined ? -1 : sameSignalMs;
  let firstMs: number | null = null;
  let resolveRequested: (signal: string) => void;
  const requested = new Promise<string>((resolve) => {
    resolveRequested = resolve;
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (firstMs === null) {
        firstMs = clock.monotonicMs();
        resolveRequested(signal);
      } else if (clock.monotonicMs() - firstMs > sameMs) onForced();
    });
  }
  return { requested, isRequested: () => firstMs !== null };
}

function checkSources(context: CommandContext): void {
  const { demo, relay, pds } = context.settings;
  if (demo && relay.length + pds.length > 0) {
    throw new DataPlaneError('ConfigInvalid', '--demo: follows its own network; leave out --relay and --pds');
  }
  // Ingest reads it too; what is wrong with it is said before anything starts.
  readBsyncAccess(context.settings);
  if (!demo && relay.length + pds.length === 0) {
    context.log('warn', 'nothing is followed: give --relay, --pds or --demo');
  }
}

export const runUp: Command = async (context) => {
  const { settings, clock, log, print } = context;
  checkSources(context);
  // No wait for the lock: a second `up` fails at once.
  const lock = await lockFolder(settings.dataDir, 'up', clock, 0);
  const cluster = new Cluster(context, (name, line) =>
    process.stderr.write(`${lineOfChild(name, line, settings.logFormat, clock)}\n`),
  );
  const signals = stopSignals(context, () => {
    cluster.kill();
    lock.release();
    process.exit(exitCode.forced);
  });
  try {
    const run = await Promise.race([cluster.start(), signals.requested]);
    if (typeof run === 'string') return exitCode.done;
    print(`${listeningText(run)}\nskyshard is up: router ${run.router.url}\n`);
    if (settings.demo) await Promise.race([printExamples(context, run), signals.requested]);
    log('info', 'stopping; again to force', { because: await signals.requested });
    return exitCode.done;
  } finally {
    await cluster[Symbol.asyncDispose]();
    lock.release();
    if (signals.isRequested()) print('skyshard has stopped\n');
  }
};
