/** `skyshard identity refresh`: looks an identity up now, however fresh the last look-up is. */
import type { RefreshedIdentity } from '../../ingest/identity-routes.ts';
import type { Command } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { askIngest } from '../process/ask-process.ts';

export const runIdentityRefresh: Command = async (context) => {
  const did = context.operands[0]!;
  const answer = (await askIngest(context, '/v1/identity/refresh', { did })) as RefreshedIdentity;
  const { isDone, pds, hasHandle } = answer;
  const handle = hasHandle ? 'with a proven handle' : 'without a proven handle';
  const text = isDone
    ? `${did}: ${pds === null ? 'its document names no host, or there is none' : `at ${pds}, ${handle}`}`
    : `${did}: not answered yet; ingest tries again by itself`;
  context.print(context.settings.json ? `${JSON.stringify(answer)}\n` : `${text}\n`);
  return exitCode.done;
};
