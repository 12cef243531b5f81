/** `skyshard source list | begin | pause | resume | mended`: decisions about sources. */
import type { BsyncStatus } from '../../ingest/bsync.ts';
import type { SubscriptionStatus } from '../../ingest/source-status.ts';
import type { Command, CommandContext } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { askIngest } from '../process/ask-process.ts';
import { type TableCell, textTable } from '../text-table.ts';

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

type Statuses = {
  readonly sources: readonly SubscriptionStatus[];
  readonly labelers: readonly SubscriptionStatus[];
  readonly bsync: BsyncStatus | null;
};

/** The names are those that the other commands take. */
function rowsOf({ sources, labelers, bsync }: Statuses): TableCell[][] {
  const followed = [...sources, ...labelers].map(
    ({ name, pausedMs, problem, connected, receivedSeq, durableSeq, lagMs }) => {
      const state = pausedMs !== null ? 'paused' : (problem?.code ?? (connected ? 'connected' : 'connecting'));
      return [name, state, receivedSeq ?? '-', durableSeq ?? '-', lagMs ?? '-'];
    },
  );
  const scanned = Object.entries(bsync?.cursors ?? {}).map(([stream, cursor]) => {
    const problem = bsync?.problems[stream as keyof BsyncStatus['problems']];
    return [`bsync:${stream}`, problem === undefined ? 'scanned' : 'error', '-', cursor, '-'];
  });
  return [...followed, ...scanned];
}

/** Shows where each source is, labelers and the streams of bsync too. */
export const runSourceList: Command = async (context) => {
  const { sources, labelers, bsync } = (await askIngest(context, '/v1/status')) as Statuses;
  const statuses = { sources, labelers, bsync };
  const headings = ['source', 'state', 'received', 'durable', 'lag ms'];
  const { print, settings } = context;
  print(settings.json ? `${JSON.stringify(statuses, null, 2)}\n` : textTable(headings, rowsOf(statuses)));
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
