/** `skyshard source list | begin | pause | resume | mended`: decisions about sources. */
import type { SubscriptionStatus } from '../../ingest/source-status.ts';
import type { Command, CommandContext } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { askIngest } from '../process/ask-process.ts';
import { textTable } from '../text-table.ts';

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

/** Shows where each source is. */
export const runSourceList: Command = async (context) => {
  const { sources } = (await askIngest(context, '/v1/status')) as { readonly sources: readonly SubscriptionStatus[] };
  if (context.settings.json) {
    context.print(`${JSON.stringify(sources, null, 2)}\n`);
    return exitCode.done;
  }
  const rows = sources.map(({ name, pausedMs, problem, connected, receivedSeq, durableSeq, lagMs }) => [
    name,
    pausedMs !== null ? 'paused' : (problem?.code ?? (connected ? 'connected' : 'connecting')),
    receivedSeq ?? '-',
    durableSeq ?? '-',
    lagMs ?? '-',
  ]);
  context.print(textTable(['source', 'state', 'received', 'durable', 'lag ms'], rows));
  return exitCode.done;
};

async function changePause(context: CommandContext, verb: 'pause' | 'resume', text: string): Promise<number> {
  const source = context.operands[0]!;
  const status = (await askIngest(context, `/v1/source/${verb}`, { source })) as SubscriptionStatus;
  const at = `at the cursor ${status.receivedSeq ?? 'none'}`;
  context.print(context.settings.json ? `${JSON.stringify(status)}\n` : `${source}: ${text} ${at}\n`);
  return exitCode.done;
}

/** Takes nothing of a source until it is resumed, also after a restart. */
export const runSourcePause: Command = (context) => changePause(context, 'pause', 'is paused');
export const runSourceResume: Command = (context) => changePause(context, 'resume', 'goes on');
