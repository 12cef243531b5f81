/**
 * Queries of words that nearly all posts and actors have and that hardly ever meet, which cost
 * FTS5 the most: it walks a whole index for the next row that has all of them.
 *
 * One slot's rows are written directly and indexed as a node does. Each query is asked on one
 * thread, page after page; the figures are CPU time of the process, of the dearest page above all.
 *
 * Arguments: `--posts N` (1,000,000; --quick: 60,000), `--actors N` (300,000; --quick: 60,000),
 * `--folder F`, where slot and index are kept or found again (a temporary one, removed).
 */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { nsid } from '../src/atproto/collection.ts';
import { systemClock } from '../src/base/clock.ts';
import { type SeededRandom, seededRandom } from '../src/base/seeded-random.ts';
import { readSearchText } from '../src/router/plan/search-text.ts';
import { IndexWriter } from '../src/search/index-writer.ts';
import { IndexedSlot } from '../src/search/indexed-slot.ts';
import { SearchReader } from '../src/search/search-reader.ts';
import type { Slot } from '../src/slot/slot.ts';
import { putActor } from '../src/slot/table/actor-row.ts';
import { appliedRecord, putRecordRow } from '../src/slot/table/applied-record.ts';
import type { SearchPosition, SearchQuery } from '../src/wire/search-messages.ts';
import { recordOp } from '../test/support/record-op.ts';
import type { BenchOptions, BenchResult, Figures } from './report.ts';
import { didOf, mapBytes, nowMs, openSlot, putPost } from './search-corpus.ts';

export const question = 'How much CPU does a page of a search take at most, with the worst data and the worst words?';

const pagesMax = 20;

/** Text of a post, the newest of which has the highest number. Words in turns never meet. */
function postText(random: SeededRandom, index: number, count: number): string {
  const words = ['always', index % 2 === 0 ? 'even' : 'odd', `turn${'abc'[index % 3]}`, 'beyond', 'always', 'behind'];
  for (const word of ['half', 'other', 'third', 'last']) if (random.next() < 0.5) words.push(word);
  // Words that meet in the newest posts alone, and then come in turns.
  words.push(index >= count - 20 ? 'early pair' : index % 2 === 0 ? 'early' : 'pair');
  // Words that are rare in the newest third, and then come in turns.
  if (index < (count * 2) / 3) words.push(index % 2 === 0 ? 'old' : 'ancient');
  else if (index % 50_000 < 2) words.push(index % 50_000 === 0 ? 'old' : 'ancient');
  if (index % 20_000 === 0) words.push('seldom');
  words.push('あいうあ うい いあ');
  return words.join(' ');
}

const anyCid = recordOp({ collection: nsid.profile, rkey: 'self' }, { $type: nsid.profile }).cid;

function writeActor(slot: Slot, random: SeededRandom, index: number): void {
  const did = didOf(index);
  const owner = slot.state.ensureOwner(did);
  const times = { handleVerifiedMs: 1, identityMs: 1, accountMs: 1, seenMs: 1 };
  const none = { upstreamStatus: '', takedownRef: null, isTrustedVerifier: false } as const;
  putActor(slot.state, owner, { did, handle: `commonbeginning${index}.example`, ...none, ...times });
  const either = random.next() < 0.5 ? 'even' : 'odd';
  const words = ['half', 'other', 'third'].filter(() => random.next() < 0.5).join(' ');
  const value = {
    $type: nsid.profile,
    displayName: `always ${either} ${words}`,
    description: `behind ${random.next() < 0.5 ? 'early' : 'late'} ${index % 20_000 === 0 ? 'seldom' : ''}`,
  };
  const ref = { did, collection: nsid.profile, rkey: 'self' };
  const body = { form: 'json', json: JSON.stringify(value) } as const;
  const row = { indexedMs: nowMs, createdMs: nowMs, cid: anyCid, takedownRef: null, postFlags: 0, body };
  putRecordRow(slot.state, appliedRecord(owner, ref, row, value), row);
}

type Size = { readonly posts: number; readonly actors: number };

function writeRows(slot: Slot, random: SeededRandom, { posts, actors }: Size): void {
  slot.state.searchChanges = null;
  const inSteps = (count: number, write: (index: number) => void): void => {
    for (let from = 0; from < count; from += 1_000) {
      slot.environment.transact(() => {
        for (let index = from; index < Math.min(count, from + 1_000); index++) write(index);
        slot.state.flushOwnerRows();
      });
    }
  };
  inSteps(actors, (index) => writeActor(slot, random, index));
  // Half come as densely as those of the whole network; the others as many as ids allow.
  inSteps(posts, (index) => {
    const back = posts - index;
    const createdMs = nowMs - (back < posts / 2 ? back * 7 : posts * 3.5 + (back - posts / 2) / 10);
    const likes = index % 10 === 0 ? 600 : 0;
    putPost(slot, random, { index, text: postText(random, index, posts), createdMs: Math.floor(createdMs), likes });
  });
  slot.run([], nowMs);
}

const postTexts: Readonly<Record<string, string>> = {
  'words in turns': 'even odd',
  'three words in turns': 'turna turnb turnc',
  'all words, in turns at last': 'always beyond behind half other even odd',
  'half, half, half and half': 'half other third last',
  'phrase of words of all posts': '"beyond behind"',
  'phrase of words in turns': '"even odd"',
  'phrase of words that met early': '"early pair"',
  'phrase the wrong way round': '"pair early"',
  'two phrases of words of all posts': '"beyond behind" "behind beyond"',
  'phrase of half and half': '"last half"',
  'phrase of many words': '"always even turna beyond always behind half other third last early odd"',
  'rare word and phrase in turns': 'seldom "even odd"',
  'rare word and words in turns': 'seldom even odd',
  'words that were rare at first': 'old ancient',
  'without a phrase in turns': 'always -"even odd" -always',
  'without what all have': 'beyond -always',
  'without a phrase of all': 'even -"beyond behind" -odd -half -other -"pair early" -third -even',
  'unspaced text': 'ういあい',
  'one character': 'う',
};

const actorTexts: Readonly<Record<string, string>> = {
  'words in turns': 'even odd',
  'three words in turns': 'even odd half',
  'half, half and half': 'half other third',
  'words of descriptions in turns': 'early late',
  'name and description': 'even late odd',
  'long beginning': 'commonbeg',
  'longer beginning': 'commonbeginning',
  'beginning of one': 'commonbeginning12',
  'word and long beginning': 'even commonbeg',
  'words in turns and long beginning': 'even odd commonbeg',
  'words in turns and beginning': 'even odd c',
  'rare word and words in turns': 'seldom even odd',
  'one letter': 'c',
};

function queries(): Map<string, SearchQuery> {
  const common = { after: null, limit: 25 };
  const all = new Map<string, SearchQuery>();
  for (const [name, text] of Object.entries(postTexts)) {
    const { all: wanted, none } = readSearchText(text, 'q');
    const times = { sinceMs: null, untilMs: nowMs + 1_000 };
    for (const sort of ['latest', 'top'] as const)
      all.set(`${sort}: ${name}`, { kind: 'posts', sort, all: wanted, none, ...times, followed: null, ...common });
  }
  for (const [name, text] of Object.entries(actorTexts))
    for (const isTypeahead of [false, true])
      all.set(`${isTypeahead ? 'begun' : 'actors'}: ${name}`, { kind: 'actors', text, isTypeahead, ...common });
  return all;
}

/** Asks for pages, as far as there are some. */
function askPages(reader: SearchReader, query: SearchQuery): Figures {
  let after: SearchPosition | null = null;
  let [pages, hits, maxUs, totalUs] = [0, 0, 0, 0];
  let dearest = 0;
  for (; pages < pagesMax; ) {
    const { looks, rows, records } = reader.work;
    const before = process.cpuUsage();
    const answer = reader.find({ ...query, after });
    const { user, system } = process.cpuUsage(before);
    pages++;
    hits += answer.hits.length;
    totalUs += user + system;
    if (user + system > maxUs) [maxUs, dearest] = [user + system, reader.work.looks - looks];
    void [rows, records];
    if (answer.reached === null) break;
    after = answer.reached;
  }
  return { max_cpu_ms: maxUs / 1_000, mean_cpu_ms: totalUs / pages / 1_000, pages, hits, looks: dearest };
}

async function measure(folder: string, size: Size, { seed, print }: BenchOptions): Promise<Figures> {
  const isThere = existsSync(join(folder, 'index.db'));
  mkdirSync(folder, { recursive: true });
  const slot = openSlot(folder);
  if (!isThere) {
    print(`writing ${size.posts} posts and ${size.actors} actors`);
    writeRows(slot, seededRandom(seed), size);
  }
  const place = { slot: 0, path: join(folder, 'slot'), mapBytes };
  const indexed = new IndexedSlot(place);
  const path = join(folder, 'index.db');
  const writer = IndexWriter.open(path, new Map([[0, indexed]]));
  while (writer.takeChanges() > 0 || writer.workOn());
  const options = { path, places: [place], primaries: [0], slots: 1, clock: systemClock, onDamage: () => {} };
  const reader = new SearchReader(options);
  const figures: Record<string, Figures> = {};
  // Compiled before it is measured.
  for (const query of queries().values()) askPages(reader, query);
  for (const [name, query] of queries()) {
    figures[name] = askPages(reader, query);
    print(`  ${name.padEnd(44)} ${JSON.stringify(figures[name])}`);
  }
  await reader.close();
  writer.close();
  await indexed.close();
  await slot[Symbol.asyncDispose]();
  return figures;
}

export async function run(options: BenchOptions): Promise<BenchResult> {
  const { values } = parseArgs({
    args: [...options.args],
    options: { posts: { type: 'string' }, actors: { type: 'string' }, folder: { type: 'string' } },
  });
  const posts = Number(values.posts ?? (options.quick ? 60_000 : 1_000_000));
  const actors = Number(values.actors ?? (options.quick ? 60_000 : 300_000));
  const folder = values.folder ?? join(tmpdir(), `skyshard-bench-hostile-search-${process.pid}`);
  try {
    const queryFigures = await measure(folder, { posts, actors }, options);
    const dearest = Math.max(
      ...Object.values(queryFigures).map((figures) => (figures as Figures)['max_cpu_ms'] as number),
    );
    return { dataSize: `${posts} posts, ${actors} actors`, figures: { dearest_cpu_ms: dearest, ...queryFigures } };
  } finally {
    if (values.folder === undefined) rmSync(folder, { recursive: true, force: true });
  }
}
