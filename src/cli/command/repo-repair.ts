/** `skyshard repo resync | diff`: makes a stored repo what its host has, or shows what differs. */
import type { RepoComparison } from '../../ingest/repo-compare.ts';
import type { Command } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { askIngest, askRouter } from '../process/ask-process.ts';
import { fetchOne } from './backfill.ts';
import { didOf } from './repo.ts';

/** A repo of the largest size comes in a quarter of an hour. */
const diffTimeoutMs = 1_800_000;

/** Puts again what stored records put elsewhere; slots work on after the command. */
export const runRepoReindex: Command = async (context) => {
  const did = didOf(context);
  const answer = await askRouter(context, '/v1/repo/reindex', { did });
  const text = `${did}: is being indexed again; \`skyshard settle\` waits for the end\n`;
  context.print(context.settings.json ? `${JSON.stringify(answer)}\n` : text);
  return exitCode.done;
};

/** Compares a whole repo with its host. */
export const runRepoDiff: Command = async (context) => {
  const { settings, print } = context;
  const did = didOf(context);
  const path = `/v1/repo/diff?did=${encodeURIComponent(did)}`;
  const found = (await askIngest(context, path, undefined, diffTimeoutMs)) as RepoComparison;
  if (settings.json) {
    print(`${JSON.stringify(found, null, 2)}\n`);
    return exitCode.done;
  }
  const { missing, extra, other } = found.differences;
  const refused = Object.entries(found.refused).map(([reason, count]) => `${count} ${reason}`);
  print(`${did} at ${found.pds}: rev ${found.rev} there, ${found.storedRev ?? 'none'} here\n`);
  print(`${found.same} the same, ${missing} missing here, ${extra} only here, ${other} other\n`);
  if (refused.length > 0) print(`never taken: ${refused.join(', ')}\n`);
  if (found.unindexed > 0) print(`of collections that are not kept: ${found.unindexed}\n`);
  for (const { kind, path: at } of found.shown) print(`  ${kind} ${at}\n`);
  const left = missing + extra + other - found.shown.length;
  if (left > 0) print(`  and ${left} more\n`);
  if (missing + extra + other > 0) print(`\`skyshard repo resync ${did}\` mends it\n`);
  return exitCode.done;
};

/**
 * Records that the fetched repo does not have are removed, and those that differ are written; or it
 * shows these.
 */
export const runRepoResync: Command = async (context) => {
  if (context.settings.dryRun) return runRepoDiff(context);
  await fetchOne(context, didOf(context));
  return exitCode.done;
};
