/**
 * Compares the index of a slot with the slot: how many posts each has, and whether a sample of them
 * is found by its own words.
 */
import type { VerifiedSlot } from '../wire/search-messages.ts';
import { decodeDocKey } from './doc-key.ts';
import type { IndexWriter } from './index-writer.ts';
import type { IndexedSlot } from './indexed-slot.ts';
import type { IndexedPost } from './post-index.ts';

const rowsPerStep = 20_000;
/** Posts of a slot that are looked up by their words, at most about twice as many. */
const sampleMin = 500;
/** Words of a post that are asked for. */
const wordsAsked = 4;
const missingShownMax = 20;

/** True if the index finds a post by its first words, in the row that it has. */
function isFound(writer: IndexWriter, { k, sortMs, terms }: IndexedPost): boolean {
  const words = terms()
    .text.split(' ')
    .filter((word) => word !== '_' && word !== '');
  const asked = words.slice(0, wordsAsked).map((word) => `"${word}"`);
  const id = writer.idOf(k, sortMs);
  if (id === undefined) return false;
  const sql = 'SELECT 1 FROM post0 WHERE post0 MATCH ? AND rowid = ?';
  return writer.sql.get(sql, asked.join(' AND '), BigInt(id)) !== undefined;
}

/** Compares; yields between parts, so that the thread goes on with its work. */
export function* verifySlot(writer: IndexWriter, slot: IndexedSlot): Generator<void, VerifiedSlot> {
  const key = writer.servedKey(slot.slot);
  let indexed = 0;
  for (let id = 0; ; ) {
    const sql = `SELECT id, k FROM doc WHERE id > ? ORDER BY id LIMIT ${rowsPerStep}`;
    const rows = writer.sql.all<{ id: number; k: Uint8Array }>(sql, BigInt(id));
    for (const { k } of rows) if (decodeDocKey(k).key === key) indexed++;
    if (rows.length < rowsPerStep) break;
    id = rows.at(-1)!.id;
    yield;
  }
  slot.refresh();
  const sample: IndexedPost[] = [];
  let stored = 0;
  for (stored of slot.countPosts(Math.max(1, Math.floor(indexed / sampleMin)), (post) => sample.push(post), key)) yield;
  const missing = sample.filter((post) => !isFound(writer, post));
  return {
    slot: slot.slot,
    stored,
    indexed,
    sampled: sample.length,
    missing: missing.slice(0, missingShownMax).map(({ k }) => slot.uriOf(k)),
  };
}
