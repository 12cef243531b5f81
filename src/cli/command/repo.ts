/** `skyshard repo takedown | purge | allow | list`: what an operator does about one repo. */
import { ensureValidDid } from '@atproto/syntax';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import type { Command, CommandContext } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { askIngest } from '../process/ask-process.ts';
import { urlOf } from '../process/run-file.ts';
import { callService, listOf, numberAt, type ServiceAddress } from '../service-call.ts';
import { textTable } from '../text-table.ts';

const requestTimeoutMs = 30_000;

/** Returns the DID that is the operand. Errors: DataPlaneError `InvalidArgument`. */
export function didOf({ operands }: CommandContext): string {
  const did = operands[0]!;
  try {
    ensureValidDid(did);
  } catch (cause) {
    const hint = '`skyshard why <handle>` names the DID of a handle.';
    throw new DataPlaneError('InvalidArgument', `"${did.slice(0, 80)}" is not a DID`, { cause, hint });
  }
  return did;
}

function routerOf({ settings }: CommandContext): ServiceAddress {
  return { url: urlOf('router', settings.routerUrl, settings.dataDir), timeoutMs: requestTimeoutMs };
}

function say({ settings, print }: CommandContext, answer: object, text: string): number {
  print(settings.json ? `${JSON.stringify(answer)}\n` : `${text}\n`);
  return exitCode.done;
}

/** Hides an account from readers, or shows it again; nothing is removed. */
export const runRepoTakedown: Command = async (context) => {
  const did = didOf(context);
  const { undo } = context.settings;
  await callService(routerOf(context), undo ? 'UntakedownActor' : 'TakedownActor', { did });
  return say(context, { did, takenDown: !undo }, `${did}: ${undo ? 'shown again' : 'taken down'}`);
};

/** Removes all that is stored of a repo, or shows what that would be. */
export const runRepoPurge: Command = async (context) => {
  const did = didOf(context);
  if (!context.settings.dryRun) {
    await askIngest(context, '/v1/repo/purge', { did });
    const next = '`skyshard settle` waits for the end, `skyshard repo allow` takes it again';
    return say(
      context,
      { did, purged: true },
      `${did}: is being removed, and nothing of it is taken any more; ${next}`,
    );
  }
  const router = routerOf(context);
  const counts = await callService(router, 'GetCountsForUsers', { dids: [did] });
  const actor = listOf(await callService(router, 'GetActors', { dids: [did] }), 'actors')[0] ?? {};
  const names = ['posts', 'following', 'lists', 'feeds', 'starterPacks'] as const;
  const records = Object.fromEntries(names.map((name) => [name, numberAt(counts, name, 0)]));
  const handle = typeof actor['handle'] === 'string' ? actor['handle'] : '';
  const stored = names.map((name) => `${records[name]} ${name}`).join(', ');
  const text = `${did} (${handle || 'no handle'}): would lose ${stored}, its likes, reposts, blocks and notifications`;
  return say(context, { did, handle, exists: actor['exists'] === true, ...records }, text);
};

/** Takes what comes of a repo again. */
export const runRepoAllow: Command = async (context) => {
  const did = didOf(context);
  const answer = (await askIngest(context, '/v1/repo/allow', { did })) as { readonly wasRefused: boolean };
  return say(context, answer, `${did}: ${answer.wasRefused ? 'taken again, and fetched' : 'was not refused'}`);
};

/** Shows the repos of which nothing is taken. */
export const runRepoList: Command = async (context) => {
  type Refused = { readonly did: string; readonly sinceMs: number; readonly isRemoved: boolean };
  const { repos } = (await askIngest(context, '/v1/repos/refused')) as { readonly repos: readonly Refused[] };
  const rows = repos.map(({ did, sinceMs, isRemoved }) => [
    did,
    new Date(sinceMs).toISOString(),
    isRemoved ? 'removed' : 'being removed',
  ]);
  if (context.settings.json) context.print(`${JSON.stringify(repos, null, 2)}\n`);
  else context.print(textTable(['purged', 'since', 'state'], rows));
  return exitCode.done;
};
