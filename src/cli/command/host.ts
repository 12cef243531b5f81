/** `skyshard host block | unblock | limit | list`: what ingest takes of a host and asks of it. */
import { DataPlaneError } from '../../base/data-plane-error.ts';
import type { ListedHost } from '../../ingest/host-policy.ts';
import type { Command, CommandContext } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { askIngest } from '../process/ask-process.ts';
import { textTable } from '../text-table.ts';

/** Null without a rule. */
function ruleText({ isBlocked, eventsPerSecond, requestsPerSecond }: ListedHost): string | null {
  const parts = [
    isBlocked ? 'blocked' : null,
    eventsPerSecond === null ? null : `${eventsPerSecond} events/s`,
    requestsPerSecond === null ? null : `${requestsPerSecond} requests/s`,
  ];
  return parts.filter((part) => part !== null).join(', ') || null;
}

async function change(context: CommandContext, verb: 'block' | 'unblock' | 'limit', more: object): Promise<number> {
  const { settings, operands, print } = context;
  const listed = (await askIngest(context, `/v1/host/${verb}`, { host: operands[0], ...more })) as ListedHost;
  print(settings.json ? `${JSON.stringify(listed)}\n` : `${listed.host}: ${ruleText(listed) ?? 'no rule'}\n`);
  return exitCode.done;
}

export const runHostBlock: Command = (context) => change(context, 'block', {});
export const runHostUnblock: Command = (context) => change(context, 'unblock', {});

/** Sets the limits that are given; 0 ends one. */
export const runHostLimit: Command = (context) => {
  const { eventsPerSecond, requestsPerSecond } = context.settings;
  if (eventsPerSecond === null && requestsPerSecond === null) {
    const problem = 'give --events-per-second, --requests-per-second or both; 0 ends a limit';
    const hint = '`skyshard host limit --help` shows what it takes.';
    throw new DataPlaneError('InvalidArgument', problem, { hint });
  }
  return change(context, 'limit', {
    ...(eventsPerSecond === null ? {} : { eventsPerSecond: eventsPerSecond || null }),
    ...(requestsPerSecond === null ? {} : { requestsPerSecond: requestsPerSecond || null }),
  });
};

/** Shows hosts with rules, then those that sent most since ingest started. */
export const runHostList: Command = async (context) => {
  const { hosts } = (await askIngest(context, '/v1/hosts')) as { readonly hosts: readonly ListedHost[] };
  if (context.settings.json) context.print(`${JSON.stringify(hosts, null, 2)}\n`);
  else {
    const rows = hosts.map((listed) => [
      listed.host,
      ruleText(listed) ?? '-',
      listed.events,
      listed.drops,
      listed.failures,
    ]);
    context.print(textTable(['host', 'rule', 'events', 'drops', 'failures'], rows));
  }
  return exitCode.done;
};
