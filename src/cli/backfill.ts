/** `skyshard backfill`: asks ingest to fetch one repo, or every repo of its sources, and shows how far it is. */
import { DataPlaneError } from '../base/data-plane-error.ts';
import { type BackfillProgress, ProgressPrinter } from '../ingest/backfill-progress.ts';
import { readAskerToken } from './access-files.ts';
import { type AdminRequest, adminRequest } from './admin-request.ts';
import type { Command } from './command.ts';
import { exitCode } from './exit-code.ts';
import { urlOf } from './run-file.ts';

const askTimeoutMs = 30_000;
const progressEveryMs = 1_000;

function isOver(progress: BackfillProgress): boolean {
  return !progress.isListing && progress.reposQueued === 0 && progress.reposRunning === 0;
}

/** Shows progress until nothing waits. The work is ingest's: ending this command does not end it. */
export const runBackfill: Command = async ({ settings, operands, print, clock }) => {
  const [did] = operands;
  const request: Omit<AdminRequest, 'body'> = {
    url: urlOf('ingest', settings.ingestUrl, settings.dataDir),
    path: '/v1/backfill',
    token: readAskerToken(settings),
    timeoutMs: askTimeoutMs,
  };
  const body = did === undefined ? {} : { did };
  let progress = (await adminRequest({ ...request, body })) as BackfillProgress;
  const printer = new ProgressPrinter({
    write: print,
    isTTY: process.stdout.isTTY && !settings.json,
    columns: process.stdout.columns,
  });
  printer.show(progress);
  while (!isOver(progress)) {
    await clock.sleep(progressEveryMs);
    progress = (await adminRequest(request)) as BackfillProgress;
    printer.show(progress);
  }
  printer.end();
  if (progress.reposFailed > 0) {
    throw new DataPlaneError(
      'Unavailable',
      `${progress.reposFailed} repos could not be fetched; ask again to try them again`,
    );
  }
  return exitCode.done;
};
