/** `skyshard source list | begin | pause | resume | mended`: decisions about sources. */
import { DataPlaneError } from '../../base/data-plane-error.ts';
import type { BsyncStatus } from '../../ingest/bsync.ts';
import type { SubscriptionStatus } from '../../ingest/source-status.ts';
import type { Command, CommandContext } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { askIngest } from '../process/ask-process.ts';
import { type TableCell, textTable } from '../text-table.ts';

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

async function statusesOf(context: CommandContext): Promise<Statuses> {
  const { sources, labelers, bsync } = (await askIngest(context, '/v1/status')) as Statuses;
  return { sources, labelers, bsync };
}

/** Returns cursor and problem of the source that is the operand. Errors: `InvalidArgument`. */
async function sourceNow(context: CommandContext): Promise<{ cursor: number | null; problem: string | null }> {
  const { sources, labelers, bsync } = await statusesOf(context);
  const name = context.operands[0]!;
  const followed = [...sources, ...labelers].find((each) => each.name === name);
  if (followed !== undefined) return { cursor: followed.receivedSeq, problem: followed.problem?.code ?? null };
  const scanned = Object.entries(bsync?.cursors ?? {}).find(([stream]) => name === `bsync:${stream}`);
  if (scanned !== undefined) return { cursor: scanned[1], problem: null };
  const hint = '`skyshard source list` shows their names.';
  throw new DataPlaneError('InvalidArgument', `no source is named "${name.slice(0, 200)}"`, { hint });
}

function say({ settings, operands, print }: CommandContext, answer: unknown, text: string): number {
  print(settings.json ? `${JSON.stringify(answer)}\n` : `${operands[0]}: ${text}\n`);
  return exitCode.done;
}

/** Follows a source from another cursor; the answer has the one before, to undo it. */
export const runSourceBegin: Command = async (context) => {
  const { settings, operands } = context;
  const { cursor, dryRun } = settings;
  const from = cursor === null ? 'now' : `the cursor ${cursor}`;
  if (dryRun) {
    const { cursor: cursorNow } = await sourceNow(context);
    const text = `would begin again at ${from}; the cursor is ${cursorNow ?? 'none'}`;
    return say(context, { source: operands[0], cursor, cursorNow, dryRun }, text);
  }
  const answer = (await askIngest(context, '/v1/source/begin', { source: operands[0], cursor })) as {
    readonly cursorBefore: number | null;
  };
  return say(context, answer, `begins again at ${from}; the cursor before was ${answer.cursorBefore ?? 'none'}`);
};

/** Ends the notice of events that a source no longer had, or shows it. */
export const runSourceMended: Command = async (context) => {
  const source = context.operands[0]!;
  if (context.settings.dryRun) {
    const { problem } = await sourceNow(context);
    return say(context, { source, problem, dryRun: true }, `would end its notice, which is ${problem ?? 'none'}`);
  }
  return say(context, await askIngest(context, '/v1/source/mended', { source }), 'nothing is missing');
};

/** Shows where each source is, labelers and the streams of bsync too. */
export const runSourceList: Command = async (context) => {
  const statuses = await statusesOf(context);
  const headings = ['source', 'state', 'received', 'durable', 'lag ms'];
  const { print, settings } = context;
  print(settings.json ? `${JSON.stringify(statuses, null, 2)}\n` : textTable(headings, rowsOf(statuses)));
  return exitCode.done;
};

async function changePause(context: CommandContext, verb: 'pause' | 'resume', text: string): Promise<number> {
  const source = context.operands[0]!;
  const status = (await askIngest(context, `/v1/source/${verb}`, { source })) as SubscriptionStatus;
  return say(context, status, `${text} at the cursor ${status.receivedSeq ?? 'none'}`);
}

/** Takes nothing of a source until it is resumed, also after a restart. */
export const runSourcePause: Command = (context) => changePause(context, 'pause', 'is paused');
export const runSourceResume: Command = (context) => changePause(context, 'resume', 'goes on');
