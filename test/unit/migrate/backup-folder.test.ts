/** Folders of backups: what is refused, what counts, what is let go of. */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DataPlaneError } from '../../../src/base/data-plane-error.ts';
import { BackupFolder, copyNameOf, type SlotCopy } from '../../../src/migrate/backup-folder.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';

const cluster = { cluster: 'west', slots: 2 };
const startedMs = Date.UTC(2026, 0, 31, 12);
const digest = 'a'.repeat(64);

let folder: string;
beforeEach(() => {
  folder = makeMemoryFolder('skyshard-backups-');
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Puts a copy of four bytes into a folder of backups, as one that has arrived. */
function keepCopy(backups: BackupFolder, slot: number, seq: number): SlotCopy {
  const manifest = {
    format: 1,
    rows: 5,
    ...cluster,
    slot,
    generation: 7,
    seq,
    bytes: 4,
    fileDigest: digest,
    stateDigest: digest,
  };
  const copy = { name: copyNameOf(manifest), ...manifest };
  const incoming = backups.incomingPath(`slot-${slot}`);
  mkdirSync(incoming, { recursive: true });
  writeFileSync(join(incoming, 'data.mdb'), 'rows');
  backups.keep(`slot-${slot}`, copy.name);
  return copy;
}

describe('a folder of backups', () => {
  it('is made where nothing is, and opened again by the same cluster alone', () => {
    const path = join(folder, 'new');
    expect(() => BackupFolder.open(path)).toThrow(`there is no folder ${path}`);
    BackupFolder.openFor(path, cluster);
    expect(BackupFolder.openFor(path, cluster).cluster).toEqual(cluster);
    expect(BackupFolder.open(path).cluster).toEqual(cluster);
    expect(() => BackupFolder.openFor(path, { ...cluster, cluster: 'east' })).toThrow('backups of cluster "west"');
    expect(() => BackupFolder.openFor(path, { ...cluster, slots: 4 })).toThrow('with 2 slots');
    const hintFor = (slots: number): string | undefined => {
      try {
        BackupFolder.existingFor(path, { ...cluster, slots });
      } catch (thrown) {
        return (thrown as DataPlaneError).hint;
      }
      return undefined;
    };
    expect(hintFor(4)).toContain('Its slots were doubled since: name a new folder');
    expect(hintFor(1)).toContain('Name another folder');
  });

  it('is only looked at before a backup begins', () => {
    const path = join(folder, 'new');
    expect(BackupFolder.existingFor(path, cluster)).toBe(null);
    expect(BackupFolder.existingFor(folder, cluster)).toBe(null);
    expect(readdirSync(folder)).toEqual([]);
    BackupFolder.openFor(path, cluster);
    expect(BackupFolder.existingFor(path, cluster)?.cluster).toEqual(cluster);
  });

  it('is not made where something else is, and of another format not read', () => {
    writeFileSync(join(folder, 'photo.jpg'), 'x');
    expect(() => BackupFolder.openFor(folder, cluster)).toThrow('holds something else: photo.jpg');
    expect(() => BackupFolder.open(folder)).toThrow('holds no backups');
    writeFileSync(join(folder, 'skyshard-backups.json'), JSON.stringify({ format: 2, ...cluster }));
    expect(() => BackupFolder.open(folder)).toThrow('has format 2, not 1');
    writeFileSync(join(folder, 'skyshard-backups.json'), '{"format":1');
    expect(() => BackupFolder.open(folder)).toThrow('skyshard-backups.json');
  });

  it('refuses a backup that was renamed, or that names a copy elsewhere', () => {
    const backups = BackupFolder.openFor(folder, cluster);
    const copy = keepCopy(backups, 0, 1);
    const { id } = backups.finish({ ...backups.begin({}, [0], startedMs), copies: [copy] }, startedMs);
    const path = join(folder, 'backups', `${id}.json`);
    const escaping = { ...backups.find(id), copies: [{ ...copy, name: '../../etc' }] };
    writeFileSync(path, JSON.stringify(escaping));
    expect(() => backups.find(null)).toThrow('must be the name of a copy');
    writeFileSync(path, JSON.stringify({ ...escaping, id: '20200101t000000z' }));
    expect(() => backups.find(null)).toThrow('is of backup 20200101t000000z');
  });
});

describe('a backup', () => {
  it('counts once it is finished, with an id that no other has', () => {
    const backups = BackupFolder.openFor(folder, cluster);
    const begun = backups.begin({ epoch: 3 }, [0, 1], startedMs);
    expect(begun.id).toBe('20260131t120000z');
    expect(() => backups.find(null)).toThrow('no whole backup yet');
    expect(backups.unfinished()).toEqual(begun);
    backups.finish(begun, startedMs + 1);
    expect(backups.unfinished()).toBeUndefined();
    expect(backups.find(null)).toMatchObject({ id: begun.id, endedMs: startedMs + 1, map: { epoch: 3 } });
    expect(backups.begin({}, [0], startedMs).id).toBe('20260131t120000z-2');
    expect(() => backups.find('20200101t000000z')).toThrow('has no backup 20200101t000000z');
  });

  it('that is removed takes the copies with it that no other names', () => {
    const backups = BackupFolder.openFor(folder, cluster);
    const [old, shared] = [keepCopy(backups, 0, 1), keepCopy(backups, 1, 5)];
    backups.finish({ ...backups.begin({}, [0, 1], startedMs), copies: [old, shared] }, startedMs);
    const newer = keepCopy(backups, 0, 2);
    const last = backups.finish(
      { ...backups.begin({}, [0, 1], startedMs + 1_000), copies: [newer, shared] },
      startedMs,
    );
    const stray = keepCopy(backups, 1, 9);
    const going = keepCopy(backups, 1, 10);
    backups.note({ ...backups.begin({}, [0, 1], startedMs + 2_000), copies: [going] });
    expect(backups.removeAllBut(1)).toEqual(['20260131t120000z']);
    expect(backups.backups()).toEqual([last]);
    const there = [old, shared, newer, stray, going].filter((copy) => backups.hasCopy(copy));
    expect(there).toEqual([shared, newer, going]);
  });

  it('has no copy of another length', () => {
    const backups = BackupFolder.openFor(folder, cluster);
    const copy = keepCopy(backups, 0, 1);
    expect(backups.hasCopy(copy)).toBe(true);
    writeFileSync(join(backups.copyPath(copy.name), 'data.mdb'), 'row');
    expect(backups.hasCopy(copy)).toBe(false);
  });
});
