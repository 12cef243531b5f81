/** `skyshard backfill`: has ingest fetch one repo, or all of its sources, and shows progress. */
import { DataPlaneError } from '../../base/data-plane-error.ts';
import type { RepoStatus, WaitingRepo } from '../../ingest/backfill.ts';
import type { BackfillProgress } from '../../ingest/backfill-progress.ts';
import type { Command, CommandContext } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { askIngest } from '../process/ask-process.ts';
import { ProgressPrinter } from '../progress-printer.ts';
import { didOf } from './repo.ts';

const backfillPath = '/v1/backfill';
const progressEveryMs = 1_000;
const repoEveryMs = 200;

const retryHint = 'None needed: ingest tries again what waits. `skyshard backfill <did>` tries one repo at once.';

function timeText(dueSec: number): string {
  return new Date(dueSec * 1000).toISOString().replace('.000Z', 'Z');
}

function whyText(failure: RepoStatus['lastFailure']): string {
  return failure === null ? 'the reason is not known any more' : `${failure.reason}: ${failure.message}`;
}

/** Has ingest fetch one repo, up to its first outcome. Errors: DataPlaneError with the reason. */
export async function fetchOne(context: CommandContext, did: string): Promise<void> {
  const { settings, print, clock } = context;
  await askIngest(context, backfillPath, { did });
  const path = `${backfillPath}?did=${encodeURIComponent(did)}`;
  const poll = async (): Promise<RepoStatus> => (await askIngest(context, path)) as RepoStatus;
  let repo = await poll();
  if (!settings.json) print(`${did}: asked for\n`);
  // A running attempt may record its failure before the due time of the next one.
  while (repo.state === 'queued' && (repo.isRunning || (repo.lastFailure === null && repo.attempts === 0))) {
    await clock.sleep(repoEveryMs);
    repo = await poll();
  }
  if (settings.json) print(`${JSON.stringify(repo)}\n`);
  const why = whyText(repo.lastFailure);
  const hint = `\`skyshard why ${did}\` asks its host and the directory.`;
  if (repo.state === 'gone') throw new DataPlaneError('NotFound', `${did} has no repo: ${why}`, { hint });
  if (repo.state === 'failed') throw new DataPlaneError('Unavailable', `${did} failed: ${why}`, { hint });
  if (repo.state === 'queued') {
    const problem = `${did} was not fetched: ${why}; the next attempt is at ${timeText(repo.dueSec)}`;
    throw new DataPlaneError('Unavailable', problem, { hint: retryHint });
  }
  if (!settings.json) print(`${did}: done, rev ${repo.rev}\n`);
}

/** True when nothing but retries is left: of repos, and of hosts whose list cannot be read. */
function isOver(progress: BackfillProgress): boolean {
  const isListed = Object.keys(progress.failingHosts).length >= progress.hostsListing;
  return isListed && (progress.isWaiting || (progress.reposQueued === 0 && progress.reposRunning === 0));
}

async function showWaiting(context: CommandContext, reposQueued: number): Promise<void> {
  const { settings, print } = context;
  const answer = await askIngest(context, `${backfillPath}?list=waiting`);
  const { repos } = answer as { readonly repos: readonly WaitingRepo[] };
  if (settings.json) return print(`${JSON.stringify({ waiting: repos })}\n`);
  for (const { did, dueSec, lastFailure } of repos) {
    print(`${did} waits until ${timeText(dueSec)}: ${whyText(lastFailure)}\n`);
  }
  if (reposQueued > repos.length) print(`and ${reposQueued - repos.length} more\n`);
}

/** Fetches all repos of the sources. Errors: DataPlaneError naming those that have no outcome. */
async function fetchAll(context: CommandContext): Promise<void> {
  const { settings, print, clock } = context;
  let progress = (await askIngest(context, backfillPath, { again: settings.again })) as BackfillProgress;
  const isTerminal = process.stdout.isTTY === true;
  const printer = new ProgressPrinter({
    write: print,
    form: settings.json ? 'json' : isTerminal ? 'terminal' : 'lines',
    columns: process.stdout.columns,
  });
  printer.show(progress);
  while (!isOver(progress)) {
    await clock.sleep(progressEveryMs);
    progress = (await askIngest(context, backfillPath)) as BackfillProgress;
    printer.show(progress);
  }
  printer.end();
  if (progress.isWaiting) await showWaiting(context, progress.reposQueued);
  const left = [
    ...(progress.reposQueued === 0 ? [] : [`${progress.reposQueued} repos wait for another attempt`]),
    ...(progress.reposFailed === 0 ? [] : [`${progress.reposFailed} repos failed in every attempt`]),
    ...Object.entries(progress.failingHosts).map(
      ([host, problem]) => `the repos of ${host} cannot be listed: ${problem}`,
    ),
  ];
  if (left.length > 0) throw new DataPlaneError('Unavailable', left.join('; '), { hint: retryHint });
}

/** Shows progress until only retries are left. Ingest does the work, and goes on if this ends. */
export const runBackfill: Command = async (context) => {
  if (context.operands.length === 0) await fetchAll(context);
  else await fetchOne(context, didOf(context));
  return exitCode.done;
};
