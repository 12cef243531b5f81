/** `skyshard identity import`: has ingest read a file of PLC operations, and shows progress. */
import { resolve } from 'node:path';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import type { ImportProgress } from '../../ingest/identity-import.ts';
import { readClientToken } from '../access-files.ts';
import { adminRequest } from '../admin-request.ts';
import type { Command } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { urlOf } from '../process/run-file.ts';
import { durationText } from '../progress-printer.ts';

const requestTimeoutMs = 30_000;
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
export const runIdentityImport: Command = async ({ settings, operands, print, clock }) => {
  const request = {
    url: urlOf('ingest', settings.ingestUrl, settings.dataDir),
    path: '/v1/identity/import',
    token: readClientToken(settings),
    timeoutMs: requestTimeoutMs,
  };
  const show = (progress: ImportProgress): unknown =>
    print(settings.json ? `${JSON.stringify(progress)}\n` : textOf(progress));
  let progress = (await adminRequest({ ...request, body: { path: resolve(operands[0]!) } })) as ImportProgress;
  show(progress);
  while (progress.isRunning && progress.problem === null) {
    await clock.sleep(progressEveryMs);
    progress = (await adminRequest(request)) as ImportProgress;
    show(progress);
  }
  if (progress.problem !== null) {
    throw new DataPlaneError('Unavailable', progress.problem, { hint: 'Run the command again: it goes on there.' });
  }
  if (!settings.json) print(summaryOf(progress));
  return exitCode.done;
};
