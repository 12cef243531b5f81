/** `skyshard source begin` and `source mended`: what an operator decides about one source. */

import type { Command } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { askIngest } from '../process/ask-process.ts';

/** Follows a source from another cursor; the answer has the one before, to undo it. */
export const runSourceBegin: Command = async (context) => {
  const { settings, operands, print } = context;
  const answer = (await askIngest(context, '/v1/source/begin', { source: operands[0], cursor: settings.cursor })) as {
    readonly cursorBefore: number | null;
  };
  const from = settings.cursor === null ? 'now' : `the cursor ${settings.cursor}`;
  const text = `${operands[0]}: begins again at ${from}; the cursor before was ${answer.cursorBefore ?? 'none'}\n`;
  print(settings.json ? `${JSON.stringify(answer)}\n` : text);
  return exitCode.done;
};

/** Ends the notice of events that a source no longer had. */
export const runSourceMended: Command = async (context) => {
  const answer = await askIngest(context, '/v1/source/mended', { source: context.operands[0] });
  context.print(context.settings.json ? `${JSON.stringify(answer)}\n` : `${context.operands[0]}: nothing is missing\n`);
  return exitCode.done;
};
