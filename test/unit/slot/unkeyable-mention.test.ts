/** A mention of a DID that is too long for a key notifies nobody, and the slot goes on. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ByteWriter } from '../../../src/base/bytes.ts';
import { encodeEntry } from '../../../src/entry/entry-codec.ts';
import { writeChunk } from '../../../src/log/chunk.ts';
import { Slot } from '../../../src/slot/slot.ts';
import { tidOf } from '../../simulation/history-record.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';
import { recordOp } from '../../support/record-op.ts';

const did = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa';
const eventMs = Date.UTC(2025, 0, 1);
const post = { collection: 'app.bsky.feed.post', rkey: tidOf(1) };

it.each([1, 4])('a post that mentions an unkeyable DID is applied and taken down, in one slot of %d', async (slots) => {
  const folder = makeMemoryFolder('skyshard-mention-');
  const mention = { $type: 'app.bsky.richtext.facet#mention', did: `did:web:${'x'.repeat(250)}` };
  const op = recordOp(post, { text: '', facets: [{ features: [mention] }] });
  const items = [
    encodeEntry({ kind: 'commit', did, rev: tidOf(1), since: null, eventMs, ops: [op] }),
    encodeEntry({ kind: 'private', did, write: { type: 'record-takedown', ...post, ref: 'REF' } }),
  ];
  const writer = new ByteWriter();
  writeChunk(writer, { slot: 0, origin: null, items, marks: [] });
  try {
    await using slot = Slot.open({ index: 0, slots, path: join(folder, 'slot'), mapBytes: 2 ** 28 });
    slot.run([writer.finish()], eventMs);
    expect(slot).toMatchObject({ cursor: 2, sentCount: 0 });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
