/** `skyshard label add | remove | list`: labels in the name of a labeler. */
import type { Command, CommandContext } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { askRouter, deleteAtRouter } from '../process/ask-process.ts';
import { textTable } from '../text-table.ts';

type Shown = {
  readonly src: string;
  readonly uri: string;
  readonly cid?: string;
  readonly val: string;
  readonly neg?: boolean;
  readonly cts: string;
  readonly exp?: string;
};

async function labelsOf(context: CommandContext, uri: string): Promise<readonly Shown[]> {
  const path = `/v1/labels?uri=${encodeURIComponent(uri)}`;
  return ((await askRouter(context, path)) as { readonly labels: readonly Shown[] }).labels;
}

function idOf({ operands, settings }: CommandContext) {
  const [src, uri, val] = operands as [string, string, string];
  return { src, uri, val, ...(settings.cid === null ? {} : { cid: settings.cid }) };
}

function show({ settings, print }: CommandContext, labels: readonly Shown[]): number {
  const rows = labels.map(({ src, val, neg, cid, cts, exp }) => [
    src,
    neg === true ? `not ${val}` : val,
    cid ?? 'all',
    cts,
    exp ?? 'never',
  ]);
  if (settings.json) print(`${JSON.stringify(labels, null, 2)}\n`);
  else print(rows.length === 0 ? 'no labels\n' : textTable(['source', 'label', 'version', 'created', 'expires'], rows));
  return exitCode.done;
}

/** Shows all labels, those that are negated or have expired too. */
export const runLabelList: Command = async (context) => show(context, await labelsOf(context, context.operands[0]!));

/** Sets a label of now. Shows the labels of its subject. */
export const runLabelAdd: Command = async (context) => {
  const { settings, clock } = context;
  const cts = new Date(clock.nowMs()).toISOString();
  const label = { ...idOf(context), cts, neg: settings.neg, exp: settings.exp };
  await askRouter(context, '/v1/labels', { labels: [label] });
  return show(context, await labelsOf(context, label.uri));
};

/** Removes a label, or shows what that would remove. */
export const runLabelRemove: Command = async (context) => {
  const { settings, print } = context;
  const id = idOf(context);
  const found = (await labelsOf(context, id.uri)).filter(
    ({ src, val, cid }) => src === id.src && val === id.val && cid === id.cid,
  );
  if (!settings.dryRun) await deleteAtRouter(context, '/v1/labels', { labels: [id] });
  const outcome = settings.dryRun ? 'would be removed' : 'removed';
  if (settings.json) print(`${JSON.stringify({ removed: found })}\n`);
  else
    print(found.map(({ src, uri, val }) => `${val} of ${src} on ${uri}: ${outcome}\n`).join('') || 'no such label\n');
  return exitCode.done;
};
