/** `skyshard record put | delete`: one record without its repo, for repairs and tests. */
import { readFileSync } from 'node:fs';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import type { Command } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { askRouter } from '../process/ask-process.ts';

type Written = { readonly uri: string; readonly cid: string; readonly cidBefore?: string | null };

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
