/** Backups of slots, each copied at another moment, that are restored to other nodes. */
import { appendFileSync, existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { seededRandom } from '../../src/base/seeded-random.ts';
import type { CommitEntry } from '../../src/entry/entry.ts';
import { CopyThreads } from '../../src/node/copy-task.ts';
import { slotPath } from '../../src/node/data-folder.ts';
import { restoredGeneration, restoreSlot } from '../../src/node/slot-restore.ts';
import { BackupCluster, slotMapBytes } from '../support/backup-cluster.ts';

const testMsMax = 180_000;
const allSlots = [0, 1, 2, 3];
const twoNodes = { n0: '0-1', n1: '2-3' };

let cluster: BackupCluster;
afterEach(() => cluster[Symbol.asyncDispose](), 60_000);

describe('slots that are copied at different moments', () => {
  it(
    'agree once they are restored, whichever was copied first',
    async () => {
      cluster = await BackupCluster.start(twoNodes);
      const [early, late] = [cluster.didIn(0, 1), cluster.didIn(3, 1)];
      const [fan, other] = [cluster.didIn(1, 2), cluster.didIn(1, 3)];
      await cluster.append([cluster.commit(fan, 1, early), cluster.commit(other, 1, early)]);
      await cluster.settle();
      // Slot 0 knows both followers; the fan has left when its own slot is copied.
      await cluster.backUp([0, 2]);
      await cluster.append([cluster.commit(fan, 2, null), cluster.commit(cluster.didIn(1, 4), 1, early)]);
      await cluster.append([cluster.commit(cluster.didIn(1, 5), 1, late)]);
      await cluster.settle();
      await cluster.backUp([1]);
      // Slot 3 hears of a follow that is not in the copy of slot 1.
      await cluster.append([cluster.commit(cluster.didIn(1, 6), 1, late)]);
      await cluster.settle();
      const whole = await cluster.backUp([3]);
      expect(whole.copies.map(({ slot }) => slot)).toEqual(allSlots);
      cluster.backups.finish(whole, systemClock.nowMs());
      await cluster.loseAll();
      const threeNodes = { a: '0', b: '1-2', c: '3' };
      await cluster.restoreAll(threeNodes);
      await cluster.startAll(threeNodes);
      await cluster.settle();
      expect(await cluster.followersOf(early)).toEqual([other, cluster.didIn(1, 4)].sort());
      expect(await cluster.followersOf(late)).toEqual([cluster.didIn(1, 5)]);
      expect((await cluster.statuses()).map(({ condition }) => condition)).toEqual([
        'complete',
        'complete',
        'complete',
        'complete',
      ]);
    },
    testMsMax,
  );

  it(
    'hold all that was written, once what came after the backup began is read again',
    async () => {
      cluster = await BackupCluster.start(twoNodes);
      const random = seededRandom(11);
      const actors = allSlots.map((slot) => cluster.didIn(slot, 1));
      const fans = Array.from({ length: 40 }, (_unused, index) => cluster.didIn(index % 4, 100 + index));
      const history: CommitEntry[] = [];
      const followed = new Map<string, string | null>();
      const write = async (count: number): Promise<void> => {
        for (let each = 0; each < count; each++) {
          const fan = fans[random.below(fans.length)]!;
          const rev = history.filter(({ did }) => did === fan).length + 1;
          const actor = followed.get(fan) ? null : actors[random.below(actors.length)]!;
          followed.set(fan, actor);
          const entry = cluster.commit(fan, rev, actor);
          history.push(entry);
          await cluster.append([entry]);
        }
      };
      await write(200);
      const begun = history.length;
      const [whole] = await Promise.all([cluster.backUp(allSlots), write(150)]);
      cluster.backups.finish(whole, systemClock.nowMs());
      await write(50);
      await cluster.loseAll();
      await cluster.restoreAll({ alone: '0-3' });
      await cluster.startAll({ alone: '0-3' });
      // As ingest does, whose cursor is that of the backup's beginning.
      for (const entry of history.slice(begun)) await cluster.append([entry]);
      await cluster.settle();
      for (const actor of actors) {
        const expected = fans.filter((fan) => followed.get(fan) === actor).sort();
        expect(await cluster.followersOf(actor)).toEqual(expected);
      }
    },
    testMsMax,
  );
});

describe('a backup', () => {
  it(
    'copies only slots in which something has changed, and lets go of what no backup needs',
    async () => {
      cluster = await BackupCluster.start(twoNodes);
      await cluster.append([cluster.commit(cluster.didIn(0, 1), 1, cluster.didIn(0, 2))]);
      await cluster.settle();
      const first = cluster.backups.finish(await cluster.backUp(allSlots), 1);
      await cluster.append([cluster.commit(cluster.didIn(2, 1), 1, cluster.didIn(2, 2))]);
      await cluster.settle();
      const second = cluster.backups.finish(await cluster.backUp(allSlots), 2);
      const names = (backup: typeof first): string[] => backup.copies.map(({ name }) => name);
      const changed = names(second).filter((name) => !names(first).includes(name));
      expect(changed.map((name) => name.slice(0, 10))).toEqual(['slot-00002']);
      expect(cluster.backups.removeAllBut(1)).toEqual([first.id]);
      expect(cluster.backups.backups()).toEqual([second]);
      expect(names(first).filter((name) => existsSync(cluster.backups.copyPath(name)))).toHaveLength(3);
      for (const copy of second.copies) expect(cluster.backups.hasCopy(copy)).toBe(true);
    },
    testMsMax,
  );

  it(
    'that is cut short goes on with what is there',
    async () => {
      cluster = await BackupCluster.start(twoNodes);
      await cluster.settle();
      const failing = {
        call: (call: Parameters<typeof cluster.client.call>[0]) =>
          call.node === 'n1' && call.method.includes('snapshot')
            ? Promise.reject(new Error('the link is cut'))
            : cluster.client.call(call),
      };
      await expect(cluster.backUp(allSlots, { caller: failing as never, tryMsMax: 1_000 })).rejects.toThrow(
        'the link is cut',
      );
      const left = cluster.backups.unfinished()!;
      expect(left.copies.length).toBeLessThan(4);
      const whole = await cluster.backUp(allSlots);
      expect(whole.id).toBe(left.id);
      expect(whole.copies.map(({ slot }) => slot)).toEqual(allSlots);
      for (const copy of left.copies) expect(whole.copies).toContainEqual(copy);
    },
    testMsMax,
  );
});

it(
  'a copy that is cut short, altered or not what the backup says is refused, and nothing is left of it',
  async () => {
    cluster = await BackupCluster.start(twoNodes);
    await cluster.append([cluster.commit(cluster.didIn(0, 1), 1, cluster.didIn(0, 2))]);
    await cluster.settle();
    const { copies } = cluster.backups.finish(await cluster.backUp(allSlots), 1);
    const copy = copies[0]!;
    const folder = cluster.backups.copyPath(copy.name);
    const path = join(folder, 'data.mdb');
    const whole = readFileSync(path);
    const dataDir = join(cluster.folder, 'node-new');
    const { signal } = new AbortController();
    const generation = restoredGeneration(copies, systemClock);
    await using copyThreads = new CopyThreads();
    const what = { cluster: 'west', part: 'all', generation } as const;
    const to = { dataDir, slotMapBytes, ...what, copyThreads, clock: systemClock, signal };
    const damages: readonly [() => void, string][] = [
      [() => truncateSync(path, whole.length / 2), 'differs in fileDigest'],
      [() => appendFileSync(path, 'x'), 'differs in fileDigest'],
      [
        () =>
          writeFileSync(
            path,
            Buffer.concat([whole.subarray(0, 9_000), Buffer.of(whole[9_000]! ^ 1), whole.subarray(9_001)]),
          ),
        'differs in fileDigest',
      ],
    ];
    for (const [damage, problem] of damages) {
      damage();
      await expect(restoreSlot(folder, copy, to)).rejects.toThrow(problem);
      writeFileSync(path, whole);
      expect(existsSync(slotPath(dataDir, copy.slot))).toBe(false);
    }
    const other = { ...copy, stateDigest: '0'.repeat(64) };
    await expect(restoreSlot(folder, other, to)).rejects.toThrow('it differs in stateDigest from what the backup says');
    expect(await restoreSlot(folder, copy, to)).toBe('complete');
    await expect(restoreSlot(folder, copy, to)).rejects.toMatchObject({ code: 'ConfigInvalid' });
    rmSync(dataDir, { recursive: true });
  },
  testMsMax,
);
