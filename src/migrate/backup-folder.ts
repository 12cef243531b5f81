/**
 * A folder of backups: which there are, and which copies each of them needs.
 *
 * `skyshard-backups.json` says of which cluster the folder is. `backups/<id>.json` is one backup,
 * written last, so that it is whole or not there; `unfinished.json` is one that is being made.
 * `copies/<name>/data.mdb` is a copy of a slot or of ingest's state. A copy is never changed, and
 * any number of backups name it: that of a slot of which nothing has changed is not made again.
 * Refuses: a folder that holds something else, or backups of another cluster.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { objectShape, openObjectShape, recordShape, textShape, wholeNumberShape } from '../config/json-shape.ts';
import { readDurable, syncFolder, writeDurably } from '../storage/durable-file.ts';
import { environmentFiles } from '../storage/environment.ts';
import { snapshotManifest } from '../wire/slot-snapshot.ts';

const identityName = 'skyshard-backups.json';
const unfinishedName = 'unfinished.json';
const backupsName = 'backups';
const copiesName = 'copies';
const incomingName = 'incoming';
const folderFormat = 1;

const count = wholeNumberShape(0, Number.MAX_SAFE_INTEGER);
const copyNameShape = v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9-]{0,120}$/, 'must be the name of a copy'));
const slotCopyShape = v.object({ name: copyNameShape, ...snapshotManifest.entries });
const ingestCopyShape = v.object({
  name: copyNameShape,
  bytes: count,
  fileDigest: v.string(),
  /** The small files beside the state, by name: their texts. */
  files: recordShape(v.picklist(['cluster', 'slots-seen.json']), v.string()),
});

const contents = {
  id: v.pipe(v.string(), v.regex(/^\d{8}t\d{6}z(?:-\d+)?$/, 'must be the id of a backup')),
  /** Units: ms since 1970. */
  startedMs: count,
  /** The map that was in force when it began, without what is a machine's own. */
  map: recordShape(v.string(), v.unknown()),
  /** The slots that it is to hold, ascending. */
  slots: v.array(count, 'must be an array of slots'),
  copies: v.array(slotCopyShape, 'must be an array of copies'),
  /** Null where the backup is without ingest, or has not come to it yet. */
  ingest: v.nullable(ingestCopyShape),
};
const unfinishedShape = openObjectShape(contents);
const backupShape = openObjectShape({ ...contents, endedMs: count });
const identityShape = objectShape({ format: count, cluster: v.string(), slots: count });
const nameOnly = openObjectShape({ id: textShape });

export type SlotCopy = Readonly<v.InferOutput<typeof slotCopyShape>>;
export type IngestCopy = Readonly<v.InferOutput<typeof ingestCopyShape>>;
export type UnfinishedBackup = Readonly<v.InferOutput<typeof unfinishedShape>>;
export type Backup = Readonly<v.InferOutput<typeof backupShape>>;
export type BackedUpCluster = { readonly cluster: string; readonly slots: number };

function refuse(problem: string, hint: string): never {
  throw new DataPlaneError('ConfigInvalid', problem, { hint });
}

/** Returns the id of a backup that begins at a time; it sorts as the time does. */
function idOf(startedMs: number): string {
  return `${new Date(startedMs).toISOString().slice(0, 19).replaceAll(/[-:]/g, '').toLowerCase()}z`;
}

/** Returns the name of a copy of a slot: another one has another name. */
export function copyNameOf({ slot, generation, seq, fileDigest }: Omit<SlotCopy, 'name'>): string {
  return `slot-${String(slot).padStart(5, '0')}-${generation}-${seq}-${fileDigest.slice(0, 12)}`;
}

export class BackupFolder {
  readonly path: string;
  readonly cluster: BackedUpCluster;

  private constructor(path: string, cluster: BackedUpCluster) {
    this.path = path;
    this.cluster = cluster;
  }

  /**
   * Opens a folder of backups.
   *
   * Errors: DataPlaneError `NotFound` where there is none, `ConfigInvalid` for one that holds
   * something else, or what a newer version wrote.
   */
  static open(path: string): BackupFolder {
    const identity = readDurable(join(path, identityName), identityShape);
    if (identity === undefined) {
      const problem = existsSync(path) ? `${path} holds no backups` : `there is no folder ${path}`;
      throw new DataPlaneError('NotFound', problem, { hint: 'Name the folder that `skyshard backup` has written.' });
    }
    const { format, ...cluster } = identity;
    if (format !== folderFormat)
      refuse(`${path} has format ${format}, not ${folderFormat}`, 'Use the version of skyshard that has written it.');
    return new BackupFolder(path, cluster);
  }

  /**
   * Returns the folder of a cluster's backups, or null where there is none yet and it can be made.
   *
   * Errors: DataPlaneError `ConfigInvalid` where it holds something else, or of another cluster.
   */
  static existingFor(path: string, { cluster, slots }: BackedUpCluster): BackupFolder | null {
    if (!existsSync(join(path, identityName))) {
      const others = existsSync(path) ? readdirSync(path) : [];
      if (others.length > 0) refuse(`${path} holds something else: ${others[0]}`, 'Name an empty or a new folder.');
      return null;
    }
    const folder = BackupFolder.open(path);
    const { cluster: found } = folder;
    if (found.cluster === cluster && found.slots === slots) return folder;
    const doubled = 'Its slots were doubled since: name a new folder. What is here restores the cluster of before.';
    refuse(
      `${path} holds backups of cluster "${found.cluster}" with ${found.slots} slots, and this is "${cluster}" with ${slots}`,
      found.cluster === cluster && found.slots < slots ? doubled : 'Name another folder; each cluster has its own.',
    );
  }

  /** Opens the folder of a cluster's backups, or makes it. Errors: as `existingFor`. */
  static openFor(path: string, { cluster, slots }: BackedUpCluster): BackupFolder {
    if (BackupFolder.existingFor(path, { cluster, slots }) === null) {
      mkdirSync(path, { recursive: true, mode: 0o700 });
      writeDurably(join(path, identityName), `${JSON.stringify({ format: folderFormat, cluster, slots })}\n`);
    }
    const folder = BackupFolder.open(path);
    for (const name of [backupsName, copiesName]) mkdirSync(join(path, name), { recursive: true, mode: 0o700 });
    return folder;
  }

  /** The backups that are whole, oldest first. Errors: DataPlaneError `ConfigInvalid`. */
  backups(): Backup[] {
    const folder = join(this.path, backupsName);
    const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.json')) : [];
    return names.sort().map((name) => {
      const path = join(folder, name);
      const { id } = readDurable(path, nameOnly)!;
      if (`${id}.json` !== name) refuse(`${path} is of backup ${id}`, 'Put back the file that belongs there.');
      return readDurable(path, backupShape)!;
    });
  }

  /** Returns a backup, by default the last. Errors: DataPlaneError `NotFound`. */
  find(id: string | null): Backup {
    const all = this.backups();
    const found = id === null ? all.at(-1) : all.find((each) => each.id === id);
    if (found !== undefined) return found;
    const what = id === null ? `${this.path} has no whole backup yet` : `${this.path} has no backup ${id}`;
    throw new DataPlaneError('NotFound', what, { hint: `\`skyshard backup list ${this.path}\` lists them.` });
  }

  /** The backup that was begun and has not ended, if any. */
  unfinished(): UnfinishedBackup | undefined {
    return readDurable(join(this.path, unfinishedName), unfinishedShape);
  }

  /** Begins a backup; one that is unfinished is given up, and its copies stay for this one. */
  begin(map: Readonly<Record<string, unknown>>, slots: readonly number[], startedMs: number): UnfinishedBackup {
    const base = idOf(startedMs);
    const taken = new Set(this.backups().map(({ id }) => id));
    let id = base;
    for (let number = 2; taken.has(id); number++) id = `${base}-${number}`;
    const begun = { id, startedMs, map: { ...map }, slots: [...slots], copies: [], ingest: null };
    this.note(begun);
    return begun;
  }

  /** Notes how far a backup is. Returns when that is on disk. */
  note(backup: UnfinishedBackup): void {
    writeDurably(join(this.path, unfinishedName), `${JSON.stringify(backup)}\n`);
  }

  /** Makes a backup count. Returns when that is on disk. */
  finish(backup: UnfinishedBackup, endedMs: number): Backup {
    const whole = { ...backup, endedMs };
    writeDurably(join(this.path, backupsName, `${backup.id}.json`), `${JSON.stringify(whole)}\n`);
    rmSync(join(this.path, unfinishedName), { force: true });
    return whole;
  }

  /** Returns the folder of a copy. */
  copyPath(name: string): string {
    return join(this.path, copiesName, name);
  }

  /** Returns the folder in which a copy arrives. */
  incomingPath(what: string): string {
    return join(this.path, incomingName, what);
  }

  /** True where a copy is there in its full length; `skyshard backup verify` reads it through. */
  hasCopy({ name, bytes }: { readonly name: string; readonly bytes: number }): boolean {
    const path = join(this.copyPath(name), environmentFiles.data);
    return statSync(path, { throwIfNoEntry: false })?.size === bytes;
  }

  /** Takes in a copy that has arrived. Returns when that is on disk. */
  keep(what: string, name: string): void {
    const incoming = this.incomingPath(what);
    rmSync(join(incoming, environmentFiles.lock), { force: true });
    syncFolder(incoming);
    rmSync(this.copyPath(name), { recursive: true, force: true });
    renameSync(incoming, this.copyPath(name));
    syncFolder(join(this.path, copiesName));
  }

  /**
   * Removes all backups but the last ones, what of copies no backup names, and what has arrived in
   * part. Returns the ids of the backups that were removed.
   */
  removeAllBut(keep: number): string[] {
    const all = this.backups();
    const removed = all.slice(0, Math.max(0, all.length - keep)).map(({ id }) => id);
    // A backup goes before its copies: one that is there has all that it names.
    for (const id of removed) rmSync(join(this.path, backupsName, `${id}.json`));
    if (removed.length > 0) syncFolder(join(this.path, backupsName));
    const left: readonly UnfinishedBackup[] = [...all.slice(removed.length), ...[this.unfinished() ?? []].flat()];
    const needed = new Set(left.flatMap(({ copies, ingest }) => [...copies, ...[ingest ?? []].flat()]).map(nameOf));
    for (const name of readdirSync(join(this.path, copiesName)))
      if (!needed.has(name)) rmSync(this.copyPath(name), { recursive: true });
    rmSync(join(this.path, incomingName), { recursive: true, force: true });
    return removed;
  }
}

function nameOf({ name }: { readonly name: string }): string {
  return name;
}
