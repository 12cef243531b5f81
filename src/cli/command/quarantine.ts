/** `skyshard quarantine list | show | retry | drop`: what slots could not apply. */
import { DataPlaneError } from '../../base/data-plane-error.ts';
import type { ListedEntry, SlotQuarantine } from '../../wire/slot-quarantine.ts';
import type { Command, CommandContext } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { askRouter } from '../process/ask-process.ts';
import { textTable } from '../text-table.ts';

const reasonWidth = 70;

type Decided = { readonly isKept: boolean; readonly resendFrom: readonly number[] };
type Id = Pick<ListedEntry, 'slot' | 'seq' | 'part'>;

async function lists(context: CommandContext): Promise<readonly SlotQuarantine[]> {
  return ((await askRouter(context, '/v1/quarantine')) as { readonly slots: readonly SlotQuarantine[] }).slots;
}

function nameOf({ slot, seq, part }: Id): string {
  return part === 0 ? `${slot}/${seq}` : `${slot}/${seq}.${part}`;
}

function parseId(text: string): Id {
  const [, slot, seq, part = '0'] = /^(\d+)\/(\d+)(?:\.(\d+))?$/.exec(text) ?? [];
  if (slot !== undefined && seq !== undefined) return { slot: Number(slot), seq: Number(seq), part: Number(part) };
  const hint = '`skyshard quarantine list` shows the names.';
  throw new DataPlaneError('InvalidArgument', `"${text}" is not <slot>/<seq>`, { hint });
}

/** Shows all that is kept, slots that have stopped, and DIDs whose input is suspended. */
export const runQuarantineList: Command = async (context) => {
  const { settings, print } = context;
  const slots = await lists(context);
  if (settings.json) {
    print(`${JSON.stringify(slots, null, 2)}\n`);
    return exitCode.done;
  }
  const rows = slots.flatMap(({ entries }) =>
    entries.map((entry) => [
      nameOf(entry),
      entry.kind,
      entry.did === '' ? '-' : entry.did,
      new Date(entry.appendMs).toISOString(),
      entry.reason.slice(0, reasonWidth),
    ]),
  );
  if (rows.length === 0) print('nothing is in quarantine\n');
  else print(textTable(['entry', 'kind', 'account', 'appended', 'reason'], rows));
  for (const { slot, stoppedMs, dids } of slots) {
    if (stoppedMs > 0) {
      const since = new Date(stoppedMs).toISOString();
      print(`slot ${slot} has stopped applying at ${since}: \`skyshard quarantine retry --slot ${slot}\` goes on\n`);
    }
    for (const { did, isSuspended, skippedCount } of dids) {
      if (isSuspended) print(`${did} is suspended in slot ${slot}: ${skippedCount} entries skipped\n`);
    }
  }
  return exitCode.done;
};

/** Shows one entry with its stack, and its bytes with --json. */
export const runQuarantineShow: Command = async (context) => {
  const { settings, operands, print } = context;
  const shown = (await askRouter(context, '/v1/quarantine/show', parseId(operands[0]!))) as {
    readonly entry: ListedEntry;
    readonly stack: string;
    readonly itemBase64: string;
  };
  if (settings.json) print(`${JSON.stringify(shown, null, 2)}\n`);
  else {
    const { entry, stack } = shown;
    const rows = Object.entries(entry).map(([name, value]) => [name, String(value ?? '-')]);
    print(`${textTable(['field', 'value'], rows)}\n${stack}\n`);
  }
  return exitCode.done;
};

/** Returns the entries that operand or flags name, oldest first in each slot. */
async function chosen(context: CommandContext): Promise<ListedEntry[]> {
  const { did, slot, all } = context.settings;
  const [name] = context.operands;
  const given = [name !== undefined, did !== null, slot !== null, all].filter((isGiven) => isGiven).length;
  if (given !== 1) {
    const hint = '`skyshard quarantine list` shows what is kept.';
    throw new DataPlaneError('InvalidArgument', 'give one of <slot>/<seq>, --did, --slot and --all', { hint });
  }
  const id = name === undefined ? null : parseId(name);
  const entries = (await lists(context)).flatMap((list) => list.entries);
  const found = entries.filter((entry) => {
    if (id !== null) return nameOf(entry) === nameOf(id);
    return all || entry.did === did || entry.slot === slot;
  });
  if (found.length > 0 || all) return found;
  const hint = '`skyshard quarantine list` shows what is kept.';
  throw new DataPlaneError('NotFound', 'nothing of that is in quarantine', { hint });
}

async function decide(context: CommandContext, action: 'retry' | 'drop'): Promise<number> {
  const { settings, print } = context;
  const results = [];
  const resends = new Set<string>();
  for (const { slot, seq, part, kind, did } of await chosen(context)) {
    const { isKept, resendFrom } = settings.dryRun
      ? { isKept: true, resendFrom: [] }
      : ((await askRouter(context, '/v1/quarantine', { slot, seq, part, action })) as Decided);
    for (const from of resendFrom) resends.add(`${from} ${slot}`);
    const name = nameOf({ slot, seq, part });
    results.push({ entry: name, kind, did, isKept });
    if (settings.json) continue;
    const done = action === 'drop' ? 'dropped' : 'applied';
    const outcome = settings.dryRun ? `would ${action}` : isKept ? 'failed again, and is kept' : done;
    print(`${name} (${kind} of ${did === '' ? 'no account' : did}): ${outcome}\n`);
  }
  for (const pair of resends) {
    const [from, to] = pair.split(' ').map(Number);
    await askRouter(context, '/v1/quarantine/resend', { from, to });
    if (!settings.json) print(`slot ${from} sends slot ${to} again what it owes it\n`);
  }
  if (settings.json) print(`${JSON.stringify(results, null, 2)}\n`);
  else if (results.length === 0) print('nothing is in quarantine\n');
  return exitCode.done;
}

export const runQuarantineRetry: Command = (context) => decide(context, 'retry');
export const runQuarantineDrop: Command = (context) => decide(context, 'drop');
