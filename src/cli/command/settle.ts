/** `skyshard settle`: waits until everything received is applied everywhere, effects included. */
import type { Settled } from '../../router/settle.ts';
import type { Command } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { askRouter } from '../process/ask-process.ts';

/** Beyond the router's own timeout, so that its answer, which says what is late, comes first. */
const graceMs = 5_000;

export const runSettle: Command = async (context) => {
  const { settings, print } = context;
  const { timeoutMs } = settings;
  const answer = (await askRouter(context, '/v1/settle', { timeoutMs }, timeoutMs + graceMs)) as Settled;
  const text = `settled by ${answer.by}: everything that had come in is applied\n`;
  print(settings.json ? `${JSON.stringify(answer)}\n` : text);
  return exitCode.done;
};
