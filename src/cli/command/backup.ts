/** `skyshard backup create | list | verify`: backups of the slots of a running cluster. */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { readTokenFile } from '../../config/secret-file.ts';
import { type Backup, BackupFolder, type SlotCopy, type UnfinishedBackup } from '../../migrate/backup-folder.ts';
import { backUpIngest, checkIngestCopy, isIngestThere } from '../../migrate/ingest-copy.ts';
import { askNodes, type BackupProgress, BackupRun, type PlannedSlot, planBackup } from '../../node/backup-run.ts';
import { CopyThreads } from '../../node/copy-task.ts';
import { differencesOf } from '../../node/slot-copy.ts';
import { sharedPartOf } from '../../shardmap/map-follower.ts';
import { heldSlotsOf, rangesText, type ShardMap } from '../../shardmap/shard-map.ts';
import { environmentFiles } from '../../storage/environment.ts';
import type { Command, CommandContext } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { readMapFile } from '../map-file.ts';
import { type ClusterClient, clusterClient } from '../process/cluster-client.ts';
import { lockFolder } from '../process/process-lock.ts';
import { slotsOfList } from '../slot-list.ts';
import { bytesText, textTable } from '../text-table.ts';

/** A backup that was cut short goes on within this time; later, another one begins. */
const goOnMsMax = 24 * 3_600_000;
const showEveryMs = 1_000;

/** The map that `up` wrote to the data folder, unless another one is given. */
function mapPathOf({ settings, resolved }: CommandContext): string {
  const beside = join(settings.dataDir, 'shard-map.json');
  return resolved.sourceByName.map === 'default' && existsSync(beside) ? beside : settings.map;
}

/** Calls the nodes of the map that is given; their newest one is asked for. */
function clientOf(context: CommandContext): ClusterClient {
  const { settings } = context;
  const mapPath = mapPathOf(context);
  const { raw, map } = readMapFile(mapPath);
  // `up` makes a token where none is configured.
  const made = join(settings.dataDir, 'cluster-token');
  const tokenFile = settings.clusterTokenFile ?? map.clusterTokenFile ?? (existsSync(made) ? made : null);
  const start = { json: raw, stored: { committed: null, prepared: null }, note: null };
  const token = readTokenFile(tokenFile, 'cluster token file');
  return clusterClient(context, { role: 'backup', start, folder: null, mapPath }, token);
}

/** Returns the slots that are asked for: of nodes, by number, or all. */
export function slotsAskedFor({ settings }: CommandContext, map: ShardMap): number[] {
  const unknown = settings.node.find((name) => !map.nodes.has(name));
  if (unknown !== undefined)
    throw new DataPlaneError('ConfigInvalid', `the map has no node "${unknown}"`, {
      hint: '`skyshard map show` prints the map in force.',
    });
  const all = Array.from({ length: map.slots }, (_unused, slot) => slot);
  const named = settings.slots.length === 0 ? all : slotsOfList(settings.slots, map.slots);
  const held = new Set(settings.node.flatMap((name) => heldSlotsOf(map, name)));
  const slots = settings.node.length === 0 ? named : named.filter((slot) => held.has(slot));
  if (slots.length > 0) return slots;
  throw new DataPlaneError('ConfigInvalid', `no such slot is at ${settings.node.join(', ')}`, {
    hint: '`skyshard status` lists the slots of each node.',
  });
}

/** Errors: DataPlaneError `ConfigInvalid` where ingest's folder is neither here nor left out. */
function ingestFolderOf({ settings }: CommandContext): string | null {
  const folder = join(settings.dataDir, 'ingest');
  if (settings.withoutIngest) return null;
  if (isIngestThere(folder)) return folder;
  throw new DataPlaneError('ConfigInvalid', `${folder} holds no state of ingest`, {
    hint: 'Run this on the machine of ingest, with its --data-dir; or leave ingest out by --without-ingest: then what came in after the backup is fetched from the hosts of the accounts once it is restored.',
  });
}

function planText(planned: readonly PlannedSlot[]): string {
  const rows = planned.map(({ slot, nodes, bytes, known }) => {
    const [from, size] = known === null ? [nodes[0]!, bytes] : ['-', known.bytes];
    return [slot, from, bytesText(size), known === null ? 'would be copied' : 'unchanged since the last copy'];
  });
  return textTable(['slot', 'from', 'bytes', ''], rows);
}

/** Shows how far it is, once a second and at the end of each slot. */
function progressShower({ settings, clock, print }: CommandContext): (progress: BackupProgress) => void {
  let [shownMs, shownSlots] = [clock.monotonicMs(), -1];
  const startedMs = clock.monotonicMs();
  return (progress) => {
    const nowMs = clock.monotonicMs();
    if (progress.slotsDone === shownSlots && nowMs - shownMs < showEveryMs) return;
    [shownMs, shownSlots] = [nowMs, progress.slotsDone];
    const perSecond = (1000 * progress.bytesDone) / Math.max(1, nowMs - startedMs);
    if (settings.json) return print(`${JSON.stringify({ progress })}\n`);
    const { slots, slotsDone, bytesDone } = progress;
    print(`${slotsDone} of ${slots} slots, ${bytesText(bytesDone)}, ${bytesText(Math.round(perSecond))}/s\n`);
  };
}

/** Returns the backup that goes on, or one that begins, and the copies that may be named again. */
function begin(
  context: CommandContext,
  folder: BackupFolder,
  map: Readonly<Record<string, unknown>>,
  slots: readonly number[],
): { readonly begun: UnfinishedBackup; readonly known: SlotCopy[] } {
  const { clock } = context;
  const left = folder.unfinished();
  const known = [...folder.backups(), ...[left ?? []].flat()].flatMap(({ copies }) => copies);
  const there = known.filter((copy) => folder.hasCopy(copy));
  const goesOn = left !== undefined && left.slots.join() === slots.join();
  if (goesOn && clock.nowMs() - left.startedMs < goOnMsMax) {
    const copies = left.copies.filter((copy) => folder.hasCopy(copy));
    return { begun: { ...left, copies }, known: there };
  }
  return { begun: folder.begin(map, slots, clock.nowMs()), known: there };
}

function requireNotDoubling({ isDoubling, slots }: ShardMap): void {
  if (!isDoubling) return;
  throw new DataPlaneError('ConfigInvalid', `slots are doubled to ${slots}, and a backup is of one number of slots`, {
    hint: '`skyshard slots status` says how far that is; make the backup once it is over.',
  });
}

async function copyAll(
  context: CommandContext,
  { maps, caller }: ClusterClient,
  folder: BackupFolder,
): Promise<{ readonly backup: Backup; readonly slotsCopied: number }> {
  const { settings, clock, log } = context;
  const { map } = maps;
  const slots = slotsAskedFor(context, map);
  const ingestFolder = ingestFolderOf(context);
  // What nobody can give is said before anything is written.
  planBackup(map, slots, await askNodes(map, caller), []);
  const { begun, known } = begin(context, folder, sharedPartOf(maps.held.json), slots);
  const ingest = begun.ingest ?? (ingestFolder === null ? null : await backUpIngest(folder, ingestFolder));
  const withIngest = { ...begun, ingest };
  folder.note(withIngest);
  // Asked after ingest was copied: what it knows to be there is in the copies.
  const planned = planBackup(map, slots, await askNodes(map, caller), known);
  const there = new Set(begun.copies.map(({ slot }) => slot));
  const run = new BackupRun(
    {
      folder,
      map: () => maps.map,
      caller,
      slotMapBytes: settings.slotMapBytes,
      throttle: settings.throttle,
      clock,
      onProgress: progressShower(context),
      onProblem: (slot, problem) => log('warn', `no copy of slot ${slot} yet: ${problem}`),
    },
    withIngest,
  );
  const backup = folder.finish(await run.run(planned), clock.nowMs());
  const slotsCopied = planned.filter(({ slot, known: copy }) => copy === null && !there.has(slot)).length;
  return { backup, slotsCopied };
}

function bytesOf({ copies, ingest }: UnfinishedBackup): number {
  return copies.reduce((sum, { bytes }) => sum + bytes, ingest?.bytes ?? 0);
}

async function showPlan(context: CommandContext, { maps, caller }: ClusterClient, path: string): Promise<number> {
  const { settings, print } = context;
  const slots = slotsAskedFor(context, maps.map);
  ingestFolderOf(context);
  const folder = BackupFolder.existingFor(path, maps.map);
  const known = (folder?.backups() ?? []).flatMap(({ copies }) => copies).filter((copy) => folder!.hasCopy(copy));
  const planned = planBackup(maps.map, slots, await askNodes(maps.map, caller), known);
  print(settings.json ? `${JSON.stringify({ slots: planned })}\n` : planText(planned));
  return exitCode.done;
}

/** Waits until all that was asked for is on disk. Goes on with a backup that was cut short. */
export const runBackupCreate: Command = async (context) => {
  const { settings, print, operands, clock } = context;
  const path = operands[0]!;
  const client = clientOf(context);
  try {
    // The file is that of the first start: slots have moved since, and nodes have come and gone.
    await client.process.reload();
    requireNotDoubling(client.maps.map);
    if (settings.dryRun) return await showPlan(context, client, path);
    const folder = BackupFolder.openFor(path, client.maps.map);
    const lock = await lockFolder(path, 'backup', clock, 0);
    try {
      const startedMs = clock.monotonicMs();
      const { backup, slotsCopied } = await copyAll(context, client, folder);
      const removed = folder.removeAllBut(settings.keep ?? Number.POSITIVE_INFINITY);
      const { id, copies } = backup;
      const [bytes, tookMs] = [bytesOf(backup), Math.round(clock.monotonicMs() - startedMs)];
      if (settings.json) {
        print(`${JSON.stringify({ backup: id, slots: copies.length, slotsCopied, bytes, tookMs, removed })}\n`);
        return exitCode.done;
      }
      const unchanged = copies.length - slotsCopied;
      print(
        `backup ${id}: ${copies.length} slots, ${bytesText(bytes)}; ${slotsCopied} copied now, ${unchanged} there already\n`,
      );
      for (const old of removed) print(`backup ${old} is removed\n`);
      print(`\`skyshard restore ${path} --backup ${id}\` restores it\n`);
      return exitCode.done;
    } finally {
      lock.release();
    }
  } finally {
    await client[Symbol.asyncDispose]();
  }
};

/** Shows the backups of a folder, with --json also the map of each. */
export const runBackupList: Command = async ({ settings, print, operands }) => {
  const folder = BackupFolder.open(operands[0]!);
  const backups = folder.backups();
  const left = folder.unfinished();
  if (settings.json) {
    print(`${JSON.stringify({ ...folder.cluster, backups, unfinished: left ?? null }, null, 2)}\n`);
    return exitCode.done;
  }
  const row = (backup: UnfinishedBackup, state: string) => {
    const { id, slots, copies, ingest, map } = backup;
    const [epoch, held] = [map['epoch'] as number, `${copies.length} of ${folder.cluster.slots}`];
    const what = copies.length < slots.length ? `${state}, ${slots.length - copies.length} to come` : state;
    return [id, epoch, held, bytesText(bytesOf(backup)), ingest === null ? 'no' : 'yes', what];
  };
  const rows = [
    ...backups.map((backup) => row(backup, 'whole')),
    ...[left ?? []].flat().map((backup) => row(backup, 'unfinished')),
  ];
  print(textTable(['backup', 'epoch', 'slots', 'bytes', 'ingest', ''], rows));
  return exitCode.done;
};

/** Returns why a copy cannot be restored, or null. */
async function problemOf(
  folder: BackupFolder,
  copy: SlotCopy,
  mapBytes: number,
  copyThreads: CopyThreads,
): Promise<string | null> {
  const { name, ...said } = copy;
  if (!folder.hasCopy(copy)) return 'it is not there in its full length';
  const path = folder.copyPath(name);
  try {
    const task = { from: null, folder: path, slot: said.slot, mapBytes, fileDigest: said.fileDigest };
    const found = await copyThreads.run(task, new AbortController().signal);
    const differences = differencesOf(found, said);
    return differences.length === 0 ? null : `it differs in ${differences.join(', ')} from what the backup says`;
  } catch (thrown) {
    return (thrown as Error).message;
  } finally {
    rmSync(join(path, environmentFiles.lock), { force: true });
  }
}

/** Reads every copy through that a backup needs, each once. */
export const runBackupVerify: Command = async ({ settings, print, operands, clock }) => {
  const path = operands[0]!;
  const folder = BackupFolder.open(path);
  const backups = settings.backup === null ? folder.backups() : [folder.find(settings.backup)];
  if (backups.length === 0) folder.find(null);
  const copyThreads = new CopyThreads();
  const lock = await lockFolder(path, 'backup', clock, 0);
  const problems: { readonly name: string; readonly problem: string }[] = [];
  try {
    const copies = new Map(backups.flatMap((backup) => backup.copies).map((copy) => [copy.name, copy]));
    const ingests = new Map(backups.flatMap(({ ingest }) => [ingest ?? []].flat()).map((copy) => [copy.name, copy]));
    let done = 0;
    const show = (name: string, problem: string | null): void => {
      done++;
      if (problem !== null) problems.push({ name, problem });
      const total = copies.size + ingests.size;
      if (settings.json) print(`${JSON.stringify({ name, problem, done, total })}\n`);
      else print(`${name}: ${problem ?? 'whole'} (${done} of ${total})\n`);
    };
    for (const copy of copies.values())
      show(copy.name, await problemOf(folder, copy, settings.slotMapBytes, copyThreads));
    for (const copy of ingests.values()) {
      const file = join(folder.copyPath(copy.name), environmentFiles.data);
      show(
        copy.name,
        await checkIngestCopy(file, copy).then(
          () => null,
          (thrown: Error) => thrown.message,
        ),
      );
    }
  } finally {
    await copyThreads[Symbol.asyncDispose]();
    lock.release();
  }
  if (problems.length === 0) return exitCode.done;
  const bad = new Set(problems.map(({ name }) => name));
  for (const { id, copies, ingest } of backups) {
    const slots = copies.filter(({ name }) => bad.has(name)).map(({ slot }) => slot);
    const lost = [
      ...(slots.length > 0 ? [`slots ${rangesText(slots)}`] : []),
      ...(bad.has(ingest?.name ?? '') ? ['ingest'] : []),
    ];
    if (lost.length > 0 && !settings.json) print(`backup ${id} cannot restore ${lost.join(' and ')}\n`);
  }
  return exitCode.failed;
};
