/** `skyshard map show | diff | push`: the shard map of a running cluster. */
import { basename } from 'node:path';
import type { PushReport } from '../../mapchange/map-push.ts';
import { differencesOf, type MapDifference } from '../../shardmap/map-change.ts';
import { parseShardMap } from '../../shardmap/shard-map.ts';
import type { MapChangeNote } from '../../wire/map-messages.ts';
import type { Command } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { readMapFile } from '../map-file.ts';
import { askRouter } from '../process/ask-process.ts';
import { pushMap } from '../process/push-map.ts';
import { textTable } from '../text-table.ts';

type Shown = { readonly epoch: number; readonly map: Readonly<Record<string, unknown>> };

function differencesText(changes: readonly MapDifference[]): string {
  if (changes.length === 0) return 'nothing changes\n';
  const rows = changes.map(({ what, name, before, after }) => [what, name, before ?? '-', after ?? '-']);
  return textTable(['what', 'of', 'before', 'after'], rows);
}

/** Prints the map in force, as a file that can be changed and pushed. */
export const runMapShow: Command = async (context) => {
  const shown = (await askRouter(context, '/v1/map')) as Shown;
  context.print(`${JSON.stringify(context.settings.json ? shown : shown.map, null, 2)}\n`);
  return exitCode.done;
};

/** Shows who changed the map and why, as the nodes have noted it. */
export const runMapLog: Command = async (context) => {
  const { changes } = (await askRouter(context, '/v1/map')) as { readonly changes: readonly MapChangeNote[] };
  if (context.settings.json) context.print(changes.map((change) => `${JSON.stringify(change)}\n`).join(''));
  else if (changes.length === 0) context.print('no change of the map was pushed yet\n');
  else
    for (const { epoch, atMs, by, what, changes: texts } of changes) {
      context.print(`epoch ${epoch}  ${new Date(atMs).toISOString()}  ${by || '-'}  ${what || '-'}\n`);
      context.print(texts.map((text) => `  ${text}\n`).join(''));
    }
  return exitCode.done;
};

/** Compares a file with the map in force. */
export const runMapDiff: Command = async (context) => {
  const { settings, print, operands } = context;
  const { map: after } = readMapFile(operands[0]!);
  const shown = (await askRouter(context, '/v1/map')) as Shown;
  const changes = differencesOf(parseShardMap(shown.map), after);
  if (settings.json) print(`${JSON.stringify({ before: shown.epoch, after: after.epoch, changes }, null, 2)}\n`);
  else print(`epoch ${shown.epoch} is in force, ${after.epoch} in the file\n\n${differencesText(changes)}`);
  return exitCode.done;
};

function reportText({ epoch, isDryRun, isRepeated, changes, nodes, others }: PushReport): string {
  const head = isDryRun
    ? `epoch ${epoch} can be pushed`
    : `epoch ${epoch} is in force${isRepeated ? ', as it was before' : ''}`;
  const rows = [
    ...nodes.map(({ name, state, problem }) => [name, 'node', state, problem ?? '']),
    ...others.map(({ name, role, hasIt }) => [
      name,
      role,
      hasIt ? 'has it' : isDryRun ? 'asks for it' : 'missed it',
      '',
    ]),
  ];
  const missed = rows.some(([, , state]) => state === 'missed it');
  const late =
    missed && !isDryRun ? '\nwho missed it answers nothing until it has the map, and asks for it by itself\n' : '';
  return `${head}\n\n${differencesText(changes)}\n${textTable(['process', 'role', 'state', 'problem'], rows)}${late}`;
}

/** Puts a file's map in force. Its errors leave everything as it was. */
export const runMapPush: Command = async (context) => {
  const { settings, print, operands } = context;
  const { raw } = readMapFile(operands[0]!);
  const report = await pushMap(context, raw, `map push ${basename(operands[0]!)}`);
  print(settings.json ? `${JSON.stringify(report, null, 2)}\n` : reportText(report));
  return exitCode.done;
};
