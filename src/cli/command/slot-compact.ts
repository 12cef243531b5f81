/** `skyshard slot compact`: copies the file of a slot into full pages, while the slot serves. */
import { DataPlaneError } from '../../base/data-plane-error.ts';
import type { SlotCompaction } from '../../wire/slot-compaction.ts';
import type { Command } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { askRouter } from '../process/ask-process.ts';
import { bytesText } from '../text-table.ts';

const progressEveryMs = 1_000;

function lineOf({ slot, phase, rows, rowsDone }: SlotCompaction): string {
  if (phase === 'waiting') return `slot ${slot}: waits for another slot of its node\n`;
  const percent = rows === 0 ? 100 : Math.floor((rowsDone * 100) / rows);
  return `slot ${slot}: ${percent}% of ${rows.toLocaleString('en-US')} rows are copied\n`;
}

/** Waits for the end, which the node reaches without it, too. */
export const runSlotCompact: Command = async (context) => {
  const { settings, operands, print, clock } = context;
  const slot = Number(operands[0]);
  if (!Number.isInteger(slot) || slot < 0) {
    throw new DataPlaneError('InvalidArgument', `"${operands[0]?.slice(0, 20)}" is not a slot`, {
      hint: '`skyshard status` lists the slots.',
    });
  }
  const ask = async (action: 'begin' | 'look'): Promise<SlotCompaction> =>
    (await askRouter(context, '/v1/compact', { slot, action })) as SlotCompaction;
  let compaction = await ask(settings.dryRun ? 'look' : 'begin');
  if (settings.dryRun) {
    const { bytes, packedBytes } = compaction;
    const text = `slot ${slot}: about ${bytesText(bytes - packedBytes)} of ${bytesText(bytes)} would be freed\n`;
    print(settings.json ? `${JSON.stringify(compaction)}\n` : text);
    return exitCode.done;
  }
  let shown = '';
  while (compaction.phase === 'waiting' || compaction.phase === 'copying') {
    const line = settings.json ? `${JSON.stringify(compaction)}\n` : lineOf(compaction);
    if (line !== shown) print(line);
    shown = line;
    await clock.sleep(progressEveryMs);
    compaction = await ask('look');
  }
  const { phase, bytes, bytesBefore, problem } = compaction;
  if (phase === 'failed') throw new DataPlaneError('StorageFull', `slot ${slot} is not compacted: ${problem}`);
  if (phase === 'none') {
    throw new DataPlaneError('Unavailable', `slot ${slot}: it is split, or its node was started again meanwhile`, {
      hint: `Nothing is lost; \`skyshard slot compact ${slot}\` begins again.`,
    });
  }
  const text = `slot ${slot}: ${bytesText(bytes)}, and ${bytesText(Math.max(0, bytesBefore - bytes))} are freed\n`;
  print(settings.json ? `${JSON.stringify(compaction)}\n` : text);
  return exitCode.done;
};
