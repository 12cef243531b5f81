/** `skyshard restore`: puts the slots of a backup into the folders of nodes that do not run. */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { openObjectShape, textShape, wholeNumberShape } from '../../config/json-shape.ts';
import { type Backup, BackupFolder } from '../../migrate/backup-folder.ts';
import { isIngestThere, restoreIngest } from '../../migrate/ingest-copy.ts';
import { CopyThreads } from '../../node/copy-task.ts';
import { isSlotThere, noteSlotsMade, restoreNotePath } from '../../node/slot-folders.ts';
import { type RestoredPart, restoredGeneration, restoreSlot } from '../../node/slot-restore.ts';
import { hasReplicas, rangesText, type ShardMap, slotsOfNode } from '../../shardmap/shard-map.ts';
import { requireDiskRoomIn } from '../../storage/disk-room.ts';
import { readDurable, writeDurably } from '../../storage/durable-file.ts';
import type { Command, CommandContext } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { readMapFile } from '../map-file.ts';
import { lockStopped } from '../process/stopped-folders.ts';
import { slotsOfList } from '../slot-list.ts';
import { bytesText, textTable } from '../text-table.ts';

/** The word that names ingest among the nodes of `--node`. */
const ingestWord = 'ingest';

/** What is restored into a node's folder, all of which was not there before. */
const noteShape = openObjectShape({
  backup: textShape,
  part: v.picklist(['all', 'some']),
  slots: v.array(wholeNumberShape(0, 65_535)),
});

type Target = {
  readonly node: string;
  readonly dataDir: string;
  readonly slots: readonly number[];
  /** Those of them that an earlier run has restored. */
  readonly slotsDone: readonly number[];
};

type Plan = {
  readonly folder: BackupFolder;
  readonly backup: Backup;
  readonly map: ShardMap;
  readonly part: RestoredPart;
  readonly targets: readonly Target[];
  /** The folder of ingest; null where it is not restored. */
  readonly ingestFolder: string | null;
};

function refuse(problem: string, hint: string): never {
  throw new DataPlaneError('ConfigInvalid', problem, { hint });
}

function requireSameCluster(folder: BackupFolder, map: ShardMap): void {
  const { cluster, slots } = folder.cluster;
  const hint = 'Give the map of the restored cluster by --map; its nodes may be others than before.';
  if (slots !== map.slots) refuse(`the backup is of ${slots} slots, and the map has ${map.slots}`, hint);
  if (cluster !== map.cluster) refuse(`the backup is of cluster "${cluster}", and the map of "${map.cluster}"`, hint);
}

/** Returns what of a node's slots an earlier run with the same wish has restored. */
function doneBefore({ backup, part }: Pick<Plan, 'backup' | 'part'>, dataDir: string, slots: readonly number[]) {
  const noted = readDurable(restoreNotePath(dataDir), noteShape);
  const there = slots.filter((slot) => isSlotThere(dataDir, slot));
  if (noted !== undefined && (noted.backup !== backup.id || noted.part !== part))
    refuse(
      `${dataDir} is in the middle of the restore of backup ${noted.backup}`,
      `Run that again: \`skyshard restore … --backup ${noted.backup}\`; or remove ${dataDir}, and begin anew.`,
    );
  const foreign = there.filter((slot) => noted?.slots.includes(slot) !== true);
  if (foreign.length > 0)
    refuse(
      `${dataDir} holds slots already: ${rangesText(foreign)}`,
      `Move away their folders below ${join(dataDir, 'slots')}: nothing is restored over data that is there.`,
    );
  return there;
}

function planOf(context: CommandContext): Plan {
  const { settings, operands } = context;
  const folder = BackupFolder.open(operands[0]!);
  const backup = folder.find(settings.backup);
  const { map } = readMapFile(settings.map);
  requireSameCluster(folder, map);
  const unknown = settings.node.find((name) => name !== ingestWord && !map.nodes.has(name));
  if (unknown !== undefined)
    refuse(`the map has no node "${unknown}"`, `Its nodes: ${[...map.nodes.keys()].join(', ')}.`);
  const isAll = settings.node.length === 0 && settings.slots.length === 0;
  const part: RestoredPart = isAll || settings.allRestored ? 'all' : 'some';
  const held = new Set(backup.copies.map(({ slot }) => slot));
  if (part === 'all' && held.size < map.slots)
    refuse(
      `backup ${backup.id} has ${held.size} of ${map.slots} slots, and cannot restore the whole cluster`,
      'Restore some by --slots into a cluster whose others go on; or take another backup (`skyshard backup list`).',
    );
  const named = settings.slots.length === 0 ? null : new Set(slotsOfList(settings.slots, map.slots));
  const lacking = named === null ? [] : [...named].filter((slot) => !held.has(slot));
  if (lacking.length > 0)
    refuse(`backup ${backup.id} has no slots ${rangesText(lacking)}`, '`skyshard backup list` shows what each holds.');
  const nodes =
    settings.node.length === 0 ? [...map.nodes.keys()] : settings.node.filter((name) => name !== ingestWord);
  const targets = nodes.flatMap((node): Target[] => {
    const slots = slotsOfNode(map, node).filter((slot) => named?.has(slot) !== false && held.has(slot));
    const dataDir = join(settings.dataDir, `node-${node}`);
    return slots.length === 0
      ? []
      : [{ node, dataDir, slots, slotsDone: doneBefore({ backup, part }, dataDir, slots) }];
  });
  const wantsIngest = isAll ? backup.ingest !== null : settings.node.includes(ingestWord);
  return { folder, backup, map, part, targets, ingestFolder: wantsIngest ? join(settings.dataDir, 'ingest') : null };
}

/** Errors: DataPlaneError, before anything is changed. */
function check({ backup, targets, ingestFolder }: Plan, dataDir: string): void {
  if (targets.length === 0 && ingestFolder === null)
    refuse('there is nothing of the backup to restore here', '`skyshard restore --help` shows what it takes.');
  if (ingestFolder !== null && backup.ingest === null)
    refuse(`backup ${backup.id} was made without ingest`, '`skyshard backup list` shows which has it.');
  const isDone = targets.length > 0 && targets.every(({ slots, slotsDone }) => slots.length === slotsDone.length);
  if (ingestFolder !== null && isIngestThere(ingestFolder) && !isDone)
    refuse(
      `${ingestFolder} holds the state of ingest already`,
      'Move it away: it knows of what is not in the backup. Nothing is restored over data that is there.',
    );
  const slots = new Set(
    targets.flatMap(({ slots: all, slotsDone }) => all.filter((slot) => !slotsDone.includes(slot))),
  );
  const bytes = backup.copies.filter(({ slot }) => slots.has(slot)).reduce((sum, copy) => sum + copy.bytes, 0);
  let disk = dataDir;
  while (!existsSync(disk)) disk = join(disk, '..');
  requireDiskRoomIn(disk, bytes + (ingestFolder === null ? 0 : backup.ingest!.bytes));
}

function planText({ backup, targets, ingestFolder, part }: Plan): string {
  const rows = targets.flatMap(({ node, slots, slotsDone }) =>
    slots.map((slot) => {
      const { seq, bytes } = backup.copies.find((copy) => copy.slot === slot)!;
      return [slot, node, seq, bytesText(bytes), slotsDone.includes(slot) ? 'restored' : 'would be restored'];
    }),
  );
  const table = rows.length === 0 ? '' : textTable(['slot', 'to', 'seq', 'bytes', ''], rows);
  const ingest = ingestFolder === null ? '' : `${ingestFolder} would be restored\n`;
  const how = part === 'all' ? 'as the whole cluster' : 'into a cluster whose other slots went on';
  return `${table}${ingest}from backup ${backup.id}, ${how}\n`;
}

/** Returns what is left to do, for people. */
function nextSteps({ backup, map, part, targets, ingestFolder }: Plan, incomplete: readonly number[]): string[] {
  const since = new Date(backup.startedMs).toISOString();
  const repairs = (slots: readonly number[]): string =>
    `\`skyshard repair slot <n>\` for each of ${rangesText(slots)}, which fetches what came in since ${since}`;
  const slots = targets.flatMap((target) => target.slots).sort((one, other) => one - other);
  if (part === 'some') {
    const start = targets.map(({ node }) => node).join(', ');
    return slots.length === 0 ? ['start ingest'] : [`start ${start}; then ${repairs(slots)}`];
  }
  const server = hasReplicas(map) ? ', which a map with replicas needs' : '';
  return [
    `for a log on NATS servers${server}: \`skyshard log migrate server\` on each machine, before anything starts`,
    'start all nodes and routers, then ingest; `skyshard settle` waits until the slots have sent each other what they owe',
    ...(ingestFolder !== null ? [`ingest reads on from where it was at ${since}`] : []),
    ...(backup.ingest === null
      ? [
          `the backup has no ingest: start that once with a --cursor from before ${since}, or fetch all by \`skyshard backfill\``,
        ]
      : []),
    `purge and erase again what was asked for since ${since}`,
    ...(incomplete.length > 0 ? [`some were incomplete in the backup: ${repairs(incomplete)}`] : []),
  ];
}

/** Restores what is left of one node. Returns the slots that are incomplete. */
async function restoreNode(
  context: CommandContext,
  { folder, backup, map, part }: Plan,
  { node, dataDir, slots, slotsDone }: Target,
  onSlot: () => string,
): Promise<number[]> {
  const { settings, clock, print } = context;
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  writeDurably(restoreNotePath(dataDir), `${JSON.stringify({ backup: backup.id, part, slots })}\n`);
  const generation = restoredGeneration(backup.copies, clock);
  const { signal } = new AbortController();
  const { slotMapBytes } = settings;
  const copyThreads = new CopyThreads();
  const incomplete: number[] = [];
  try {
    for (const slot of slots.filter((each) => !slotsDone.includes(each))) {
      const copy = backup.copies.find((each) => each.slot === slot)!;
      const to = { dataDir, slotMapBytes, cluster: map.cluster, part, generation, copyThreads, clock, signal };
      const condition = await restoreSlot(folder.copyPath(copy.name), copy, to);
      if (condition !== 'complete') incomplete.push(slot);
      const { seq, bytes } = copy;
      const how = onSlot();
      if (settings.json) print(`${JSON.stringify({ node, slot, seq, bytes, condition })}\n`);
      else print(`slot ${slot} of ${node}: restored at seq ${seq}, ${bytesText(bytes)} (${how})\n`);
    }
  } finally {
    await copyThreads[Symbol.asyncDispose]();
  }
  return incomplete;
}

/** Says that all of a node is restored: it may start. */
function endNode({ dataDir, slots }: Target): void {
  noteSlotsMade(dataDir, slots);
  rmSync(join(dataDir, 'restoring'), { recursive: true, force: true });
  rmSync(restoreNotePath(dataDir));
}

/** Changes nothing if anything is refused. Cut short, the same command goes on. */
export const runRestore: Command = async (context) => {
  const { settings, print } = context;
  const plan = planOf(context);
  check(plan, settings.dataDir);
  const { folder, backup, targets, part, ingestFolder } = plan;
  if (settings.dryRun) {
    const { id } = backup;
    print(settings.json ? `${JSON.stringify({ backup: id, part, targets, ingestFolder })}\n` : planText(plan));
    return exitCode.done;
  }
  const release = await lockStopped(context, targets);
  const incomplete: number[] = [];
  try {
    const total = targets.reduce((sum, { slots, slotsDone }) => sum + slots.length - slotsDone.length, 0);
    let done = 0;
    const onSlot = (): string => `${++done} of ${total}`;
    for (const target of targets) incomplete.push(...(await restoreNode(context, plan, target, onSlot)));
    // Last: ingest must not find slots that are still to come.
    if (ingestFolder !== null && !isIngestThere(ingestFolder)) {
      await restoreIngest(folder, backup.ingest!, ingestFolder);
      print(settings.json ? `${JSON.stringify({ ingest: ingestFolder })}\n` : `ingest: restored to ${ingestFolder}\n`);
    }
    for (const target of targets) endNode(target);
  } finally {
    await release();
  }
  const next = nextSteps(plan, incomplete);
  if (settings.json) print(`${JSON.stringify({ backup: backup.id, part, incomplete, next })}\n`);
  else print(`\nnext:\n${next.map((step, index) => `  ${index + 1}. ${step}\n`).join('')}`);
  return exitCode.done;
};
