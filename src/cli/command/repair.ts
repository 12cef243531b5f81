/** `skyshard repair slot`: brings back what a slot has lost, and says what is lost for good. */
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { labelerName } from '../../ingest/labeler.ts';
import type { RepairProgress } from '../../ingest/slot-repair.ts';
import type { Command, CommandContext } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { askIngest } from '../process/ask-process.ts';

const requestTimeoutMs = 120_000;
const progressEveryMs = 1_000;

/** What neither the network nor other slots have; ops/recovery.md says more. */
const lostForGood = [
  'takedowns of accounts, records and blobs',
  'labels that operators have set or an import has brought, and those of labelers that are not followed',
  'trust in verifiers, tags, ages that operators have set, and the suggestions if this slot had them',
  'private data that bsync does not have; thread mutes of bsync that an RPC cleared are there again',
  'what its actors have seen of their notifications',
  'the times of indexing: they are those of the repair',
  'when replies were deleted, and that verifications ended',
] as const;

function lineOf({ slot, phase, repos, left, failed, waitsFor }: RepairProgress): string {
  if (phase === 'listing') return `slot ${slot}: looks for the repos that it had\n`;
  const failures = failed === 0 ? '' : `, ${failed} could not be fetched`;
  const rest = waitsFor.length === 0 ? '' : `; waits for ${waitsFor.join('; ')}`;
  return `slot ${slot}: ${repos - left} of ${repos} repos have an outcome${failures}${rest}\n`;
}

function lostText({ withoutLabels }: RepairProgress): string {
  const lost = [...lostForGood, ...withoutLabels.map((labeler) => `all labels of ${labeler}`)];
  return `Lost unless a backup has it:\n${lost.map((line) => `  ${line}\n`).join('')}`;
}

async function stop(context: CommandContext): Promise<number> {
  const answer = (await askIngest(context, '/v1/repair/stop', {})) as { readonly wasRunning: boolean };
  const text = answer.wasRunning ? 'the repair is stopped, and goes on where it was when asked for' : 'none runs';
  context.print(context.settings.json ? `${JSON.stringify(answer)}\n` : `${text}\n`);
  return exitCode.done;
}

/** Waits for the end of the repair, which ingest does, and goes on with if this ends. */
export const runRepairSlot: Command = async (context) => {
  const { settings, operands, print, clock } = context;
  const slot = Number(operands[0]);
  if (!Number.isInteger(slot) || slot < 0) {
    throw new DataPlaneError('InvalidArgument', `"${operands[0]?.slice(0, 20)}" is not a slot`, {
      hint: '`skyshard status` lists the slots, and says which are incomplete.',
    });
  }
  if (settings.stop) return stop(context);
  const ask = async (body?: object): Promise<RepairProgress> =>
    (await askIngest(context, '/v1/repair', body, requestTimeoutMs)) as RepairProgress;
  const withoutLabels = settings.withoutLabels.map(labelerName);
  let progress = await ask({ slot, isDryRun: settings.dryRun, withoutLabels });
  if (settings.dryRun) {
    const text = `slot ${slot}: ${progress.repos} repos and their identities would be fetched again\n`;
    if (settings.json) print(`${JSON.stringify({ ...progress, lostForGood })}\n`);
    else print(`${text}${lostText(progress)}`);
    return exitCode.done;
  }
  let shown = '';
  while (progress.phase === 'listing' || progress.phase === 'fetching') {
    const line = settings.json ? `${JSON.stringify(progress)}\n` : lineOf(progress);
    if (line !== shown) print(line);
    shown = line;
    await clock.sleep(progressEveryMs);
    progress = await ask();
  }
  if (progress.phase === 'failed') {
    throw new DataPlaneError('Unavailable', `slot ${slot} is not repaired: ${progress.problem}`, {
      hint: `\`skyshard repair slot ${slot}\` goes on where it was; \`--without-labels <labeler>\` gives up one that is gone for good.`,
    });
  }
  if (settings.json) print(`${JSON.stringify({ ...progress, lostForGood })}\n`);
  else {
    print(`${lineOf(progress)}slot ${slot} is complete, and sends others what it owes them\n${lostText(progress)}`);
  }
  return exitCode.done;
};
