/** `skyshard settle`: waits until everything received is applied everywhere, effects included. */
import type { Settled } from '../../router/settle.ts';
import { readClientToken } from '../access-files.ts';
import { adminRequest } from '../admin-request.ts';
import type { Command } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { urlOf } from '../process/run-file.ts';

/** Beyond the router's own timeout, so that its answer, which says what is late, comes first. */
const graceMs = 5_000;

export const runSettle: Command = async ({ settings, print }) => {
  const answer = (await adminRequest({
    url: urlOf('router', settings.routerUrl, settings.dataDir),
    path: '/v1/settle',
    body: { timeoutMs: settings.timeoutMs },
    token: readClientToken(settings),
    timeoutMs: settings.timeoutMs + graceMs,
  })) as Settled;
  const text = `settled by ${answer.by}: everything that had come in is applied\n`;
  print(settings.json ? `${JSON.stringify(answer)}\n` : text);
  return exitCode.done;
};
