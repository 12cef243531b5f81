/** An import reads a real PostgreSQL through psql: the official plane's tables, types and names. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type BenchPostgres, initPostgres, postgresPrograms, startPostgres } from '../../bench/postgres.ts';
import { Cid } from '../../src/atproto/cid.ts';
import { systemClock } from '../../src/base/clock.ts';
import { processEnvironment } from '../../src/config/settings.ts';
import type { Entry } from '../../src/entry/entry.ts';
import { checkImport, differencesMax } from '../../src/migrate/import-check.ts';
import { PostgresImport } from '../../src/migrate/postgres-import.ts';
import { literal, postgresSource } from '../../src/migrate/postgres-source.ts';
import { decodeMessage, encodeMessage, methodByName } from '../../src/proto/codec.ts';
import { messageToJson } from '../../src/proto/json.ts';
import { officialTablesSql } from '../support/official-tables.ts';
import { jsonOfOp, recordOp } from '../support/record-op.ts';
import { RoutedNetwork } from '../support/routed-network.ts';
import type { OwnedEntry } from '../support/slot-cluster.ts';
import { ReadsNetwork } from './reads-network.ts';

type Answer = Readonly<Record<string, unknown>>;

const actors = 1_200;
const at = '2025-01-02T03:04:05.678Z';
const letters = 'abcdefghij';
const didOf = (index: number): string =>
  `did:plc:${String(index)
    .padStart(24, '0')
    .replace(/\d/g, (digit) => letters[Number(digit)]!)}`;

let folder: string;
let postgres: BenchPostgres;
let reads: RoutedNetwork;

function sql(command: string): void {
  const file = join(folder, 'command.sql');
  execFileSync('tee', [file], { input: command, stdio: ['pipe', 'ignore', 'inherit'] });
  postgres.runFile(file);
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'skyshard-psql-'));
  const programs = postgresPrograms()!;
  initPostgres(programs, join(folder, 'data'));
  postgres = await startPostgres(programs, join(folder, 'data'));
  reads = new RoutedNetwork(new ReadsNetwork({ slots: 4 }));
  sql(officialTablesSql);
}, 60_000);

afterAll(async () => {
  await reads[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
}, 30_000);

it('reads every table in ranges, and finds no difference afterwards', async () => {
  const lines: string[] = [];
  for (let index = 0; index < actors; index++) {
    const did = didOf(index);
    const rkey = '3k2aaaaaaaaaa';
    const post = { $type: 'app.bsky.feed.post', text: `it's ${index} \\ "é"\n\t`, createdAt: at };
    const op = recordOp({ collection: 'app.bsky.feed.post', rkey }, post);
    const uri = `at://${did}/app.bsky.feed.post/${rkey}`;
    const cells = [uri, new Cid(op.cid).text, did, jsonOfOp(op), at].map(literal).join(', ');
    const tags = index === 7 ? `'["a", "b"]'` : 'NULL';
    lines.push(`INSERT INTO bsky.actor (did, handle, "indexedAt") VALUES ('${did}', 'a${index}.test', '${at}');`);
    lines.push(`INSERT INTO bsky.record VALUES (${cells}, NULL, ${tags});`);
    lines.push(`INSERT INTO bsky.profile_agg VALUES ('${did}', 0, 0, 1);`);
    lines.push(`INSERT INTO bsky.post_agg VALUES ('${uri}', 0, 0, 0, 0);`);
  }
  const [one, two] = [didOf(1), didOf(2)];
  lines.push(`INSERT INTO bsky.mute VALUES ('${two}', '${one}', '${at}', true, false);`);
  lines.push(`INSERT INTO bsky.actor_state VALUES ('${one}', '${at}', true);`);
  lines.push(`INSERT INTO bsky.actor_sync VALUES ('${one}', 'x', '3kzzzzzzzzzzz');`);
  lines.push(`INSERT INTO bsky.draft VALUES ('${one}', '3k2aaaaaaaaae', '${at}', '${at}', '{"id":"1"}');`);
  lines.push(`INSERT INTO bsky.label VALUES ('${two}', '${one}', '', 'spam', false, '${at}', NULL);`);
  lines.push(`INSERT INTO bsky.suggested_follow VALUES ('${two}', 2), ('${one}', 1);`);
  sql(`BEGIN; ${lines.join('\n')} COMMIT; ANALYZE;`);

  const url = new URL(postgres.url);
  const source = postgresSource(
    `postgresql://${url.host}${url.pathname}?user=postgres&schema=bsky`,
    processEnvironment(),
  );
  const job = new PostgresImport({
    source,
    appender: {
      append: async (_key: string, entry: Entry) => {
        reads.network.cluster.append(entry as OwnedEntry);
      },
      hasCapacity: true,
      waitForCapacity: async () => {},
      pendingBytes: 0,
    },
    clock: systemClock,
    statePath: join(folder, 'state.json'),
    slots: 4,
    parallel: 2,
    refusedRepos: new Set(),
    erasures: new Map(),
    onProgress: () => {},
  });
  await job.run();
  reads.network.settle();
  expect(job.counts).toEqual({
    actors,
    records: actors,
    mute: 1,
    draft: 1,
    label: 1,
    suggested_follow: 2,
    suggested_feed: 0,
    tagged_suggestion: 0,
  });
  const ask = async (method: string, request: object) => {
    const names = methodByName.get(method as 'GetActors')!;
    const bytes = encodeMessage(names.request, request as never);
    const answer = await reads.router.handle(method, bytes, { caller: '', timeoutMs: null });
    return JSON.parse(messageToJson(names.response, decodeMessage(names.response, answer) as never)) as Answer;
  };
  const checked = await checkImport(source, ask);
  expect(checked.map(({ different }) => different)).toEqual([0, 0, 0, 0, 0]);
  expect(checked.every(({ what, compared }) => compared > (what === 'labels' ? 0 : 100))).toBe(true);
  sql('UPDATE bsky.profile_agg SET "postsCount" = 2;');
  const [, , , counts] = await checkImport(source, ask);
  expect(counts).toMatchObject({ what: 'counts of actors', different: counts!.compared });
  expect(counts!.differences).toHaveLength(differencesMax);
  expect((await reads.ask('GetFollowSuggestions', {})).dids).toEqual([one, two]);
  const seventh = await reads.ask('GetPostRecords', { uris: [`at://${didOf(7)}/app.bsky.feed.post/3k2aaaaaaaaaa`] });
  expect(seventh.records[0]!.tags).toEqual(['a', 'b']);
  expect((await reads.ask('GetLatestRev', { actorDid: one })).rev).toBe('3kzzzzzzzzzzz');
}, 180_000);

it('says what psql says when the database cannot be read', async () => {
  const url = new URL(postgres.url);
  const read = async (query: string, of: string) => {
    for await (const _rows of postgresSource(of, processEnvironment()).rows(query));
  };
  const good = `postgresql://${url.host}${url.pathname}?user=postgres&schema=bsky`;
  await expect(read('SELECT * FROM "nothing"', good)).rejects.toMatchObject({
    code: 'Unavailable',
    message: expect.stringContaining('"nothing" does not exist'),
  });
  await expect(read('SELECT 1', good.replace('user=postgres', 'user=nobody'))).rejects.toMatchObject({
    code: 'Unavailable',
    hint: expect.stringContaining('~/.pgpass'),
  });
  expect(() => postgresSource(good.replace('schema=bsky', 'schema=a;b'), {})).toThrow('not the name of a schema');
});
