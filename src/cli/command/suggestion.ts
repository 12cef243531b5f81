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
function bodyOf({ operands, settings }: CommandContext): { list: SuggestionList; items: object[] } {
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

/** Adds subjects at the end of a list, or where `--order` says. */
export const runSuggestionAdd: Command = async (context) => {
  const { list, items } = bodyOf(context);
  const { order } = context.settings;
  const placed = items.map((item, index) => (order === null ? item : { ...item, order: order + index }));
  return show(context, (await askRouter(context, '/v1/suggestions', { list, items: placed })) as Lists);
};

/** Puts subjects first, in the order given. */
export const runSuggestionOrder: Command = async (context) =>
  show(context, (await askRouter(context, '/v1/suggestions/order', bodyOf(context))) as Lists);

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
