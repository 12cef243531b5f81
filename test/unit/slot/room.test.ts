/** A transaction that begins has room to end, even with the entry that takes the most. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sizeOfBlock } from '../../../src/atproto/block-size.ts';
import { cidOfBlock } from '../../../src/atproto/cid.ts';
import { didLengthMax, rkeyLengthMax } from '../../../src/atproto/compact-key.ts';
import { ByteString } from '../../../src/atproto/dag-value.ts';
import { inputLimits } from '../../../src/atproto/input-limits.ts';
import type { CommitEntry } from '../../../src/entry/entry.ts';
import { encodeEntry } from '../../../src/entry/entry-codec.ts';
import { slotOf } from '../../../src/shardmap/slot-of.ts';
import { Slot } from '../../../src/slot/slot.ts';
import { freeBytesMin } from '../../../src/storage/disk-room.ts';
import { tidOf } from '../../simulation/history-record.ts';
import { encodeDagCbor } from '../../support/dag-cbor.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';
import { recordOp } from '../../support/record-op.ts';
import { bytesOfChunk } from '../../support/slot-cluster.ts';

const nowMs = Date.UTC(2025, 0, 1);
const slots = 2;
const padded = (text: string, length: number): string => text.padEnd(length, 'x');

/** A DID of a slot, of this length. */
function didIn(slot: number, number: number, length: number): string {
  for (let attempt = 0; ; attempt++) {
    const did = padded(`did:web:n${number}-${attempt}-`, length);
    if (slotOf(did, slots) === slot) return did;
  }
}

const author = didIn(0, 0, didLengthMax);

/** The most posts that one commit may have, with as many mentions and as much JSON as fit. */
function commitOf(rev: number, slot: number, didLength: number, action: 'create' | 'update'): CommitEntry {
  const post = (index: number, mentions: number, fill: string) => {
    const features = Array.from({ length: mentions }, (_unused, mention) => ({
      $type: 'app.bsky.richtext.facet#mention',
      did: didIn(slot, 1000 * index + mention, didLength),
    }));
    const rkey = padded(`p${index}-`, rkeyLengthMax);
    return recordOp({ collection: 'app.bsky.feed.post', rkey }, { text: fill, rev, facets: [{ features }] }, action);
  };
  const bytesEach = inputLimits.commitRecordBytesMax / inputLimits.commitOpsMax;
  const room = bytesEach - post(0, 0, '').block.length - 20;
  const mentionBytes = post(0, 2, '').block.length - post(0, 1, '').block.length;
  const mentions = Math.min(100, Math.floor(room / mentionBytes));
  const fill = '\u0001'.repeat(Math.min(room - mentions * mentionBytes, 1_900));
  const ops = Array.from({ length: inputLimits.commitOpsMax }, (_unused, index) => post(index, mentions, fill));
  expect(ops.reduce((sum, { block }) => sum + block.length, 0)).toBeLessThanOrEqual(inputLimits.commitRecordBytesMax);
  expect(ops.reduce((sum, { block }) => sum + sizeOfBlock(block).jsonBytes, 0)).toBeLessThanOrEqual(
    inputLimits.commitJsonBytesMax,
  );
  return { kind: 'commit', did: author, rev: tidOf(rev), since: null, eventMs: nowMs, ops };
}

/** As many small records as one transaction takes besides, which are all empty byte strings. */
function commitsThatExpand(): CommitEntry[] {
  const extra = new Array(1_000).fill(new ByteString(Buffer.alloc(0)));
  const opBytes = 1_100;
  return Array.from({ length: (3 * 2 ** 20) / (200 * opBytes) }, (_unused, commit) => {
    const did = didIn(0, 1_000_000 + commit, 60);
    const ops = Array.from({ length: 200 }, (_each, index) => {
      const block = encodeDagCbor({ text: `${commit} ${index}`, extra });
      const cid = Buffer.from(cidOfBlock(block).bytes);
      return { action: 'create', collection: 'app.bsky.feed.post', rkey: `r${index}`, cid, block } as const;
    });
    return { kind: 'commit', did, rev: tidOf(1), since: null, eventMs: nowMs, ops };
  });
}

const chunkOf = (entry: CommitEntry): Buffer =>
  bytesOfChunk({ slot: 0, origin: null, items: [encodeEntry(entry)], marks: [] });

describe('the room that a transaction needs', () => {
  const expanding = commitsThatExpand().map(chunkOf);

  // Each place of the mentioned actors and each length of their DIDs is in one of these.
  it.each([
    [0, didLengthMax],
    [1, 60],
  ])(
    'is there for the largest commit over the largest, with mentions in slot %d of %d characters',
    async (slot, length) => {
      const folder = makeMemoryFolder('skyshard-room-');
      const path = join(folder, 'slot');
      try {
        let usedBytes = 0;
        {
          await using first = Slot.open({ index: 0, slots, path, mapBytes: 2 ** 30 });
          first.run([chunkOf(commitOf(1, slot, length, 'create'))], nowMs);
          usedBytes = first.environment.usedBytes;
        }
        const mapBytes = usedBytes + freeBytesMin;
        await using second = Slot.open({ index: 0, slots, path, mapBytes });
        const { outcomes } = second.run([...expanding, chunkOf(commitOf(2, slot, length, 'update'))], nowMs);
        expect(new Set(outcomes.map(({ status }) => status))).toEqual(new Set(['durable']));
        expect(second.environment.usedBytes).toBeLessThanOrEqual(mapBytes);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
    120_000,
  );
});
