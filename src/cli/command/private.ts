/** `skyshard private show | erase`: what an actor keeps in private, for privacy requests. */
import { DataPlaneError } from '../../base/data-plane-error.ts';
import type { PrivatePageItem } from '../../wire/private-page.ts';
import type { Command, CommandContext } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { askRouter } from '../process/ask-process.ts';
import { didOf } from './repo.ts';

type Page = { readonly items: readonly PrivatePageItem[]; readonly cursor: string | null };

async function* pagesOf(context: CommandContext, did: string): AsyncGenerator<Page['items']> {
  for (let cursor: string | null = ''; cursor !== null; ) {
    const query = new URLSearchParams({ did, ...(cursor === '' ? {} : { cursor }) });
    const page: Page = (await askRouter(context, `/v1/private?${query}`)) as Page;
    yield page.items;
    cursor = page.cursor;
  }
}

const nameOf = ({ section, namespace }: PrivatePageItem): string => (section === 'items' ? namespace : section);

/** Prints one line of JSON for each item, or how many there are of each kind. */
export const runPrivateShow: Command = async (context) => {
  const { settings, print } = context;
  const did = didOf(context);
  const counts = new Map<string, number>();
  for await (const items of pagesOf(context, did)) {
    for (const item of items) {
      counts.set(nameOf(item), (counts.get(nameOf(item)) ?? 0) + 1);
      if (settings.json) print(`${JSON.stringify(item)}\n`);
    }
  }
  if (settings.json) return exitCode.done;
  if (counts.size === 0) print(`${did}: keeps nothing in private\n`);
  for (const [name, count] of counts) print(`${count} ${name}\n`);
  return exitCode.done;
};

/** Erases one kind, or shows what there is of all. */
export const runPrivateErase: Command = async (context) => {
  const { kind, dryRun, json } = context.settings;
  if (dryRun) return runPrivateShow(context);
  if (kind === null) {
    const hint = '`skyshard private erase --help` lists the kinds.';
    throw new DataPlaneError('InvalidArgument', 'give --kind', { hint });
  }
  const did = didOf(context);
  const answer = (await askRouter(context, '/v1/private/erase', { did, kind })) as { readonly upTo: number | null };
  const text = `${did}: ${kind} are being erased; \`skyshard settle\` waits for the end\n`;
  const warning = 'No bsync is followed: what one has is not erased, and comes if it is followed later\n';
  context.print(json ? `${JSON.stringify(answer)}\n` : `${text}${answer.upTo === null ? warning : ''}`);
  return exitCode.done;
};
