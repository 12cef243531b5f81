/** A process with one slot, whose rule ends it with SIGKILL at a poisoned post. */
import type { CommitEntry } from '../../src/entry/entry.ts';
import { encodeEntry } from '../../src/entry/entry-codec.ts';
import { applyEffect, applyEntry } from '../../src/slot/apply/apply-entry.ts';
import { Slot } from '../../src/slot/slot.ts';
import { quarantinedEntries } from '../../src/slot/table/quarantine-row.ts';
import { recordOp } from './record-op.ts';
import { bytesOfChunk } from './slot-cluster.ts';

const startMs = Date.UTC(2025, 0, 1);

function commit(text: string, index: number): CommitEntry {
  const ops = [recordOp({ collection: 'app.bsky.feed.post', rkey: 'r1' }, { text })];
  return { kind: 'commit', did: `did:web:n${index}.example`, rev: 'r1', since: null, eventMs: startMs, ops };
}

const [path, ...texts] = process.argv.slice(2) as [string, ...string[]];
const slot = Slot.open({
  index: 0,
  slots: 1,
  path,
  mapBytes: 2 ** 27,
  rules: {
    applyEffect,
    applyEntry(context, entry) {
      applyEntry(context, entry);
      const isPoisoned = 'ops' in entry && entry.ops.some(({ block }) => Buffer.from(block).includes('poison'));
      if (isPoisoned) process.kill(process.pid, 'SIGKILL');
    },
  },
});
const items = texts.map((text, index) => encodeEntry(commit(text, index)));
slot.run([bytesOfChunk({ slot: 0, origin: null, items, marks: [] })], startMs);
const kept = quarantinedEntries(slot.state).map(({ seq, did, reason }) => ({ seq, did, reason }));
console.log(JSON.stringify({ cursor: slot.cursor, kept }));
await slot[Symbol.asyncDispose]();
