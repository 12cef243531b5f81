/** `skyshard record put | delete | takedown`: what an operator does about one record. */
import { readFileSync } from 'node:fs';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import type { Command } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { askRouter } from '../process/ask-process.ts';
import { urlOf } from '../process/run-file.ts';
import { callService } from '../service-call.ts';

type Written = { readonly uri: string; readonly cid: string; readonly cidBefore?: string | null };

const requestTimeoutMs = 30_000;
const untilText = 'until its repo is fetched again';

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    const hint = 'Give a file with the JSON of the record.';
    throw new DataPlaneError('InvalidArgument', `${path}: ${(cause as Error).message}`, { cause, hint });
  }
}

/** Writes a record from a JSON file, or checks it and shows what it would replace. */
export const runRecordPut: Command = async (context) => {
  const { settings, operands, print } = context;
  const [uri, path] = operands;
  const isDryRun = settings.dryRun;
  const body = { uri, record: readJson(path!), isDryRun };
  const written = (await askRouter(context, '/v1/record', body)) as Written;
  const { cid, cidBefore } = written;
  const replaced = typeof cidBefore === 'string' ? `, instead of ${cidBefore}` : '';
  const text = isDryRun ? `would be stored as ${cid}${replaced}` : `stored as ${cid}${replaced}, ${untilText}`;
  print(settings.json ? `${JSON.stringify(written)}\n` : `${uri}: ${text}\n`);
  return exitCode.done;
};

/** Deletes a record, or shows what that would be. */
export const runRecordDelete: Command = async (context) => {
  const { settings, operands, print } = context;
  const uri = operands[0]!;
  const answer = settings.dryRun
    ? await askRouter(context, `/v1/record?uri=${encodeURIComponent(uri)}`)
    : await askRouter(context, '/v1/record/delete', { uri });
  const { cid } = answer as Written;
  const text = settings.dryRun ? `would delete ${cid}` : `deleted ${cid}, ${untilText}`;
  print(settings.json ? `${JSON.stringify(answer)}\n` : `${uri}: ${text}\n`);
  return exitCode.done;
};

/** Hides a record from readers, or shows it again; nothing is removed. Errors: `NotFound`. */
export const runRecordTakedown: Command = async (context) => {
  const { settings, operands, print } = context;
  const { undo } = settings;
  const uri = operands[0]!;
  await askRouter(context, `/v1/record?uri=${encodeURIComponent(uri)}`);
  const router = { url: urlOf('router', settings.routerUrl, settings.dataDir), timeoutMs: requestTimeoutMs };
  await callService(router, undo ? 'UntakedownRecord' : 'TakedownRecord', { recordUri: uri });
  const text = undo ? 'shown again' : 'taken down';
  print(settings.json ? `${JSON.stringify({ uri, takenDown: !undo })}\n` : `${uri}: ${text}\n`);
  return exitCode.done;
};
