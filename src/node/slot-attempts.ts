/**
 * What a node was about to do with a slot's file, so that a damaged one, at which the storage
 * library may end the process, is found at the next start.
 *
 * Owns: `attempts/<slot>.<what>` in the data folder, there while it is done; not synced, since it
 * has to outlive the process, not the machine. The file of a replica that has ended its process is
 * set aside, and the replica begins again from a copy, as one whose folder is empty. Refuses to
 * remove it: it may be the last copy there is.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ShardMap } from '../shardmap/shard-map.ts';
import { slotPath } from './data-folder.ts';

/** `open` goes before everything else; `read` is a reading of all rows. */
export type SlotAttempt = 'open' | 'read';

/**
 * How often a process may end in it: opening is part of every start, and what ended that may have
 * been anything.
 */
const deathsMax: Readonly<Record<SlotAttempt, number>> = { open: 2, read: 1 };
const saidOf: Readonly<Record<SlotAttempt, string>> = { open: 'opened', read: 'read through' };

function attemptsPath(dataDir: string): string {
  return join(dataDir, 'attempts');
}

/** Where the file of a slot is after it was set aside. */
export function damagedPath(dataDir: string, slot: number): string {
  return join(dataDir, 'damaged', String(slot).padStart(5, '0'));
}

/** Notes that something is begun. Returns what notes that it has ended, and the process has not. */
export function beginAttempt(dataDir: string, slot: number, what: SlotAttempt): () => void {
  const path = join(attemptsPath(dataDir), `${slot}.${what}`);
  mkdirSync(attemptsPath(dataDir), { recursive: true, mode: 0o700 });
  const deaths = existsSync(path) ? Number(readFileSync(path, 'utf8')) : 0;
  writeFileSync(path, String(deaths + 1), { mode: 0o600 });
  return () => rmSync(path, { force: true });
}

export type SetAsideOptions = {
  readonly dataDir: string;
  readonly name: string;
  readonly map: ShardMap;
  readonly note: (message: string, fields: Record<string, unknown>) => void;
};

/** Sets the files of replicas aside at which earlier processes have ended; none is open yet. */
export function setAsideDamaged({ dataDir, name, map, note }: SetAsideOptions): void {
  const folder = attemptsPath(dataDir);
  if (!existsSync(folder)) return;
  for (const file of readdirSync(folder)) {
    const [slot, what] = [Number.parseInt(file, 10), file.endsWith('.read') ? 'read' : 'open'] as const;
    if (Number(readFileSync(join(folder, file), 'utf8')) < deathsMax[what]) continue;
    const said = `slot ${slot} ended this process as it was ${saidOf[what]}`;
    const shard = map.shards.find(({ slots }) => slots.includes(slot));
    if (shard?.replicas.includes(name) !== true) {
      const todo = `make another node its primary by \`skyshard promote --all-from ${name}\`, then start this one`;
      note(`${said}, and is not set aside here: ${shard?.primary === name ? todo : 'it is not served'}`, { slot });
      continue;
    }
    rmSync(join(folder, file));
    if (!existsSync(slotPath(dataDir, slot))) continue;
    const aside = damagedPath(dataDir, slot);
    rmSync(aside, { recursive: true, force: true });
    mkdirSync(join(dataDir, 'damaged'), { recursive: true, mode: 0o700 });
    renameSync(slotPath(dataDir, slot), aside);
    note(`${said}: its file is set aside, and it begins again from a copy`, { slot, aside });
  }
}
