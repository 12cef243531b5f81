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

function tableOf(labels: readonly Shown[]): string {
  const rows = labels.map(({ src, val, neg, cid, cts, exp }) => [
    src,
    neg === true ? `not ${val}` : val,
    cid ?? 'all',
    cts,
    exp ?? 'never',
  ]);
  return textTable(['source', 'label', 'version', 'created', 'expires'], rows);
}

function show({ settings, print }: CommandContext, labels: readonly Shown[]): number {
  if (settings.json) print(`${JSON.stringify(labels, null, 2)}\n`);
  else print(labels.length === 0 ? 'no labels\n' : tableOf(labels));
  return exitCode.done;
}

/** Shows all labels, those that are negated or have expired too. */
export const runLabelList: Command = async (context) => show(context, await labelsOf(context, context.operands[0]!));

/** Returns the label that a command names, as the only one of a list, or none. */
async function sameLabel(context: CommandContext): Promise<readonly Shown[]> {
  const id = idOf(context);
  return (await labelsOf(context, id.uri)).filter(
    ({ src, val, cid }) => src === id.src && val === id.val && cid === id.cid,
  );
}

/** Sets a label of now, and shows the labels of its subject; or shows what it would replace. */
export const runLabelAdd: Command = async (context) => {
  const { settings, clock, print } = context;
  const cts = new Date(clock.nowMs()).toISOString();
  const label = { ...idOf(context), cts, neg: settings.neg, exp: settings.exp };
  if (settings.dryRun) {
    const replaced = await sameLabel(context);
    if (settings.json) print(`${JSON.stringify({ label, replaced })}\n`);
    else if (replaced.length === 0) print(`${label.uri}: would get the label ${label.val}\n`);
    else print(`${label.uri}: would have this replaced:\n${tableOf(replaced)}`);
    return exitCode.done;
  }
  await askRouter(context, '/v1/labels', { labels: [label] });
  return show(context, await labelsOf(context, label.uri));
};

/** Removes a label, or shows what that would remove. */
export const runLabelRemove: Command = async (context) => {
  const { settings, print } = context;
  const id = idOf(context);
  const found = await sameLabel(context);
  if (!settings.dryRun) await deleteAtRouter(context, '/v1/labels', { labels: [id] });
  const outcome = settings.dryRun ? 'would be removed' : 'removed';
  if (settings.json) print(`${JSON.stringify({ removed: found })}\n`);
  else
    print(found.map(({ src, uri, val }) => `${val} of ${src} on ${uri}: ${outcome}\n`).join('') || 'no such label\n');
  return exitCode.done;
};
