/** `skyshard identity import`: has ingest read a file of PLC operations, and shows progress. */
import { resolve } from 'node:path';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import type { ImportProgress } from '../../ingest/identity-import.ts';
import type { Command } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { askIngest } from '../process/ask-process.ts';
import { durationText } from '../progress-printer.ts';

const progressEveryMs = 1000;

const count = (value: number): string => value.toLocaleString('en-US');

function textOf({ offset, bytes, lines, linesPerS, etaMs }: ImportProgress): string {
  const share = bytes === null || bytes === 0 ? '' : `${((100 * offset) / bytes).toFixed(1)}% `;
  const eta = etaMs === null ? '' : `, ETA ${durationText(etaMs)}`;
  return `${share}${count(lines)} lines, ${count(linesPerS)} lines/s${eta}\n`;
}

function summaryOf({ imported, known, gone, skipped }: ImportProgress): string {
  const reasons = Object.entries(skipped).map(([reason, lines]) => `${count(lines)} ${reason}`);
  const skippedText = reasons.length === 0 ? '' : `; skipped: ${reasons.join(', ')}`;
  return `${count(imported)} imported, ${count(known)} known already, ${count(gone)} gone${skippedText}\n`;
}

/** Shows progress until the file's end. Ingest does the work, and goes on if this ends. */
export const runIdentityImport: Command = async (context) => {
  const { settings, operands, print, clock } = context;
  const ask = async (body?: object): Promise<ImportProgress> =>
    (await askIngest(context, '/v1/identity/import', body)) as ImportProgress;
  const show = (progress: ImportProgress): unknown =>
    print(settings.json ? `${JSON.stringify(progress)}\n` : textOf(progress));
  const [file] = operands;
  if (settings.stop) {
    const isDryRun = settings.dryRun;
    const progress = isDryRun
      ? await ask()
      : ((await askIngest(context, '/v1/identity/import/stop', {})) as ImportProgress);
    const text = `${progress.path}: ${isDryRun ? 'would be stopped' : 'stopped'}; ${summaryOf(progress)}`;
    print(settings.json ? `${JSON.stringify(progress)}\n` : text);
    return exitCode.done;
  }
  if (file === undefined || settings.dryRun) {
    const hint = '`skyshard identity import --help` shows what it takes.';
    throw new DataPlaneError('InvalidArgument', 'give the file of an export, or --stop, which takes --dry-run', {
      hint,
    });
  }
  let progress = await ask({ path: resolve(file) });
  show(progress);
  while (progress.isRunning && progress.problem === null) {
    await clock.sleep(progressEveryMs);
    progress = await ask();
    show(progress);
  }
  if (progress.problem !== null) {
    const { imported, known, gone } = progress;
    if (!progress.isRunning && imported + known + gone === 0) {
      const hint = 'Give an export of the PLC directory, unpacked: one JSON object a line.';
      throw new DataPlaneError('InvalidArgument', progress.problem, { hint });
    }
    throw new DataPlaneError('Unavailable', progress.problem, { hint: 'Run the command again: it goes on there.' });
  }
  if (!settings.json) print(summaryOf(progress));
  return exitCode.done;
};
