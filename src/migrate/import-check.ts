/**
 * Compares what was imported with where it came from: a sample of records, handles, labels and
 * counts, as readers get them.
 */
import { isDeepStrictEqual } from 'node:util';
import { recordsMethods } from '../atproto/collection.ts';
import { parseRecordUri } from '../atproto/compact-key.ts';
import type { CopyRow } from './copy-rows.ts';
import { estimatedRows, type RowSource } from './postgres-source.ts';
import { textAt } from './row-entries.ts';

/** Asks a method of bsky.Service, as JSON. */
export type Ask = (method: string, request: object) => Promise<Readonly<Record<string, unknown>>>;

/** `differences` names at most `differencesMax` of them. */
export type Checked = {
  readonly what: string;
  readonly compared: number;
  readonly different: number;
  readonly differences: readonly string[];
};

export const differencesMax = 10;
const sampleSize = 500;
const askedAtOnce = 100;
/** Up to this, a sample is drawn row by row, else page by page. */
const rowsForBernoulli = 1_000_000;

async function read(source: RowSource, query: string): Promise<CopyRow[]> {
  const found: CopyRow[] = [];
  for await (const rows of source.rows(query)) found.push(...rows);
  return found;
}

/** Returns up to `sampleSize` rows of a table, drawn from all of it. */
async function sample(source: RowSource, table: string, columns: string): Promise<CopyRow[]> {
  const rows = (await estimatedRows(source, table)) ?? 0;
  const percent = rows <= 2 * sampleSize ? 100 : Math.min(100, (300 * sampleSize) / rows);
  const method = rows <= rowsForBernoulli ? 'BERNOULLI' : 'SYSTEM';
  return read(source, `SELECT ${columns} FROM "${table}" TABLESAMPLE ${method} (${percent}) LIMIT ${sampleSize}`);
}

class Tally {
  readonly #what: string;
  #compared = 0;
  #different = 0;
  readonly #differences: string[] = [];

  constructor(what: string) {
    this.#what = what;
  }

  compare(name: string, expected: unknown, found: unknown): void {
    this.#compared++;
    if (isDeepStrictEqual(expected, found)) return;
    this.#different++;
    if (this.#differences.length === differencesMax) return;
    this.#differences.push(`${name}: was ${JSON.stringify(expected)}, is ${JSON.stringify(found)}`.slice(0, 1_000));
  }

  get checked(): Checked {
    const [compared, different] = [this.#compared, this.#different];
    return { what: this.#what, compared, different, differences: this.#differences };
  }
}

function listAt(answer: Readonly<Record<string, unknown>>, field: string): readonly unknown[] {
  const value = answer[field];
  return Array.isArray(value) ? value : [];
}

async function checkRecords(source: RowSource, ask: Ask): Promise<Checked> {
  const tally = new Tally('records');
  const rows = await sample(source, 'record', '"uri", "cid", "json", "indexedAt"');
  for (const { nsid, recordsMethod } of recordsMethods) {
    const own = rows.filter((row) => parseRecordUri(textAt(row, 0))?.collection === nsid);
    for (let at = 0; at < own.length; at += askedAtOnce) {
      const asked = own.slice(at, at + askedAtOnce);
      const records = listAt(await ask(recordsMethod!, { uris: asked.map((row) => textAt(row, 0)) }), 'records');
      asked.forEach((row, index) => {
        const { record = '', cid, indexedAt } = (records[index] ?? {}) as Readonly<Record<string, string>>;
        const json: unknown = JSON.parse(Buffer.from(record, 'base64').toString() || 'null');
        const expected = { cid: textAt(row, 1), at: Date.parse(textAt(row, 3)), json: JSON.parse(textAt(row, 2)) };
        tally.compare(textAt(row, 0), expected, { cid, at: Date.parse(indexedAt ?? ''), json });
      });
    }
  }
  return tally.checked;
}

type Counted = {
  readonly what: string;
  readonly table: string;
  readonly columns: string;
  readonly fields: readonly string[];
  readonly method: string;
  readonly request: (names: readonly string[]) => object;
};

const counted: readonly Counted[] = [
  {
    what: 'counts of actors',
    table: 'profile_agg',
    columns: '"did", "followersCount"::text, "followsCount"::text, "postsCount"::text',
    fields: ['followers', 'following', 'posts'],
    method: 'GetCountsForUsers',
    request: (dids) => ({ dids }),
  },
  {
    what: 'counts of posts',
    table: 'post_agg',
    columns: '"uri", "likeCount"::text, "repostCount"::text, "quoteCount"::text',
    fields: ['likes', 'reposts', 'quotes'],
    method: 'GetInteractionCounts',
    request: (uris) => ({ refs: uris.map((uri) => ({ uri })) }),
  },
];

async function checkCounts(source: RowSource, ask: Ask, of: Counted): Promise<Checked> {
  const tally = new Tally(of.what);
  const rows = await sample(source, of.table, of.columns);
  for (let at = 0; at < rows.length; at += askedAtOnce) {
    const asked = rows.slice(at, at + askedAtOnce);
    const answer = await ask(of.method, of.request(asked.map((row) => textAt(row, 0))));
    asked.forEach((row, index) => {
      const expected = of.fields.map((field, column) => `${field} ${textAt(row, column + 1)}`);
      tally.compare(
        textAt(row, 0),
        expected,
        of.fields.map((field) => `${field} ${listAt(answer, field)[index] ?? 0}`),
      );
    });
  }
  return tally.checked;
}

async function checkHandles(source: RowSource, ask: Ask): Promise<Checked> {
  const tally = new Tally('handles');
  const rows = (await sample(source, 'actor', '"did", "handle"')).filter((row) => row[1] !== null);
  for (let at = 0; at < rows.length; at += askedAtOnce) {
    const asked = rows.slice(at, at + askedAtOnce);
    const dids = listAt(await ask('GetDidsByHandles', { handles: asked.map((row) => textAt(row, 1)) }), 'dids');
    asked.forEach((row, index) => {
      tally.compare(textAt(row, 1), textAt(row, 0), dids[index]);
    });
  }
  return tally.checked;
}

function labelName(label: Readonly<Record<string, unknown>>): string {
  return [label['src'], label['uri'], label['cid'] ?? '', label['val'], label['cts']].join(' ');
}

/** Of labels that are neither taken back nor expire, so that they are to be answered. */
async function checkLabels(source: RowSource, ask: Ask): Promise<Checked> {
  const tally = new Tally('labels');
  const found = await sample(source, 'label', '"src", "uri", "cid", "val", "cts", "neg"::text, "exp"');
  const rows = found.filter((row) => textAt(row, 5) === 'false' && row[6] === null);
  for (let at = 0; at < rows.length; at += askedAtOnce) {
    const labels = rows.slice(at, at + askedAtOnce).map((row) => {
      const [src, uri, cid, val, cts] = [0, 1, 2, 3, 4].map((column) => textAt(row, column));
      return { src: src!, uri: uri!, cid: cid!, val: val!, cts: cts! };
    });
    const subjects = [...new Set(labels.map(({ uri }) => uri))];
    const issuers = [...new Set(labels.map(({ src }) => src))];
    const answer = listAt(await ask('GetLabels', { subjects, issuers }), 'labels');
    const answered = new Set(
      answer.map((bytes) => labelName(JSON.parse(Buffer.from(String(bytes), 'base64').toString()))),
    );
    for (const label of labels) {
      const name = labelName(label);
      tally.compare(name, name, answered.has(name) ? name : null);
    }
  }
  return tally.checked;
}

/** Compares samples, once all that was imported is applied. */
export async function checkImport(source: RowSource, ask: Ask): Promise<Checked[]> {
  const checked = [await checkRecords(source, ask), await checkHandles(source, ask), await checkLabels(source, ask)];
  for (const of of counted) checked.push(await checkCounts(source, ask, of));
  return checked;
}
