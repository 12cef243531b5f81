/** A slot without room, an aborted transaction and an unreadable chunk leave the slot as it was. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { ByteWriter } from '../../../src/base/bytes.ts';
import { DataPlaneError } from '../../../src/base/data-plane-error.ts';
import type { CommitEntry } from '../../../src/entry/entry.ts';
import { encodeEntry } from '../../../src/entry/entry-codec.ts';
import { writeChunk } from '../../../src/log/chunk.ts';
import { EmbeddedLog } from '../../../src/log/embedded-log.ts';
import { applyEffect, applyEntry } from '../../../src/slot/apply/apply-entry.ts';
import type { ApplyRules } from '../../../src/slot/entry-applier.ts';
import { Slot } from '../../../src/slot/slot.ts';
import { getRecordRow } from '../../../src/slot/table/record-row.ts';
import { slotTableNames } from '../../../src/slot/table/slot-state.ts';
import { freeBytesMin } from '../../../src/storage/disk-room.ts';
import { Environment } from '../../../src/storage/environment.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';
import { recordOp } from '../../support/record-op.ts';

const did = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa';
const nowMs = Date.UTC(2025, 0, 1);
const folders: string[] = [];
/** What is left besides the room that must stay free. Units: bytes. */
const slackBytes = 4 * 2 ** 20;

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A commit of posts of about this many bytes, each of which mentions an actor of another slot. */
function commitOf(rev: string, bytes: number): CommitEntry {
  const mention = { $type: 'app.bsky.richtext.facet#mention', did: 'did:plc:bbbbbbbbbbbbbbbbbbbbbbbb' };
  const record = { text: 'x'.repeat(bytes / 10), facets: [{ features: [mention] }] };
  const ops = Array.from({ length: 10 }, (_unused, index) =>
    recordOp({ collection: 'app.bsky.feed.post', rkey: `${rev}-${index}` }, record),
  );
  return { kind: 'commit', did, rev, since: null, eventMs: nowMs, ops };
}

function chunkOfItems(items: readonly Buffer[]): Buffer {
  const writer = new ByteWriter(1024);
  writeChunk(writer, { slot: 0, origin: null, items, marks: [] });
  return writer.finish();
}

function chunkOf(entry: CommitEntry): Buffer {
  return chunkOfItems([encodeEntry(entry)]);
}

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (thrown) {
    return thrown instanceof DataPlaneError ? thrown.code : String(thrown);
  }
  return 'none';
}

function openSlot(path: string, mapBytes: number, rules?: ApplyRules): Slot {
  return Slot.open({ index: 0, slots: 2, path: join(path, 'slot'), mapBytes, ...(rules && { rules }) });
}

function newFolder(): string {
  const folder = makeMemoryFolder('skyshard-full-');
  folders.push(folder);
  return folder;
}

describe('a slot whose map is full', () => {
  it('refuses before it writes, keeps what it has, and resumes with a larger map', async () => {
    const folder = newFolder();
    const taken: string[] = [];
    {
      await using slot = openSlot(folder, freeBytesMin + slackBytes);
      let code = 'none';
      for (let number = 0; code === 'none' && number < 100; number++) {
        const rev = `r${String(number).padStart(3, '0')}`;
        code = codeOf(() => slot.run([chunkOf(commitOf(rev, 200_000))], nowMs));
        if (code === 'none') taken.push(rev);
      }
      expect(code).toBe('StorageFull');
      expect(taken.length).toBeGreaterThan(3);
      const digest = slot.digest();
      expect(codeOf(() => slot.run([], nowMs))).toBe('StorageFull');
      expect(slot.digest()).toBe(digest);
      expect(slot.cursor).toBe(taken.length);
    }
    await using slot = openSlot(folder, 2 * freeBytesMin);
    slot.run([chunkOf(commitOf('s000', 1_000))], nowMs);
    const owner = slot.state.ownerOf(did)!;
    for (const rev of [...taken, 's000']) {
      expect(getRecordRow(slot.state, owner, 'app.bsky.feed.post', `${rev}-9`)?.cid).toHaveLength(36);
    }
    expect(slot.sentCount).toBe(10 * (taken.length + 1));
  });

  it('lets a transaction that has begun end, and refuses the next', async () => {
    // The library grows the map rather than abort; the room required beforehand prevents it.
    await using slot = openSlot(newFolder(), freeBytesMin + slackBytes);
    expect(slot.run([chunkOf(commitOf('r1', 12_000_000))], nowMs).outcomes).toMatchObject([{ status: 'durable' }]);
    expect(codeOf(() => slot.run([chunkOf(commitOf('r2', 1_000))], nowMs))).toBe('StorageFull');
    expect(slot.cursor).toBe(1);
  });
});

describe('a slot whose transaction was aborted', () => {
  it('holds and counts nothing of it, even of its first', async () => {
    // The first entry is applied before storage fails.
    const applyFaultily: typeof applyEntry = (context, entry) => {
      if ('rev' in entry && entry.rev === 'r8x') throw Object.assign(new Error('the disk broke'), { code: 'EIO' });
      applyEntry(context, entry);
    };
    await using slot = openSlot(newFolder(), 2 * freeBytesMin, { applyEntry: applyFaultily, applyEffect });
    const digest = slot.digest();
    const broken = chunkOfItems([encodeEntry(commitOf('r8', 1_000)), encodeEntry(commitOf('r8x', 1_000))]);
    for (const rev of ['r2', 'r3']) {
      const before = { cursor: slot.cursor, head: slot.head, sent: slot.sentCount, owed: slot.outbox.owedCount };
      expect(codeOf(() => slot.run([broken], nowMs))).toMatch(/the disk broke/);
      expect({ cursor: slot.cursor, head: slot.head, sent: slot.sentCount, owed: slot.outbox.owedCount }).toEqual(
        before,
      );
      if (rev === 'r2') expect(slot.digest()).toBe(digest);
      slot.run([chunkOf(commitOf(rev, 1_000))], nowMs);
    }
    expect({ cursor: slot.cursor, head: slot.head, sent: slot.sentCount }).toEqual({ cursor: 2, head: 2, sent: 20 });
    const [first, second] = [...slot.outbox.batches(1)];
    expect(first!.previousMark).toBe(0);
    expect(second!.previousMark).toBe(first!.lastMark);
  });
});

describe('a log that another version wrote', () => {
  it('is refused by name while it waits to be applied', async () => {
    const folder = newFolder();
    const environment = Environment.open({
      path: join(folder, 'slot'),
      mapBytes: 2 * freeBytesMin,
      tables: slotTableNames,
    });
    const old = Buffer.concat([Buffer.from([2]), encodeEntry(commitOf('r1', 1_000)).subarray(1)]);
    const log = new EmbeddedLog(environment.table('log'), 0);
    const read = { bytes: chunkOfItems([old]), appendMs: nowMs, onOutcome: () => {}, position: 0 };
    environment.transact(() => log.enter(read, 1, nowMs));
    await environment.close();
    expect(() => openSlot(folder, 2 * freeBytesMin)).toThrow(
      /log of slot 0 .*format version.*start the version that wrote/,
    );
  });
});

describe('a chunk with an entry that cannot be read', () => {
  it('is refused whole, and other chunks of its call are taken', async () => {
    await using slot = openSlot(newFolder(), 2 * freeBytesMin);
    const [version] = encodeEntry(commitOf('r1', 1_000));
    const unreadable = chunkOfItems([encodeEntry(commitOf('r1', 1_000)), Buffer.from([version!, 255, 2, 3, 4])]);
    const { outcomes } = slot.run([unreadable, chunkOf(commitOf('r2', 1_000))], nowMs);
    expect(outcomes.map(({ status }) => status)).toEqual(['refused', 'durable']);
    expect(outcomes[0]).toMatchObject({ code: 'InvalidArgument' });
    const ofOtherVersion = slot.run([chunkOfItems([Buffer.from([255, 1, 2, 3, 4])])], nowMs).outcomes;
    expect(ofOtherVersion).toMatchObject([{ status: 'refused', code: 'Unavailable' }]);
    expect({ cursor: slot.cursor, head: slot.head }).toEqual({ cursor: 1, head: 1 });
    const owner = slot.state.ownerOf(did)!;
    expect(getRecordRow(slot.state, owner, 'app.bsky.feed.post', 'r1-0')).toBeUndefined();
    expect(getRecordRow(slot.state, owner, 'app.bsky.feed.post', 'r2-0')?.cid).toHaveLength(36);
  });
});
