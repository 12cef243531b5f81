/**
 * The posts and actors of bench/search.ts, written as rows of one slot.
 *
 * Words are drawn by a Zipf-Mandelbrot law of 200,000, so that the most common is in about a fifth
 * of the posts; an eighth of the posts is Japanese-like, without spaces. Words are independent, so
 * that several together are rarer than in life.
 */
import { join } from 'node:path';
import { nsid } from '../src/atproto/collection.ts';
import type { SeededRandom } from '../src/base/seeded-random.ts';
import { Slot } from '../src/slot/slot.ts';
import { addToActorCount } from '../src/slot/table/actor-counts.ts';
import { putActor } from '../src/slot/table/actor-row.ts';
import { appliedRecord, putRecordRow } from '../src/slot/table/applied-record.ts';
import { recordCountsKey } from '../src/slot/table/record-counts.ts';
import { recordOp } from '../test/support/record-op.ts';
import type { Relevance } from './search-relevance.ts';

const wordCount = 200_000;
const shift = 8;
export const nowMs = Date.UTC(2026, 0, 1);
export const postsPerSecond = 12;
export const mapBytes = 2 ** 36;

/** Draws the number of a word: 0 is the most common. */
export function drawWord(random: SeededRandom): number {
  return Math.floor((shift + 1) * ((wordCount + shift) / (shift + 1)) ** random.next() - shift - 1 + 1e-9);
}

export function wordOf(number: number): string {
  const letters = number.toString(26).replace(/[0-9]/g, (digit) => 'qrstuvwxyz'[Number(digit)]!);
  return `${letters}${'aeiou'[number % 5]}`;
}

export function unspacedText(random: SeededRandom): string {
  return Array.from({ length: 30 }, () =>
    String.fromCodePoint(
      random.below(2) === 0 ? 0x3042 + random.below(80) : 0x4e00 + Math.floor(2_000 * random.next() ** 3),
    ),
  ).join('');
}

export function textOf(random: SeededRandom): string {
  if (random.below(8) === 0) return unspacedText(random);
  return Array.from({ length: 8 + random.below(28) }, () => wordOf(drawWord(random))).join(' ');
}

type BenchPost = { readonly index: number; readonly text: string; readonly createdMs: number; readonly likes: number };

export const didOf = (number: number): string => `did:web:a${number}.example`;

/** No search reads it, so that all posts may have the same. */
const anyCid = recordOp({ collection: nsid.post, rkey: 'any' }, { $type: nsid.post }).cid;

/** Writes a post's row, and counts for one in fourteen. */
export function putPost(slot: Slot, random: SeededRandom, { index, text, createdMs, likes }: BenchPost): void {
  const did = didOf(random.below(5_000));
  const owner = slot.state.ensureOwner(did);
  const tags = [...text.matchAll(/#(\w+)/g)].map(([, tag]) => tag!);
  const times = { createdAt: new Date(createdMs).toISOString() };
  const value = { $type: nsid.post, text, langs: ['en'], ...(tags.length > 0 ? { tags } : {}), ...times };
  const ref = { did, collection: nsid.post, rkey: `r${index}` };
  const body = { form: 'json', json: JSON.stringify(value) } as const;
  const row = { indexedMs: createdMs, createdMs, cid: anyCid, takedownRef: null, postFlags: 0, body };
  const record = appliedRecord(owner, ref, row, value);
  putRecordRow(slot.state, record, row);
  if (likes === 0) return;
  const counts = Buffer.alloc(4);
  counts.writeUInt32BE(likes);
  slot.state.rows.put(recordCountsKey(owner, nsid.post, ref.rkey), counts);
}

function writeActors(slot: Slot, random: SeededRandom, count: number): void {
  for (let from = 0; from < count; from += 1_000) {
    slot.environment.transact(() => {
      for (let index = from; index < Math.min(count, from + 1_000); index++) {
        const did = didOf(index);
        const owner = slot.state.ensureOwner(did);
        const times = { handleVerifiedMs: 1, identityMs: 1, accountMs: 1, seenMs: 1 };
        const handle = `${wordOf(drawWord(random))}${index}.example`;
        putActor(slot.state, owner, {
          did,
          handle,
          upstreamStatus: '',
          takedownRef: null,
          isTrustedVerifier: false,
          ...times,
        });
        for (let followers = Math.floor(8 * random.next() ** 8); followers > 0; followers--)
          addToActorCount(slot.state, owner, 'followers', 1);
      }
      slot.state.flushOwnerRows();
    });
  }
}

function likesOf(random: SeededRandom): number {
  return random.below(14) === 0 ? Math.floor(8 / (random.next() + 0.01)) : 0;
}

function writePosts(slot: Slot, random: SeededRandom, count: number): void {
  for (let from = 0; from < count; from += 1_000) {
    slot.environment.transact(() => {
      for (let index = from; index < Math.min(count, from + 1_000); index++) {
        putPost(slot, random, {
          index,
          text: textOf(random),
          createdMs: nowMs - ((count - index) * 1_000) / postsPerSecond,
          likes: likesOf(random),
        });
      }
    });
  }
}

export function openSlot(folder: string): Slot {
  return Slot.open({ index: 0, slots: 1, path: join(folder, 'slot'), mapBytes, isSearched: true });
}

export type Corpus = { readonly posts: number; readonly actors: number; readonly relevance: Relevance };

/** Fills a slot, whose rows are not queued: an index is built from them. */
export function fillSlot(slot: Slot, random: SeededRandom, { posts, actors, relevance }: Corpus): void {
  slot.state.searchChanges = null;
  writeActors(slot, random, Math.max(actors, 5_000));
  writePosts(slot, random, posts);
  slot.environment.transact(() => {
    for (const [at, { text, ageMs, likes }] of relevance.posts.entries())
      putPost(slot, random, { index: 10_000_000 + at, text, createdMs: nowMs - ageMs, likes });
  });
  slot.run([], nowMs);
}
