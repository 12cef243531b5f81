/** `skyshard suggestion list | add | remove | order`: what is suggested to everyone. */
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { type SuggestionList, suggestionLists } from '../../entry/suggestion.ts';
import type { WireSuggestion } from '../../wire/suggestion-messages.ts';
import type { Command, CommandContext } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { askRouter } from '../process/ask-process.ts';
import { textTable } from '../text-table.ts';

type Lists = Partial<Readonly<Record<SuggestionList, readonly WireSuggestion[]>>>;

function show({ settings, print }: CommandContext, lists: Lists): number {
  if (settings.json) print(`${JSON.stringify(lists, null, 2)}\n`);
  else {
    const rows = Object.entries(lists).flatMap(([list, rows]) =>
      rows.map(({ order, tag, subjectType, subject }) => [list, order, tag || '-', subjectType || '-', subject]),
    );
    print(rows.length === 0 ? 'nothing is suggested\n' : textTable(['list', 'order', 'tag', 'type', 'subject'], rows));
  }
  return exitCode.done;
}

/** Returns list and items that the operands name. */
function bodyOf({ operands, settings }: CommandContext): { list: SuggestionList; items: { subject: string }[] } {
  const [name, ...subjects] = operands;
  const list = suggestionLists.find((each) => each === name);
  if (list === undefined)
    throw new DataPlaneError('InvalidArgument', `"${name}" is none of the lists ${suggestionLists.join(', ')}`);
  const tag = settings.tag === null ? {} : { tag: settings.tag };
  return { list, items: subjects.map((subject) => ({ subject, ...tag })) };
}

/** Shows all lists in order. */
export const runSuggestionList: Command = async (context) =>
  show(context, (await askRouter(context, '/v1/suggestions')) as Lists);

/** Shows where subjects are in a list, and where they would be. */
async function showMoves(
  context: CommandContext,
  list: SuggestionList,
  items: readonly { readonly subject: string; readonly order?: number }[],
): Promise<number> {
  const { settings, print } = context;
  const tag = settings.tag ?? '';
  const rows = ((await askRouter(context, '/v1/suggestions')) as Lists)[list] ?? [];
  const moves = items.map(({ subject, order }) => {
    const from = rows.find((row) => row.subject === subject && row.tag === tag)?.order ?? null;
    return { subject, from, to: order ?? from };
  });
  if (settings.json) print(`${JSON.stringify({ list, moves })}\n`);
  for (const { subject, from, to } of settings.json ? [] : moves) {
    const now = from === null ? 'is not in the list' : `is at ${from}`;
    print(`${subject}: ${now}, would be at ${to ?? 'the end'}\n`);
  }
  return exitCode.done;
}

/** Adds subjects at the end of a list, or where `--order` says; or shows what that would move. */
export const runSuggestionAdd: Command = async (context) => {
  const { list, items } = bodyOf(context);
  const { order, dryRun } = context.settings;
  const placed = items.map((item, index) => (order === null ? item : { ...item, order: order + index }));
  if (dryRun) return showMoves(context, list, placed);
  return show(context, (await askRouter(context, '/v1/suggestions', { list, items: placed })) as Lists);
};

/** Puts subjects first, in the order given, or shows what that would move. */
export const runSuggestionOrder: Command = async (context) => {
  const { list, items } = bodyOf(context);
  const placed = items.map((item, index) => ({ ...item, order: index + 1 }));
  if (context.settings.dryRun) return showMoves(context, list, placed);
  return show(context, (await askRouter(context, '/v1/suggestions/order', { list, items })) as Lists);
};

/** Removes subjects from a list, or shows what that would remove. */
export const runSuggestionRemove: Command = async (context) => {
  const { settings, print, operands } = context;
  const body = bodyOf(context);
  if (!settings.dryRun) return show(context, (await askRouter(context, '/v1/suggestions/remove', body)) as Lists);
  const lists = (await askRouter(context, '/v1/suggestions')) as Lists;
  const subjects = new Set(operands.slice(1));
  const isGone = ({ subject, tag }: WireSuggestion): boolean => subjects.has(subject) && tag === (settings.tag ?? '');
  const gone = (lists[body.list] ?? []).filter(isGone);
  if (settings.json) print(`${JSON.stringify({ removed: gone })}\n`);
  else print(gone.map(({ subject }) => `${subject}: would be removed\n`).join('') || 'nothing would be removed\n');
  return exitCode.done;
};
