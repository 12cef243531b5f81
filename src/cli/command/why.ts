/** `skyshard why`: what differs between the network and the slots about one account or record. */
import type { WhyAnswer } from '../../ingest/why.ts';
import type { Command } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { askIngest } from '../process/ask-process.ts';

/** Prints each finding with the command that mends it. */
export const runWhy: Command = async (context) => {
  const { settings, operands, print } = context;
  const about = operands[0]!;
  const answer = (await askIngest(context, `/v1/why?about=${encodeURIComponent(about)}`)) as WhyAnswer;
  if (settings.json) print(`${JSON.stringify(answer, null, 2)}\n`);
  else {
    print(answer.did === about ? `${about}\n` : `${about} (${answer.did})\n`);
    if (answer.findings.length === 0) print('  nothing differs: what its host has is stored and shown\n');
    for (const { code, text, next } of answer.findings) {
      print(`  ${code}: ${text}\n${next === '' ? '' : `    ${next}\n`}`);
    }
  }
  return exitCode.done;
};
