/** `skyshard search status | rebuild | verify`: the search indexes of the nodes. */
import { DataPlaneError } from '../../base/data-plane-error.ts';
import type { SearchStatus, VerifiedSlot } from '../../wire/search-messages.ts';
import type { Command, CommandContext } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { askRouter } from '../process/ask-process.ts';
import { bytesText, textTable } from '../text-table.ts';

type NodeStatus = { readonly name: string; readonly error: string } & Partial<SearchStatus>;

const verifyTimeoutMs = 660_000;

async function statuses(context: CommandContext): Promise<readonly NodeStatus[]> {
  return ((await askRouter(context, '/v1/search/status')) as { readonly nodes: readonly NodeStatus[] }).nodes;
}

function slotOf(text: string | undefined): number | null {
  if (text === undefined) return null;
  if (/^\d{1,5}$/.test(text)) return Number(text);
  throw new DataPlaneError('InvalidArgument', `"${text.slice(0, 20)}" is not a slot`, {
    hint: '`skyshard search status` lists the slots that are being built; `skyshard status` lists all.',
  });
}

/** Shows what each node has indexed, and how far it is with what it has not. */
export const runSearchStatus: Command = async (context) => {
  const { settings, print } = context;
  const nodes = await statuses(context);
  if (settings.json) {
    print(`${JSON.stringify(nodes, null, 2)}\n`);
    return exitCode.done;
  }
  const rows = nodes.map(({ name, error, posts = 0, actors = 0, feeds = 0, packs = 0, bytes = 0, slots = [] }) => {
    const waiting = slots.reduce((sum, slot) => sum + slot.waiting, 0);
    const building = slots.filter(({ state }) => state === 'building').length;
    if (error !== '') return [name, '-', '-', '-', '-', '-', '-', '-'];
    return [name, posts, actors, feeds, packs, waiting, building, bytesText(bytes)];
  });
  print(textTable(['node', 'posts', 'actors', 'feeds', 'packs', 'waiting', 'slots building', 'bytes'], rows));
  for (const { name, error, problem = '', slots = [] } of nodes) {
    if (error !== '') print(`${name}: ${error}\n`);
    if (problem !== '') print(`${name}: ${problem}\n`);
    for (const { slot, state, isServed, ownersDone, owners } of slots) {
      const meanwhile = isServed ? 'what it held before is found meanwhile' : 'searches answer Unavailable meanwhile';
      if (state === 'building')
        print(`slot ${slot} is being built: ${ownersDone} of ${owners} accounts; ${meanwhile}\n`);
    }
  }
  return exitCode.done;
};

/** Has the index of a slot, or of all, built again, beside serving. */
export const runSearchRebuild: Command = async (context) => {
  const { settings, operands, print } = context;
  const slot = slotOf(operands[0]);
  if (slot === null && !settings.all) {
    throw new DataPlaneError('InvalidArgument', 'name a slot, or give --all', {
      hint: 'What is served stays served until the new index is built.',
    });
  }
  const { nodes } = (await askRouter(context, '/v1/search/rebuild', { slot })) as { readonly nodes: readonly string[] };
  const what = slot === null ? 'all slots' : `slot ${slot}`;
  const text = `${what} at ${nodes.join(', ')}: the index is being built; \`skyshard search status\` shows how far\n`;
  print(settings.json ? `${JSON.stringify({ slot, nodes })}\n` : text);
  return exitCode.done;
};

/** Compares slots with their index: counts, and a sample of posts found by their own words. */
export const runSearchVerify: Command = async (context) => {
  const { settings, operands, print } = context;
  const asked = slotOf(operands[0]);
  const slots = asked === null ? await slotsOf(context) : [asked];
  let isWrong = false;
  for (const slot of slots) {
    const verified = (await askRouter(context, '/v1/search/verify', { slot }, verifyTimeoutMs)) as VerifiedSlot;
    const { stored, indexed, sampled, missing } = verified;
    isWrong ||= missing.length > 0 || stored !== indexed;
    const text = `slot ${slot}: ${stored} posts, ${indexed} indexed; ${sampled - missing.length} of ${sampled} found\n`;
    print(settings.json ? `${JSON.stringify(verified)}\n` : text);
    if (!settings.json) for (const uri of missing) print(`  not found by its own words: ${uri}\n`);
  }
  if (isWrong && !settings.json)
    print('posts that come meanwhile count as a difference: ask again, then `skyshard search rebuild <slot>`\n');
  return isWrong ? exitCode.failed : exitCode.done;
};

async function slotsOf(context: CommandContext): Promise<number[]> {
  const nodes = await statuses(context);
  const down = nodes.find(({ error }) => error !== '');
  if (down !== undefined) throw new DataPlaneError('Unavailable', `${down.name}: ${down.error}`);
  return nodes.flatMap(({ slots = [] }) => slots.map(({ slot }) => slot)).sort((one, other) => one - other);
}
